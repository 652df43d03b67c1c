"""How much memory does the app's server take, and does it grow with what is looked at?

    python benchmarks/memory.py HOME... [--rounds 6] [--visitors 5]

HOME is a workspace with a run that is done, made by ``GRAFT_HOME=HOME python -m core train FOLDER --recipe
linear-probe``; the newest run is looked at. Each has a server of its own and is opened in a headless Chromium: the five
pages one after the other, scrolled to their ends; then the same again, ``--rounds`` times by one visitor, and by
``--visitors`` others, each of whom leaves before the next comes. Prints what the server takes after each, and the most
that it ever took, which the kernel counts. Linux only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.pages import visit
from core import runs
from core.runs import Run
from core.workspace import Workspace, open_workspace
from scripts.browser import chromium, find_chromium, serving, settle

PAGES = ("data", "training", "evaluation", "predict", "runs")

TO_THE_END = """
async () => {
  const main = document.querySelector("[data-testid=stMain]");
  for (let top = 0; top < main.scrollHeight; top += 800) {
    main.scrollTo(0, top);
    await new Promise((done) => setTimeout(done, 30));
  }
}
"""
"""Scrolls through a page, so that what is loaded when it comes into sight is loaded."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("homes", type=Path, nargs="+", metavar="HOME")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--visitors", type=int, default=5)
    arguments = parser.parse_args()
    path = find_chromium()
    if path is None:
        sys.exit("No Chromium was found. Install one, or set CHROMIUM to its path.")
    with chromium(path) as browser:
        for home in arguments.homes:
            workspace = open_workspace(home)
            done = [run for run in runs.list_runs(workspace) if run.state == "done"]
            if not done:
                sys.exit(f"{home} has no run that is done.")
            measure(browser, workspace, done[0], arguments.rounds, arguments.visitors)


def measure(browser: Browser, workspace: Workspace, run: Run, rounds: int, visitors: int) -> None:
    """Print what the server takes, in MB, as one visitor and then others look at a run's pages."""
    print(f"\n{sum(run.num_images.values()):,} pictures\n\n| | now | most so far |\n|---|---|---|")
    with serving(workspace.home, GRAFT_DEVICE="cpu") as url:
        server = only_child("streamlit")
        page = visit(browser, f"{url}/?dataset={run.dataset_id}&run={run.id}")
        tell("the start page", server)
        for name in PAGES:
            look(page, name)
            tell(f"{name} opened", server)
        for number in range(rounds):
            for name in PAGES:
                look(page, name)
            tell(f"the same five pages again, {number + 1}", server)
        page.context.close()
        for number in range(visitors):
            other = visit(browser, f"{url}/?dataset={run.dataset_id}&run={run.id}")
            for name in PAGES:
                look(other, name)
            other.context.close()
            tell(f"visitor {number + 2} has come, seen all five and gone", server)


def look(page: Page, name: str) -> None:
    """Go to a page by its link, wait until it is there, and scroll through it."""
    page.locator(f"[data-testid=stSidebarNavLink][href*='{name}']").click()
    page.wait_for_url(f"**/{name}*")
    settle(page)
    page.evaluate(TO_THE_END)
    settle(page)


def only_child(word: str) -> psutil.Process:
    """Return the child of this process that was started by a command with ``word`` in it."""
    (found,) = (child for child in psutil.Process().children() if word in child.cmdline())
    return found


def tell(what: str, server: psutil.Process) -> None:
    """Print what a process takes now, and the most it ever took, in millions of bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    now, most = (int(status.split(f"{name}:")[1].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    print(f"| {what} | {now:,.0f} MB | {most:,.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
