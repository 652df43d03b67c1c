"""How fast are the pages with 20,000 pictures and 120 classes, in a real browser?

    python benchmarks/pages.py [--home FOLDER] [--photos FOLDER] [--rounds 5] [--profile]

Makes a workspace (in FOLDER, where it is kept for the next time, else in a temporary one) with a run that was judged by
20,000 generated test pictures of 120 classes, and looks at it in a headless Chromium: each round has a fresh server and
a visitor of its own, who looks at the start page for two seconds first. Prints medians of the seconds from a click
until the script has run and what it drew is there.

``--photos`` is a folder of class folders for the Data page, such as ``benchmarks/audit.py --generate`` writes; without
it the generated pictures are taken. ``--profile`` prints instead where the server's time goes when a page is run again.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import audit, datasets, recipes, runs
from core.datasets import Dataset
from core.evaluation import judge
from core.progress import no_progress
from core.runs import Run
from core.workspace import Workspace
from scripts.browser import chromium, find_chromium, serving, settle

NUM_CLASSES, NUM_TEST, NUM_TRAIN = 120, 20_000, 240
ACCURACY = 0.85
SIDE = 48
"""Pixels of a generated picture."""
VIEWPORT = {"width": 1440, "height": 900}
LOOKS_S = 2
"""Seconds that a visitor looks at the start page before going on; at once, a browser is busy with its own start."""

RUN_AGAIN = """
async (element) => {
  const app = document.querySelector("[data-testid=stApp]");
  const start = performance.now();
  let ran = false;
  element.click();
  const done = () => {
    const state = app.getAttribute("data-test-script-state");
    ran ||= state === "running";
    return ran && state === "notRunning" && !document.querySelector("[data-stale=true]");
  };
  while (!done()) {
    await new Promise(requestAnimationFrame);
    if (performance.now() - start > 20000) throw new Error("not there after 20 s");
  }
  return (performance.now() - start) / 1000;
}
"""
"""Clicks and waits until the script has run and what it drew before is gone; seconds."""

OPENED = """
async ([name, group]) => {
  const start = performance.now();
  document.querySelector(`[data-testid=stSidebarNavLink][href*="${name}"]`).click();
  const done = () => {
    const pictures = [...document.querySelectorAll(`[role=group][aria-label="${group}"] img`)];
    pictures[0]?.scrollIntoView(); // those out of sight are loaded later
    return location.pathname.endsWith(name) && pictures.length && pictures.slice(0, 6).every((one) => one.complete);
  };
  while (!done()) {
    await new Promise(requestAnimationFrame);
    if (performance.now() - start > 20000) throw new Error("not there after 20 s");
  }
  return (performance.now() - start) / 1000;
}
"""
"""Goes to a page and waits until the first row of pictures of a gallery is seen; seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (arguments.home or Path(scratch)).resolve()
        workspace, run, photos = prepare(home, arguments.photos)
        if arguments.profile:
            profile(workspace, run)
        else:
            report(measure(workspace, run, photos, arguments.rounds))


# --- what is looked at ----------------------------------------------------------------------------------------------


def prepare(home: Path, photos: Path | None) -> tuple[Workspace, Run, Dataset]:
    """Make the workspace, or take up the one that is there."""
    workspace = Workspace(home / "graft")
    generated = audited(workspace, generate(home / "generated"))
    done = [run for run in runs.list_runs(workspace, generated.id) if run.state == "done"]
    run = done[0] if done else judged_run(workspace, generated)
    return workspace, run, generated if photos is None else audited(workspace, photos)


def audited(workspace: Workspace, folder: Path) -> Dataset:
    """Make a folder a dataset whose files were looked at."""
    dataset = datasets.add_folder(workspace, folder)
    if not (workspace.datasets_dir / dataset.id / "files.parquet").exists():
        started = time.perf_counter()
        audit.audit(workspace, dataset, no_progress)
        print(f"Audited {folder.name} in {time.perf_counter() - started:.0f} s")
    return dataset


def generate(folder: Path) -> Path:
    """Write small pictures, each different from the rest, and a metadata.csv about those of test."""
    if folder.exists():
        return folder
    rng, rows = np.random.default_rng(0), []
    for split, count in (("train", NUM_TRAIN), ("test", NUM_TEST)):
        for number in range(count):
            path = Path(split) / f"class {number % NUM_CLASSES:03}" / f"{number:05}.jpg"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / path)
            rows.append((path.as_posix(), f"site {number % 7}", rng.random()))
    pd.DataFrame(rows, columns=["path", "site", "light"]).to_csv(folder / "metadata.csv", index=False)
    return folder


def judged_run(workspace: Workspace, dataset: Dataset) -> Run:
    """Write a run that is right on about 85 % of test and confuses neighbouring classes."""
    table = audit.load_table(workspace, dataset.id)
    assert table is not None
    table = table[table["usable"]].assign(split=table["given_split"])
    names = tuple(sorted(table["label"].unique()))
    run = runs.create(workspace, dataset.id, dataset.name, recipes.validate(recipes.Recipe()).to_json())
    runs.save_split(workspace, run.id, table)
    rng = np.random.default_rng(1)
    metrics = {}
    for split in ("train", "test"):
        y_true = table["label"][table["split"] == split].map(names.index).to_numpy()
        away = np.where(rng.random(len(y_true)) < ACCURACY, 0, rng.geometric(0.4, len(y_true)))
        logits = rng.normal(size=(len(y_true), len(names))).astype(np.float32)
        logits[np.arange(len(y_true)), (y_true + away) % len(names)] += rng.uniform(3, 9, len(y_true))
        runs.save_arrays(workspace, run.id, f"predictions-{split}", logits=logits)
        found = judge(y_true, logits, 1.0, names)
        runs.save_judgement(workspace, run.id, split, found)
        metrics[split] = found.scores.to_json()
    counts = {split: int((table["split"] == split).sum()) for split in runs.SPLITS}
    done = replace(run, state="done", class_names=names, num_images=counts, metrics=metrics)
    runs.save(workspace, done)
    return done


