"""The networks of keras.applications are the same here as there, and their weights come without surprises."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from core import backbones, catalog, engines
from core.backbones.weight_files import keras_weights
from core.catalog import BackboneSpec
from core.errors import Cancelled, WeightsError
from core.workspace import Workspace

CHEAP = ("mobilenet-v3-small", "efficientnet-b0")
SPECS = [
    pytest.param(spec, id=name, marks=() if name in CHEAP else pytest.mark.slow)
    for name, spec in catalog.CATALOG.items()
    if spec.source == "keras"
]


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


def of_keras(spec: BackboneSpec, **options: Any) -> Any:
    """Return the network as Keras builds it, without its top."""
    options |= {"alpha": spec.width} if spec.width != 1 else {}
    return getattr(keras.applications, spec.builder)(include_top=False, **options)


def save_shuffled_weights(spec: BackboneSpec, path: Path) -> None:
    """Write a weights file in Keras' older layout, with numbers by which layers can be told apart."""
    size = (spec.min_size, spec.min_size, 3)
    model = of_keras(spec, weights=None, input_shape=size)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.8, 1.2, variable.shape) for variable in layer.weights])
        elif isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.set_weights([np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)])
    model.save(path)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy"
)  # Keras' saving with NumPy 2
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square")
def test_name_address_hash_and_outputs_are_those_of_keras(
    spec: BackboneSpec, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.h5"
    save_shuffled_weights(spec, path)
    asked: dict[str, Any] = {}

    def get_file(name: str, origin: str, cache_subdir: str, file_hash: str = "") -> str:
        asked.update(name=name, origin=origin, file_hash=file_hash, cache_subdir=cache_subdir)
        return str(path)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    side = (
        spec.image_size if spec.name == "nasnet-mobile" else spec.min_size
    )  # NASNet's are for one size only
    with_weights = of_keras(spec, weights="imagenet", input_shape=(side, side, 3))
    assert asked == {
        "name": spec.weights_file,
        "origin": spec.weights_url,
        "file_hash": spec.weights_hash,
        "cache_subdir": "models",
    }

    module = getattr(keras.applications, type_module(spec))
    pixels = np.random.default_rng(1).integers(0, 256, (2, side, side, 3)).astype(np.float32)
    expected = np.asarray(with_weights(module.preprocess_input(pixels.copy()), training=False))
    backbone = backbones.build(workspace, spec, side, weights=path)
    received = np.asarray(backbone.model(pixels, training=False))
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def type_module(spec: BackboneSpec) -> str:
    return str(getattr(keras.applications, spec.builder).__module__).rpartition(".")[2]


def test_the_real_mobilenets_tell_pictures_apart(
    workspace: Workspace, shared_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(shared_weights))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.uint8)
    for name in ("mobilenet", "mobilenet-v2", "mobilenet-v2-0.35"):
        backbone = backbones.build(workspace, name, 96)
        weights = str(shared_weights / "models" / backbone.spec.weights_file)
        reference = of_keras(backbone.spec, weights=weights, pooling="avg", input_shape=(96, 96, 3))
        prepared = keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32))
        expected = np.asarray(reference(prepared, training=False))
        np.testing.assert_allclose(engines.forward(backbone)(pixels), expected, atol=1e-4)


def test_weights_of_another_network_are_refused(workspace: Workspace, shared_weights: Path) -> None:
    path = shared_weights / "models" / catalog.get("mobilenet").weights_file
    with pytest.raises(WeightsError, match="does not hold the weights of MobileNetV2 without its top"):
        backbones.build(workspace, "mobilenet-v2", 32, weights=path)


def test_a_file_that_is_no_weights_file_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightsError, match=r"weights\.h5.* does not hold the weights of MobileNetV2"):
        backbones.build(workspace, "mobilenet-v2", 32, weights=tmp_path / "weights.h5")


