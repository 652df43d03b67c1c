"""Which backbone suits a folder, and how fast is each? What the Training page's ranking finds.

    python benchmarks/ranking.py FOLDER BACKBONE [BACKBONE ...]

A detached session in a workspace of its own does the ranking through the queue, as from the page: the same head on the
features of each backbone, judged by cross-validation on the same pictures and folds, those of train and val only.
Prints accuracy with its 95 % interval, how far each is behind the first on the same pictures, and the milliseconds of
one picture alone, decoding left out.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.session import workplace
from core import audit, catalog, datasets, queue, ranking, recipes
from core.ranking import Ranked


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("backbone", nargs="+")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning")
    recipe = recipes.Recipe()
    with workplace() as (workspace, _):
        dataset = datasets.add_folder(workspace, arguments.folder)
        audit.audit(workspace, dataset)
        job = queue.submit_ranking(
            workspace, dataset.id, arguments.backbone, recipe.fractions, recipe.seed, recipe.keep_given
        )
        queue.wait(workspace, job.id)
        found = ranking.load(workspace, dataset.id)
    assert found is not None
    print(f"\n{dataset.name}: {found.num_images:,} pictures of train and val, {found.num_folds} folds\n")
    print("| backbone | accuracy (95 % interval) | points behind the first | one picture alone |")
    print("|---|---|---|---|")
    for entry in found.entries:
        print(line(entry))
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def line(entry: Ranked) -> str:
    """Return the row of one backbone."""
    title = catalog.get(entry.backbone).title
    if entry.error:
        return f"| {title} | {entry.error} | | |"
    behind = ""
    if entry.behind is not None:
        value, low, high = (100 * part for part in entry.behind)
        behind = f"{value:.1f} ({low:.1f} to {high:.1f})"
    accuracy = f"{entry.accuracy:.1%} ({100 * entry.low:.1f} to {100 * entry.high:.1f})"
    return f"| {title} | {accuracy} | {behind} | {entry.ms_per_image:.1f} ms |"


if __name__ == "__main__":
    main()
