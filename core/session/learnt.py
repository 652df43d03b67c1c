"""What a network has learnt from before a training begins with it, and which pictures can therefore not judge it.

A run that goes on from an earlier one has that one's network. Where its backbone was fine-tuned, what it learnt is
still in there, however the pictures are shared out now; and so on through the runs that one came from. A backbone that
is as published has learnt from none of the pictures.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import recipes, runs
from core.errors import JobError, NotFound, WorkspaceError
from core.recipes import Recipe
from core.runs import Run
from core.workspace import Workspace


@dataclass(frozen=True)
class Learnt:
    """What went into a network, through all runs that it came from.

    Args:
        train: Hashes of the pictures that it has learnt from.
        val: Hashes of those that it was chosen by.
        run_ids: The runs in which it did.
        elsewhere: Those among them that were trained on another dataset. What they have learnt from is known by its
            bytes only, since near-duplicates are looked for within a dataset.
        gone: Runs of which nobody knows any more what they have learnt from: they, or their splits, are not there.
        from_file: Whether it, or a network that it comes from, began with a file of weights, which does not tell what
            they were learnt from.
    """

    train: frozenset[str] = frozenset()
    val: frozenset[str] = frozenset()
    run_ids: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    from_file: bool = False

    def spoilt(self, table: pd.DataFrame) -> np.ndarray:
        """Return which pictures of val and test cannot judge the network: bool, shape (rows,).

        Of test what was learnt from or chosen by, of val what was learnt from, and near-duplicates of these.

        Args:
            table: Columns ``sha256``, ``split`` and, where it is known, ``group``: that of today, so that one which
                joins a picture that was learnt from with one that judges counts for both.
        """
        split = table["split"].to_numpy()
        in_test = (split == "test") & near(table, self.train | self.val)
        in_val = (split == "val") & near(table, self.train)
        spoilt: np.ndarray = in_test | in_val
        return spoilt


def near(table: pd.DataFrame, hashes: Collection[str]) -> np.ndarray:
    """Return which rows are among some pictures, or in a group with one of them: bool, shape (rows,)."""
    keys = runs.groups_of(table)
    known = table["sha256"].isin(list(hashes)).to_numpy()
    found: np.ndarray = known | pd.Series(keys).isin(set(keys[known])).to_numpy()
    return found


def learnt_before(workspace: Workspace, dataset_id: str, recipe: Recipe) -> Learnt:
    """Return what has gone into the network that a recipe begins with, and into that which its teacher began with.

    A student has the split of its teacher, so it must leave out what that one had to.
    """
    search = _Search(workspace)
    search.before(recipe)
    return search.found(dataset_id)


def learnt_by(workspace: Workspace, run: Run) -> Learnt:
    """Return what has gone into the model of a run, its head and its backbone.

    Raises:
        NotFound: Its split is not there any more.
    """
    runs.load_split(workspace, run.id)
    search = _Search(workspace)
    search.model(run)
    return search.found(run.dataset_id)


def require_unlearnt(
    workspace: Workspace, dataset_id: str, recipe: Recipe, table: pd.DataFrame, what: str
) -> None:
    """Refuse to judge pictures on the network that a recipe begins with, where it has learnt from some of them.

    Args:
        workspace: Where the runs are.
        dataset_id: Where the pictures are from.
        recipe: Whose network.
        table: The pictures: columns ``sha256`` and, where it is known, ``group``.
        what: What was asked for, such as ``"cross-validation"``.

    Raises:
        JobError: It has, or nobody knows whether it has.
    """
    learnt = learnt_before(workspace, dataset_id, recipe)
    advice = f"For {what} choose a run that begins with published weights."
    if seen := int(near(table, learnt.train | learnt.val).sum()):
        raise JobError(
            f"The network that this run begins with has learnt from {seen} of these {len(table)} pictures, or "
            f"near-duplicates of them, in {', '.join(learnt.run_ids)}. It would be judged too well. {advice}"
        )
    if learnt.gone:
        raise JobError(
            f"The network that this run begins with comes from {', '.join(learnt.gone)}, of which nobody knows any "
            f"more what it has learnt from. It might be judged too well. {advice}"
        )


class _Search:
    """Goes through the runs that a network came from; each is looked at once, even where records name each other."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._asked: set[tuple[str, str]] = set()
        self._train: set[str] = set()
        self._val: set[str] = set()
        self._datasets: dict[str, str] = {}
        self._gone: dict[str, None] = {}
        self._from_file = False

    def found(self, dataset_id: str) -> Learnt:
        """Return what was found, for pictures of a dataset."""
        elsewhere = tuple(run_id for run_id, of in self._datasets.items() if of != dataset_id)
        return Learnt(
            frozenset(self._train),
            frozenset(self._val),
            tuple(self._datasets),
            elsewhere,
            tuple(self._gone),
            self._from_file,
        )

    def before(self, recipe: Recipe) -> None:
        """Add what the network that a recipe begins with has learnt from, and that which its teacher began with."""
        self._network(recipe)
        teacher = self._run("teacher", recipes.teacher_run(recipe))
        if teacher is not None:
            self.before(recipes.from_json(teacher.recipe))

    def model(self, run: Run) -> None:
        """Add what a run has learnt from, its head included."""
        self._own(run)
        self._network(recipes.from_json(run.recipe))

    def _network(self, recipe: Recipe) -> None:
        self._from_file |= recipes.weights_file(recipe) is not None
        parent = self._run("parent", recipes.parent_run(recipe))
        if parent is not None:
            if parent.fine_tuned:
                self._own(parent)
            self._network(recipes.from_json(parent.recipe))

    def _own(self, run: Run) -> None:
        """Add what was learnt in a run itself, and what its teacher had learnt, who passed it on."""
        try:
            table = runs.load_split(self._workspace, run.id)
        except (NotFound, WorkspaceError):
            self._gone[run.id] = None
        else:
            self._train |= set(table["sha256"][table["split"] == "train"])
            self._val |= set(table["sha256"][table["split"] == "val"])
            self._datasets[run.id] = run.dataset_id
        teacher = self._run("taught", recipes.teacher_run(recipes.from_json(run.recipe)))
        if teacher is not None:
            self.model(teacher)

    def _run(self, role: str, run_id: str) -> Run | None:
        """Return a run that was not yet looked at in a role; None where there is none."""
        if not run_id or (role, run_id) in self._asked:
            return None
        self._asked.add((role, run_id))
        try:
            return runs.get(self._workspace, run_id)
        except (NotFound, WorkspaceError):
            self._gone[run_id] = None
            return None
