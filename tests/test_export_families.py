"""A network of every family, with random weights, keeps its answers in every format of single precision."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.families import FAMILIES, certify
from core.catalog import BackboneSpec
from core.workspace import Workspace
from tests.pictures import write

PICTURES, CALIBRATION = 16, 2
SIDES = {"ConvNeXt": 64}
"""Pixels where the smallest will not do: at 32 ONNX Runtime computes something else, as certificates then say."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # Keras' own, where it saves
@pytest.mark.parametrize("spec", FAMILIES.values(), ids=FAMILIES.keys())
def test_a_network_of_every_family_keeps_its_answers(
    spec: BackboneSpec, workspace: Workspace, tmp_path: Path
) -> None:
    paths = [write(tmp_path / "photos" / f"{number}.png", number) for number in range(PICTURES + CALIBRATION)]
    found = certify(
        workspace,
        spec,
        SIDES.get(spec.family, spec.min_size),
        paths[:PICTURES],
        paths[PICTURES:],
        tmp_path / "work",
    )
    exact = [item for item in found if item.about.is_exact]
    assert [(item.format, item.trouble) for item in exact if not item.passed] == []
    assert [(item.format, item.trouble) for item in found if item.trouble] == []
