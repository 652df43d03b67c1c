"""Asks one exported model about many pictures, in a process of its own: ``python checker.py JOB.json``.

Knows nothing of Graft: it runs the ``predict.py`` of the package. JOB.json has ``package`` (the unpacked folder),
``model`` (below it), ``pictures`` (a list of path and SHA-256) and ``answers`` (the ``.npz`` to write). Prints one JSON
object a line: ``{"done": …}``.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

NUM_WARM_UP = 3
"""Calls before time is taken: the first ones compile and fill caches."""


def ask(predict: Any, model: Any, path: str, sha256: str) -> tuple[np.ndarray | None, float]:
    """Return the probabilities of one picture and the seconds they took; None for one that is not as it was."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return None, 0.0
    if hashlib.sha256(data).hexdigest() != sha256:
        return None, 0.0
    pixels = predict.decode(io.BytesIO(data))
    began = time.perf_counter()
    return np.asarray(model(pixels), dtype=np.float64), time.perf_counter() - began


def main(path: Path) -> None:
    """Answer a job."""
    job = json.loads(path.read_text("utf-8"))
    sys.path.insert(0, job["package"])
    predict = importlib.import_module("predict")
    model = predict.load(Path(job["package"]) / job["model"])
    height, width = predict.SETTINGS["image_size"]
    for _ in range(NUM_WARM_UP):
        model(np.zeros((height, width, 3), np.uint8))
    y_prob = np.full((len(job["pictures"]), len(predict.SETTINGS["labels"])), np.nan)
    read, seconds = np.zeros(len(y_prob), dtype=bool), []
    for row, (file, sha256) in enumerate(job["pictures"]):
        probabilities, took = ask(predict, model, file, sha256)
        if probabilities is not None:
            y_prob[row], read[row] = probabilities, True
            seconds.append(took)
        print(json.dumps({"done": row + 1}), flush=True)
    latency_ms = 1000 * float(np.median(seconds)) if seconds else 0.0
    with open(job["answers"], "wb") as out:
        np.savez(out, y_prob=y_prob, read=read, latency_ms=latency_ms)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