# --- looking --------------------------------------------------------------------------------------------------------


def measure(workspace: Workspace, run: Run, photos: Dataset, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each step in each round."""
    found: dict[str, list[float]] = defaultdict(list)
    path = find_chromium()
    if path is None:
        sys.exit("No Chromium was found. Install one, or set CHROMIUM to its path.")
    with chromium(path) as browser:
        for number in range(rounds):
            print(f"Round {number + 1} of {rounds}", file=sys.stderr)
            with serving(workspace.home, GRAFT_DEVICE="cpu") as url:
                evaluation(browser, f"{url}/?dataset={run.dataset_id}&run={run.id}", found)
            with serving(workspace.home, GRAFT_DEVICE="cpu") as url:
                data(browser, f"{url}/?dataset={photos.id}", found)
    return found


def evaluation(browser: Browser, url: str, found: dict[str, list[float]]) -> None:
    """Open the Evaluation page as the server's first visitor, then again, and look around."""
    page = visit(browser, url)
    for moment in ("the first time", "again"):
        found[f"Evaluation: gallery, {moment}"].append(
            page.evaluate(OPENED, ["evaluation", "Misclassified pictures"])
        )
        settle(page)
        if moment == "the first time":
            page.locator("[data-testid=stSidebarNavLink]").first.click()
            page.wait_for_url("**/?*")
            settle(page)
    for name in ("Hidden", "Shown", "Hidden"):
        found["Evaluation: page run again"].append(click(page, "radio", name))
    found["Evaluation: another list"].append(click(page, "radio", "Confidently wrong"))
    cells = page.get_by_role("gridcell")
    wrong = [index for index in range(cells.count()) if cells.nth(index).inner_text() not in ("·", "")]
    for index in wrong[1:4]:
        found["Evaluation: a cell, 16 classes shown"].append(cells.nth(index).evaluate(RUN_AGAIN))
    found["Evaluation: all 120 classes"].append(click(page, "radio", "All", exact=True))
    for row in (20, 60):
        found["Evaluation: a cell, 120 classes shown"].append(
            cells.nth(row * NUM_CLASSES + row + 1).evaluate(RUN_AGAIN)
        )
    page.context.close()


def data(browser: Browser, url: str, found: dict[str, list[float]]) -> None:
    """Open the Data page as the server's first visitor, then again, and turn pages."""
    page = visit(browser, url)
    for moment in ("the first time", "again"):
        found[f"Data: pictures, {moment}"].append(page.evaluate(OPENED, ["data", "Pictures"]))
        settle(page)
        if moment == "the first time":
            page.locator("[data-testid=stSidebarNavLink]").first.click()
            page.wait_for_url("**/?*")
            settle(page)
    seen = {1}
    for number in (2, 3, 1, 2, 3):
        step = "Data: a page of pictures, new" if number not in seen else "Data: page run again"
        seen.add(number)
        found[step].append(click(page, "button", f"Page {number}", exact=True))
    page.context.close()


def visit(browser: Browser, url: str) -> Page:
    """Open the start page, whose scripts every page needs, and look at it."""
    page = browser.new_context(viewport=VIEWPORT, reduced_motion="reduce").new_page()  # type: ignore[arg-type]
    page.goto(url)
    settle(page)
    page.wait_for_timeout(1000 * LOOKS_S)
    return page


def click(page: Page, role: str, name: str, *, exact: bool = False) -> float:
    """Click and return the seconds until all is there."""
    target = page.get_by_test_id("stMain").get_by_role(role, name=name, exact=exact).first  # type: ignore[arg-type]
    return float(target.evaluate(RUN_AGAIN))


def report(found: dict[str, list[float]]) -> None:
    """Print the medians as a table."""
    print("| step | seconds (median) | least | most | n |\n|---|---|---|---|---|")
    for step, seconds in found.items():
        numbers = " | ".join(
            f"{value:.2f}" for value in (statistics.median(seconds), min(seconds), max(seconds))
        )
        print(f"| {step} | {numbers} | {len(seconds)} |")


# --- where the time goes --------------------------------------------------------------------------------------------


def profile(workspace: Workspace, run: Run) -> None:
    """Print what the server does when the pages are run again, without a browser."""
    from streamlit.testing.v1 import AppTest

    os.environ |= {"GRAFT_HOME": str(workspace.home), "GRAFT_DEVICE": "cpu"}
    root = Path(__file__).resolve().parents[1]
    for name in ("evaluation", "data"):
        app = AppTest.from_file(str(root / "streamlit_app.py"), default_timeout=300)
        app.query_params["run"] = run.id
        app.run()
        app.switch_page(f"pages/{name}.py").run().run()
        started = time.perf_counter()
        app.run()
        print(f"{name}: {time.perf_counter() - started:.2f} s")
        spent = cProfile.Profile()
        enable = spent.enable
        threading.setprofile(
            lambda *_, enable=enable: enable()
        )  # the page's script runs in a thread of its own
        app.run()
        threading.setprofile(None)
        pstats.Stats(spent).sort_stats("cumulative").print_stats(80)


if __name__ == "__main__":
    main()
