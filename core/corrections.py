"""A prediction that a person corrects becomes a training photo: which may, and which must not."""

from __future__ import annotations

import hashlib
from pathlib import Path

from core import audit, curation, datasets, images, runs
from core.datasets import Dataset
from core.errors import DataError, NotFound
from core.runs import Run
from core.workspace import Workspace

MIN_SHARE = 0.5
"""Share of a run's pictures that its dataset must still have before it counts as the same."""

_ROLES = {"train": "a training picture", "val": "a validation picture", "test": "a test picture"}
_UNUSED = "a picture of the dataset"


def dataset_of(workspace: Workspace, run: Run) -> Dataset:
    """Return the dataset that a run was trained on, if its folder is there; cheap, so that a page may ask each time.

    Raises:
        NotFound: It was removed, or has not been looked at.
        DataError: Its folder is gone.
    """
    try:
        dataset = datasets.get(workspace, run.dataset_id)
    except NotFound as error:
        raise NotFound(
            f'The dataset "{run.dataset_name}", on which this model was trained, is not in this workspace. Photos are '
            "added to that dataset only. Add its folder on the Data page."
        ) from error
    if not dataset.pictures.is_dir():
        raise DataError(
            f'The folder "{dataset.root}" of the dataset "{dataset.name}" is not there. Put it back, or say on the '
            "Data page where it is now; then correct the prediction."
        )
    if not classes(workspace, dataset):
        raise NotFound(f'The dataset "{dataset.name}" has not been audited. Open it on the Data page first.')
    return dataset


def _require_same(workspace: Workspace, run: Run, dataset: Dataset) -> None:
    """Refuse a dataset that has become another one since a run was trained: its id tells only where its folder is.

    Raises:
        NotFound: It has less than :data:`MIN_SHARE` of the run's pictures, or its table cannot be read.
    """
    table = audit.load_table(workspace, dataset.id)
    if table is None:
        raise NotFound(f'The files of "{dataset.name}" have to be looked at again. Do so on the Data page.')
    known = runs.load_split(workspace, run.id)["sha256"]
    num_there = int(known.isin(set(table["sha256"])).sum())
    if num_there < MIN_SHARE * len(known):
        raise NotFound(
            f'The dataset "{dataset.name}" is another one now: it has {num_there:,} of the {len(known):,} pictures '
            "of this model's training. Expected at least half of them. Train on it as it is, then correct that model."
        )


def classes(workspace: Workspace, dataset: Dataset) -> tuple[str, ...]:
    """Return the classes that a photo may be added to: those of the dataset's folder."""
    layout = audit.load_layout(workspace, dataset.id)
    return () if layout is None else layout.class_names


def add_photo(workspace: Workspace, run: Run, path: Path, label: str) -> str:
    """Add a copy of a photo to the training pictures of a run's dataset; the photo itself is only read.

    Whatever is in the dataset already, or nearly so, is refused, in whichever split it is: so none that is added can
    be a test or validation picture, or near one, however the dataset is split later. So is what nearly repeats a photo
    that was added: two of them might say different classes.

    Args:
        workspace: Where the copy is kept.
        run: Whose prediction is corrected.
        path: The photo's file.
        label: What it really shows: a class of the dataset.

    Returns:
        The path of the copy in the dataset's table, once that is brought up to date by an audit.

    Raises:
        DataError: It must not be added; the message says why.
        NotFound: There is no such dataset any more, or it is another one now.
        UnreadableImage: It is no picture that can be read.
        WorkspaceError: The copy cannot be written.
    """
    dataset = dataset_of(workspace, run)
    _require_same(workspace, run, dataset)
    curation.require_class(label, classes(workspace, dataset))
    data = images.read_bytes(path)
    alike = audit.find_alike(workspace, dataset.id, data)
    sha256 = hashlib.sha256(data).hexdigest()
    _refuse_what_the_run_knows(workspace, run, sha256, alike)
    if before := datasets.find_added(dataset.pictures, sha256):
        shown = before.split("/")[1]
        raise DataError(
            f'This photo was added to "{shown}" already. Take it back first if it is of another class.'
        )
    if near := audit.find_alike_added(workspace, dataset, data):
        shown = near.split("/")[1]
        raise DataError(
            f'This photo is nearly the same as one that was added to "{shown}". It would teach nothing that that one '
            "does not, and another class would contradict it. It was not added. Take that one back first if it is of "
            "another class."
        )
    # What can be read though its beginning is unusual is a TIFF.
    suffix = next(iter(images.suffixes_of(images.sniff(data[:16]))), ".tif")
    return datasets.put_photo(dataset.pictures, data, label, suffix)


def added_as(dataset: Dataset, path: Path) -> tuple[str, str] | None:
    """Return the path in tables and the class of the copy of a photo, where one was added.

    Raises:
        UnreadableImage: The photo cannot be read.
    """
    found = datasets.find_added(dataset.pictures, hashlib.sha256(images.read_bytes(path)).hexdigest())
    return (found, found.split("/")[1]) if found else None


def _refuse_what_the_run_knows(
    workspace: Workspace, run: Run, sha256: str, alike: audit.Alike | None
) -> None:
    """Refuse a photo that the dataset or the run's split has, or nearly has."""
    split = runs.load_split(workspace, run.id).drop_duplicates("sha256").set_index("sha256")
    known = sha256 if alike is None else alike.sha256
    if alike is None and known not in split.index:
        return
    role = _ROLES[str(split["split"][known])] if known in split.index else _UNUSED
    path = alike.path if alike is not None else str(split["path"][known])
    if alike is not None and not alike.is_same:
        raise DataError(
            f'This photo is nearly the same as "{path}", {role}. {_why(role, near=True)} It was not added.'
        )
    raise DataError(f'This photo is "{path}", {role}. {_why(role, near=False)} It was not added.')


def _why(role: str, *, near: bool) -> str:
    if role in (_ROLES["val"], _ROLES["test"]):
        return "A model that learnt from it could not be judged by that one any more."
    if near:
        return "It would teach nothing that this one does not."
    known = "It is there already" if role == _UNUSED else "It is learnt from already"
    return f"{known}. If its class is wrong, give it another one on the Data page."
