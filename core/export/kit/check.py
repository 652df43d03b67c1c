"""Does the model still answer as it did in the app?  python check.py"""

from __future__ import annotations

import json
import sys

import numpy as np
import predict

golden = json.loads((predict.HERE / "golden" / "expected.json").read_text("utf-8"))
model = predict.load(predict.HERE / predict.SETTINGS["model"])
allowed, num_wrong = predict.SETTINGS["tolerance"], 0
for name, expected in golden.items():
    difference = float(np.abs(model(predict.decode(predict.HERE / "golden" / name)) - expected).max())
    num_wrong += difference > allowed
    print(name, f"{difference:.1e}", "differs" if difference > allowed else "agrees", sep="\t")
print(f"{len(golden) - num_wrong} of {len(golden)} golden photos agree within {allowed:g}")
sys.exit(1 if num_wrong else 0)
