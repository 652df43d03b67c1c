"""Which test pictures had a twin in train before duplicates were kept together, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from core import catalog, leakage, queue, recipes, runs, splits
from core.errors import DataError
from core.queue import Job
from core.recipes import Recipe
from pages.components import dataset as dataset_view
from pages.components import job as job_view
from pages.components import shell
from pages.components.data_facts import Facts
from pages.components.dataset import SplitChoice
from pages.components.split_facts import SplitFacts
from pages.components.text import percent, t


class Twins(NamedTuple):
    """How many test pictures have a twin in train in a split without regard to duplicates, and its hash."""

    num_twins: int
    num_test: int
    fingerprint: str


def show(facts: Facts, found: SplitFacts) -> None:
    """Draw how many there were, and what they are worth once that was measured."""
    choice = dataset_view.split_choice(facts.dataset)
    twins = _twins(shell.workspace().home, facts.dataset.id, facts.version, choice, facts)
    if twins is None:
        return
    given = "test" in found.given
    st.header(t("leak.title"), anchor=False)
    if not twins.num_twins:
        st.markdown(t("leak.none_given" if given else "leak.none_chance"))
        return
    counts = {"n": twins.num_twins, "total": twins.num_test}
    st.markdown(t("leak.given", **counts) if given else t("leak.chance", **counts))
    worth = leakage.load(shell.workspace(), facts.dataset.id)
    job = queue.latest(shell.workspace(), kind="leak", dataset_id=facts.dataset.id)
    if job is not None and job.state != "done":
        job_view.watch(job.id, lambda job: _draw(facts, job))
    if worth is not None:
        _worth(worth)
    is_stale = worth is None or worth["fingerprint"] != twins.fingerprint
    if is_stale and worth is not None:
        st.caption(t("leak.stale"))
    if is_stale and (job is None or job.state == "done"):
        _offer(facts)


@st.cache_data(max_entries=16, show_spinner=False)
def _twins(home: Path, dataset_id: str, version: str, choice: SplitChoice, _facts: Facts) -> Twins | None:
    table = dataset_view.files(_facts.dataset)
    if table is None:
        return None
    table = splits.without_given(table, keep=choice.keep_given)
    try:
        split = leakage.unguarded(table, choice.fractions, choice.seed)
    except DataError:
        return None
    num_twins = int(leakage.with_twins(table, split).sum())
    return Twins(num_twins, int((split == "test").sum()), splits.fingerprint(table, split))


def _recipe(facts: Facts) -> Recipe:
    """Return whose network looks at the pictures: that of the newest run, whose features are there already."""
    done = [run for run in runs.list_runs(shell.workspace(), facts.dataset.id) if run.state == "done"]
    recipe = recipes.from_json(done[0].recipe) if done else recipes.validate(Recipe())
    fractions, seed, keep_given = dataset_view.split_choice(facts.dataset)
    return recipes.for_probe(recipe, fractions=fractions, seed=seed, keep_given=keep_given)


def _offer(facts: Facts) -> None:
    with shell.errors():
        recipe = _recipe(facts)
        st.button(
            t("leak.measure"),
            key="leak_measure",
            icon=":material/balance:",
            help=t("leak.measure_help", backbone=catalog.get(recipe.backbone).title),
            on_click=_submit,
            args=(facts, recipe),
        )


def _submit(facts: Facts, recipe: Recipe) -> None:
    with shell.errors():
        queue.submit_leak(shell.workspace(), facts.dataset.id, recipe)


def _draw(facts: Facts, job: Job) -> None:
    if job.active:
        job_view.progress(job)
    else:
        job_view.outcome(job, retry=lambda: _submit(facts, _recipe(facts)))


def _worth(worth: Mapping[str, Any]) -> None:
    difference = worth["difference"]
    points = {name: f"{100 * difference[key]:+.1f}" for name, key in _POINTS.items()}
    accuracies = {name: percent(worth[name]) for name in ("with_twins", "without_twins")}
    st.markdown(t("leak.worth", **accuracies, **points))
    of_twins = {
        "with_twins": percent(worth["twins_with"]),
        "without_twins": percent(worth["twins_without"]),
    }
    how = t("leak.how", n=worth["num_left_out"], train=worth["num_train"], backbone=worth["backbone"])
    st.caption(f"{t('leak.of_twins', n=worth['num_twins'], **of_twins)} {how}")


_POINTS = {"difference": "value", "low": "low", "high": "high"}
"""How the sentence calls the parts of a difference."""
