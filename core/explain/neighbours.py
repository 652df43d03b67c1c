"""Which training pictures a picture resembles, in the features that the head stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core import engines, features
from core.backbones import Backbone
from core.engines import litert
from core.feature_store import FeatureSpace
from core.workspace import Workspace


@dataclass(frozen=True)
class Neighbour:
    """A training picture that resembles another picture.

    Args:
        path: Below the dataset's folder.
        sha256: Of its bytes.
        label: Its class.
        likeness: Cosine of the angle between the features, in [−1, 1]; 1 is the same.
        is_duplicate: Whether it has the same bytes as the other picture, or is a near-duplicate of it.
    """

    path: str
    sha256: str
    label: str
    likeness: float
    is_duplicate: bool


def known_features(
    workspace: Workspace, backbone: Backbone, hashes: Sequence[str], resize: str, pooling: str
) -> np.ndarray:
    """Return the features of pictures as far as they are kept; none is computed.

    Args:
        workspace: Keeps them.
        backbone: The network; only what it is called and made of is looked at.
        hashes: SHA-256 of each picture's file.
        resize: How pictures are brought to the network's size.
        pooling: One of :data:`core.recipes.POOLINGS`.

    Returns:
        float32, shape (pictures, features), of the engine that knows most of them; NaN rows where it knows none.
    """
    spaces = [
        FeatureSpace(workspace, features.describe_space(backbone, resize, pooling, precision=precision))
        for precision in (engines.precision(), litert.PRECISION)
    ]
    space = max(spaces, key=lambda space: space.count_known(hashes))
    matrix = np.full((len(hashes), space.num_features), np.nan, dtype=np.float32)
    positions: dict[str, list[int]] = {}
    for position, key in enumerate(hashes):
        positions.setdefault(key, []).append(position)
    for keys, rows in space.read(positions):
        for key, row in zip(keys, rows, strict=True):
            matrix[positions[key]] = row
    return matrix


class Neighbours:
    """The training pictures of a run, ready to be searched.

    Args:
        images: One row per picture: ``path``, ``sha256``, ``label``, ``split`` and, where known, ``group``.
        matrix: Their features, float32, shape (pictures, features); NaN rows for those that are not known.
    """

    def __init__(self, images: pd.DataFrame, matrix: np.ndarray) -> None:
        known = ~np.isnan(matrix).any(axis=1)
        self._all, self._rows = images.reset_index(drop=True), _unit(matrix)
        learnt = (images["split"] == "train").to_numpy() & known
        self._learnt = np.flatnonzero(learnt)
        self._known = {key: row for row, key in enumerate(self._all["sha256"]) if known[row]}

    def features_of(self, sha256: str) -> np.ndarray | None:
        """Return the features of a picture of the run, of length 1, or None where they are not known."""
        row = self._known.get(sha256)
        return None if row is None else self._rows[row]

    def nearest(self, query: np.ndarray, label: str, count: int, sha256: str = "") -> list[Neighbour]:
        """Return the training pictures of a class that resemble a picture most, the most alike first.

        Args:
            query: Features of the picture, shape (features,).
            label: The class.
            count: Most pictures to return.
            sha256: Of the picture, so that its duplicates are known; the picture itself is left out.
        """
        images = self._all
        of_class = self._learnt[(images["label"].to_numpy()[self._learnt] == label)]
        likeness = self._rows[of_class] @ _unit(query[None])[0]
        group = self._group_of(sha256)
        best = np.argsort(-likeness, kind="stable")[:count]
        return [
            self._neighbour(of_class[place], float(likeness[place]), sha256, group) for place in best.tolist()
        ]

    def _group_of(self, sha256: str) -> str:
        if "group" not in self._all.columns:
            return ""
        groups = self._all["group"][self._all["sha256"] == sha256]
        return str(groups.iloc[0]) if len(groups) else ""

    def _neighbour(self, row: int, likeness: float, sha256: str, group: str) -> Neighbour:
        image = self._all.iloc[row]
        same_group = bool(group) and str(image["group"]) == group
        return Neighbour(
            image["path"], image["sha256"], image["label"], likeness, image["sha256"] == sha256 or same_group
        )


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: np.ndarray = rows / np.where(lengths > 0, lengths, 1)
    return unit
