"""What can be asked for: each kind of job that needs more than its arguments put down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core import catalog, datasets, exports, recipes, runs
from core.errors import GraftError, RecipeError
from core.queue.devices import default_device
from core.queue.jobs import Job, get, insert, latest, list_jobs, submit
from core.queue.sessions import tend
from core.recipes import Recipe
from core.runs import Run
from core.workspace import Workspace, remove_directory

MAX_SHORT = 32
"""Photos that are answered at once: a batch, which takes about a second."""


def submit_audit(workspace: Workspace, dataset_id: str) -> Job:
    """Have the files of a dataset looked at; where that waits in the queue already it is not asked for twice."""
    for job in list_jobs(workspace, active=True, kind="audit", dataset_id=dataset_id):
        if job.state == "queued":
            return job
    return submit(workspace, "audit", {"dataset_id": dataset_id}, dataset_id=dataset_id)


def submit_training(
    workspace: Workspace,
    dataset_id: str,
    dataset_name: str,
    recipe: Recipe,
    *,
    sample: str = "",
    forecast_s: float = 0.0,
) -> Job:
    """Make a run and put its training in the queue; a student gets the split of its teacher.

    Args:
        workspace: Where to.
        dataset_id: Dataset to train on; need not exist yet if ``sample`` names the sample it is made from.
        dataset_name: Its name.
        recipe: What to do.
        sample: Sample to make first where it is missing.
        forecast_s: About how many seconds it will take, for those who wait behind it; 0 for unknown.

    Raises:
        NotFound: The run to go on from, or to learn from, is not there.
        RecipeError: The recipe cannot be used.
    """
    recipe = recipes.validate(recipe)
    check_parent(workspace, recipe)
    if recipe.teacher:
        recipe = recipes.in_split_of(recipe, teacher_of(workspace, dataset_id, recipe).recipe)
    run = runs.create(workspace, dataset_id, dataset_name, recipe.to_json())
    args = {"sample": sample, "keras_home": _keras_home(), "forecast_s": forecast_s}
    try:
        return submit(workspace, "train", args, run_id=run.id, dataset_id=dataset_id)
    except GraftError:  # without its job it would wait for ever
        remove_directory(runs.folder(workspace, run.id))
        raise


def check_parent(workspace: Workspace, recipe: Recipe) -> None:
    """Check that the run whose network a recipe goes on from, if any, can be gone on from.

    Raises:
        NotFound: There is no such run.
        RecipeError: It is not finished, or has another backbone.
    """
    parent_id = recipes.parent_run(recipe)
    if not parent_id:
        return
    parent = runs.get(workspace, parent_id)
    if parent.state != "done":
        raise RecipeError(
            f"The run {parent.id} is {parent.state}, so there is nothing to go on from. Choose a finished run."
        )
    theirs = recipes.from_json(parent.recipe)
    if (theirs.backbone, theirs.depth) != (recipe.backbone, recipe.depth):
        raise RecipeError(
            f"The run {parent.id} has the backbone {theirs.backbone} at depth {theirs.depth:g}, the recipe "
            f"{recipe.backbone} at depth {recipe.depth:g}. Choose the same for both."
        )


def teacher_of(workspace: Workspace, dataset_id: str, recipe: Recipe) -> Run:
    """Return the run that a recipe names as its teacher.

    Raises:
        NotFound: There is no such run.
        RecipeError: It is not finished, or was trained on another dataset.
    """
    teacher = runs.get(workspace, recipes.teacher_run(recipe))
    if teacher.state != "done":
        raise RecipeError(
            f"The teacher {teacher.id} is {teacher.state}, so it has nothing to teach. Choose a finished run."
        )
    if teacher.dataset_id != dataset_id:
        raise RecipeError(
            f'The teacher {teacher.id} was trained on another dataset, "{teacher.dataset_name}". Whether it has learnt '
            "from pictures that are to judge its student is known only on the same dataset. Choose a run on that one."
        )
    return teacher


def retry_training(workspace: Workspace, run_id: str) -> Job:
    """Put the training of a run that did not end well in the queue again, under the same id.

    What was done is not done twice: features come from the store, and stage 2 goes on after its last finished epoch.

    Raises:
        RecipeError: The run is under way, or ended well.
        NotFound: There is no such run.
    """
    before = latest(workspace, kind="train", run_id=run_id)
    args = {**(before.args if before else {}), "keras_home": _keras_home()}
    device = default_device().id
    with workspace.transaction() as db:  # whoever looks for lost runs, or asks too, sees both changes or none
        run = runs.get(workspace, run_id)
        if run.state == "done" or run.state in runs.ACTIVE_STATES:
            raise RecipeError(
                f"The run {run_id} is {run.state}. Only a run that failed, was cancelled or was interrupted can go on."
            )
        job_id = insert(db, device, "train", args, run_id, run.dataset_id)
        runs.save(workspace, replace(run, state="queued", error=""))
    tend(workspace)
    return get(workspace, job_id)


def submit_cross_validation(workspace: Workspace, run: runs.Run) -> Job:
    """Put the cross-validation of a run's head in the queue.

    Its job carries the run in ``args`` only: how it ends is not how the run ended.
    """
    args = {"run_id": run.id, "keras_home": _keras_home()}
    return submit(workspace, "cross_validate", args, dataset_id=run.dataset_id)


def submit_leak(workspace: Workspace, dataset_id: str, recipe: Recipe) -> Job:
    """Put the question what twins in train are worth in the queue; a recipe says which network and which split."""
    args = {"recipe": recipe.to_json(), "keras_home": _keras_home()}
    return submit(workspace, "leak", args, dataset_id=dataset_id)


def submit_ranking(
    workspace: Workspace,
    dataset_id: str,
    backbones: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    keep_given: bool = True,
) -> Job:
    """Put the question which of some backbones suits a dataset in the queue.

    Args:
        workspace: Where to.
        dataset_id: The dataset.
        backbones: Names in the catalog.
        fractions: Shares of train, val and test by which the dataset is split; test stays out of it.
        seed: Of that split.
        keep_given: Whether a split that the folder brings is kept.

    Raises:
        NotFound: There is no such dataset.
        RecipeError: A backbone is not in the catalog, or there is none.
    """
    datasets.get(workspace, dataset_id)
    names = [catalog.get(name).name for name in backbones]
    if not names:
        raise RecipeError("No backbone was chosen. Choose at least one to be ranked.")
    split = {"fractions": list(fractions), "seed": seed, "keep_given": keep_given}
    args = {"backbones": names, **split, "keras_home": _keras_home()}
    return submit(workspace, "rank", args, dataset_id=dataset_id)


def submit_prediction(
    workspace: Workspace, run: runs.Run, paths: Sequence[Path], below: Path | None = None
) -> Job:
    """Put the question what a run sees in some files in the queue; many of them wait in a lane of their own.

    Args:
        workspace: Where to.
        run: A finished run.
        paths: The files.
        below: The folder that was asked about, where it was one: its files are known by their paths in it.
    """
    args = {"run_id": run.id, "paths": [str(path) for path in paths], "keras_home": _keras_home()}
    if below is not None:
        args["below"] = str(below)
    return submit(workspace, "predict" if len(paths) <= MAX_SHORT else "predict_many", args)


def submit_familiarity(workspace: Workspace, run: runs.Run) -> Job:
    """Have it measured what a run takes for familiar, and kept with it, as the first question about a photo would."""
    args = {"run_id": run.id, "paths": [], "keras_home": _keras_home()}
    return submit(workspace, "predict_many", args)


def submit_explanation(workspace: Workspace, run: runs.Run, path: Path, class_names: Sequence[str]) -> Job:
    """Put the question in the queue where a run looked in a picture for some classes, and what it resembles.

    Args:
        workspace: Where to.
        run: A finished run.
        path: The picture.
        class_names: The classes to explain, such as the true and the predicted one.
    """
    args = {"run_id": run.id, "path": str(path), "classes": list(class_names), "keras_home": _keras_home()}
    return submit(workspace, "explain", args)


def submit_export(workspace: Workspace, run: runs.Run, formats: Sequence[str]) -> Job:
    """Put the export of a run's model in the queue.

    Args:
        workspace: Where to.
        run: Whose model; its job carries it in ``args`` only, since how an export ends is not how the run ended.
        formats: Keys of :data:`core.exports.FORMATS`.

    Raises:
        RecipeError: A format is unknown, or a package for it is missing.
    """
    args = {"run_id": run.id, "formats": list(exports.validate(formats)), "keras_home": _keras_home()}
    return submit(workspace, "export", args, dataset_id=run.dataset_id)


def _keras_home() -> str:
    """Return the Keras home of whoever asks; the session may have been started under another one, elsewhere."""
    return str(catalog.keras_home().absolute())