def test_a_file_of_another_kind_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(WeightsError, match=r"weights\.bin.* does not hold the weights of MobileNetV2"):
        backbones.build(workspace, "mobilenet-v2", 32, weights=tmp_path / "weights.bin")


# --- downloading --------------------------------------------------------------------------------------------------


def published(tmp_path: Path, data: bytes, weights_hash: str | None = None) -> BackboneSpec:
    """Return a spec whose weights are at an address that needs no network."""
    (tmp_path / "published.h5").write_bytes(data)
    return dataclasses.replace(
        catalog.get("mobilenet-v3-small"),
        weights_url=(tmp_path / "published.h5").as_uri(),
        weights_hash=hashlib.md5(data).hexdigest() if weights_hash is None else weights_hash,
    )


def test_missing_weights_are_fetched_into_the_keras_cache_once(tmp_path: Path, keras_home: Path) -> None:
    data = b"weights" * 500_000
    spec = published(tmp_path, data)
    seen: list[tuple[int, int]] = []
    path = keras_weights(spec, lambda done, total: seen.append((done, total)))
    assert path == keras_home / "models" / spec.weights_file
    assert path.read_bytes() == data
    assert [total for _, total in seen] == [len(data)] * len(seen)
    assert seen[0][0] == 0 and seen[-1][0] == len(data)
    assert seen == sorted(seen) and len(seen) > 3
    (tmp_path / "published.h5").unlink()
    assert keras_weights(spec) == path


def test_weights_are_kept_where_the_caller_says(tmp_path: Path, keras_home: Path) -> None:
    path = keras_weights(published(tmp_path, b"weights"), keras_home=tmp_path / "elsewhere")
    assert path.parent == tmp_path / "elsewhere" / "models"
    assert path.is_file() and not keras_home.exists()


def test_cancelling_a_download_leaves_nothing(tmp_path: Path, keras_home: Path) -> None:
    def cancel(done: int, total: int) -> None:
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        keras_weights(published(tmp_path, b"weights" * 500_000), cancel)
    assert list((keras_home / "models").iterdir()) == []


def test_a_download_with_another_hash_is_thrown_away(tmp_path: Path, keras_home: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"Expected 0{32}. The download was cut short or changed on its way"
    ):
        keras_weights(published(tmp_path, b"weights", "0" * 32))
    assert list((keras_home / "models").iterdir()) == []


def test_a_web_page_instead_of_weights_is_thrown_away(tmp_path: Path, keras_home: Path) -> None:
    with pytest.raises(WeightsError, match="what came is not a weights file"):
        keras_weights(published(tmp_path, b"<html>Please log in</html>", ""))
    assert list((keras_home / "models").iterdir()) == []
    assert keras_weights(published(tmp_path, b"\x89HDF\r\n\x1a\n and so on", "")).exists()


def test_without_a_connection_the_message_says_what_to_put_where(tmp_path: Path, keras_home: Path) -> None:
    spec = dataclasses.replace(catalog.get("resnet50"), weights_url=(tmp_path / "gone.h5").as_uri())
    with pytest.raises(WeightsError) as caught:
        keras_weights(spec)
    message = str(caught.value)
    assert message.startswith("The weights of ResNet50 could not be downloaded (No such file or directory). ")
    assert f'"{spec.weights_file}" in the folder "{keras_home / "models"}"' in message
    assert spec.weights_url in message


def test_a_changed_file_in_the_cache_is_reported_not_replaced(tmp_path: Path, keras_home: Path) -> None:
    spec = published(tmp_path, b"weights")
    (keras_home / "models").mkdir(parents=True)
    path = keras_home / "models" / spec.weights_file
    path.write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"damaged or another file: its MD5 is .* Delete it"):
        keras_weights(spec)
    assert path.read_bytes() == b"other"


def test_a_cache_that_cannot_be_made_is_reported(tmp_path: Path, keras_home: Path) -> None:
    keras_home.write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match=r"cannot be made .* Set KERAS_HOME"):
        keras_weights(published(tmp_path, b"weights"))
