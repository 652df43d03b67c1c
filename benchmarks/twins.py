"""What are twins in train worth: is a head more often right on test where train has near-duplicates of it?

    python benchmarks/twins.py FOLDER [--backbone mobilenet-v2]

A detached session in a workspace of its own measures it through the queue, as the Data page offers it: the same head is
fitted with all of train and without the pictures that have a twin in test, and asked about the same test pictures. A
split that the folder brings is kept as it is; else one is drawn file by file. Prints both accuracies, on all test
pictures and on those with a twin, and the paired difference with its 95 % interval.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.session import workplace
from core import audit, datasets, leakage, queue, recipes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", default="mobilenet-v2")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning\n")
    with workplace() as (workspace, _):
        dataset = datasets.add_folder(workspace, arguments.folder)
        audit.audit(workspace, dataset)
        recipe = recipes.validate(replace(recipes.preset("linear-probe"), backbone=arguments.backbone))
        queue.wait(workspace, queue.submit_leak(workspace, dataset.id, recipe).id)
        found = leakage.load(workspace, dataset.id)
    assert found is not None
    print(f"{dataset.name}, {found['backbone']}: {found['num_train']:,} pictures of train, of which")
    print(f"{found['num_left_out']} have a twin in test; {found['num_test']} of test\n")
    print("| right on | pictures | with twins in train | without |\n|---|---|---|---|")
    print(f"| test | {found['num_test']} | {found['with_twins']:.1%} | {found['without_twins']:.1%} |")
    print(
        f"| test with a twin | {found['num_twins']} | {found['twins_with']:.1%} | {found['twins_without']:.1%} |"
    )
    value, low, high = (100 * found["difference"][name] for name in ("value", "low", "high"))
    print(f"\nwith twins {value:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}) on all of test")


if __name__ == "__main__":
    main()
