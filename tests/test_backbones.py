from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from core import backbones, catalog
from core.backbones import Backbone
from core.backbones.blocks import Block, find_blocks, unfreeze
from core.backbones.preprocessing import preprocess
from core.catalog import BackboneSpec
from core.errors import RecipeError
from core.workspace import Workspace

CHEAP = ("tiny", "efficientnet-lite0", "mobilenet-v3-small", "vgg16", "resnet50")
SPECS = [
    pytest.param(spec, id=name, marks=() if name in CHEAP else pytest.mark.slow)
    for name, spec in catalog.CATALOG.items()
]


@pytest.fixture
def tiny(workspace: Workspace) -> Backbone:
    return backbones.build(workspace, "tiny")


# --- the graph ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS)
def test_every_network_is_what_its_spec_says_and_splits_into_blocks(spec: BackboneSpec) -> None:
    model = backbones.network(spec, (spec.min_size, spec.min_size))
    assert model.count_params() == spec.num_parameters
    assert model.output.shape[-1] == spec.num_features
    assert model.input.shape == (None, spec.min_size, spec.min_size, 3)
    blocks = find_blocks(model, spec.block_pattern)
    members = [layer for block in blocks for layer in block.layer_names]
    weighted = [layer.name for layer in model.layers if layer.weights]
    assert sorted(members) == sorted(weighted), "every layer with weights is in exactly one block"
    assert len(blocks) >= 3
    assert weighted[0] in blocks[0].layer_names
    assert weighted[-1] in blocks[-1].layer_names


@pytest.mark.parametrize("spec", SPECS)
def test_no_block_needs_anything_of_a_later_one(spec: BackboneSpec) -> None:
    model = backbones.network(spec, (spec.min_size, spec.min_size))
    block_of = {
        layer: number
        for number, block in enumerate(find_blocks(model, spec.block_pattern))
        for layer in block.layer_names
    }
    latest: dict[str, int] = {}  # the latest block that has had a part in a layer's output
    for operation in model.operations:
        inputs = [] if isinstance(operation, keras.layers.InputLayer) else keras.tree.flatten(operation.input)
        before = max((latest[tensor._keras_history.operation.name] for tensor in inputs), default=0)
        latest[operation.name] = max(before, block_of.get(operation.name, 0))
        assert block_of.get(operation.name, before) >= before


def test_blocks_of_mobilenet_v2_are_those_of_the_paper() -> None:
    spec = catalog.get("mobilenet-v2")
    blocks = find_blocks(backbones.network(spec, (32, 32)), spec.block_pattern)
    assert [block.name for block in blocks] == ["expanded_conv", *(f"block_{n}" for n in range(1, 17))]
    assert blocks[0].layer_names[0] == "Conv1"
    assert "Conv_1" in blocks[-1].layer_names


@pytest.mark.slow
def test_a_shortcut_without_a_name_is_in_the_block_it_goes_around() -> None:
    spec = catalog.get("xception")
    model = backbones.network(spec, (71, 71))
    blocks = find_blocks(model, spec.block_pattern)
    assert [block.name for block in blocks] == [f"block{n}" for n in range(1, 15)]
    around_13 = [
        name for name in blocks[12].layer_names if name.startswith(("conv2d", "batch_normalization"))
    ]
    assert len(around_13) == 2
    assert all(name.startswith("block14") for name in blocks[13].layer_names)


def test_a_network_can_be_built_for_oblong_pictures(workspace: Workspace) -> None:
    backbone = backbones.build(workspace, "tiny", (32, 64))
    assert backbone.image_size == (32, 64)
    assert backbone.model.output.shape == (None, 4, 8, 64)


def test_a_size_below_the_smallest_is_refused(workspace: Workspace) -> None:
    with pytest.raises(RecipeError, match=r"image size of 16 × 64 pixels. VGG16 needs at least 32 × 32"):
        backbones.build(workspace, "vgg16", (16, 64))


def test_the_tiny_network_is_always_the_same(workspace: Workspace, tiny: Backbone) -> None:
    keras.utils.set_random_seed(7)
    again = backbones.build(workspace, "tiny")
    assert again.weights_sha256 == tiny.weights_sha256
    for one, other in zip(tiny.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_changed_weights_are_noticed(tiny: Backbone) -> None:
    assert tiny.is_pristine()
    weights = tiny.model.get_weights()
    tiny.model.set_weights([weights[0] + 1e-6, *weights[1:]])
    assert not tiny.is_pristine()
    tiny.model.set_weights(weights)
    assert tiny.is_pristine()


# --- preprocessing ------------------------------------------------------------------------------------------------

_OUTSIDE = {"tf": "mobilenet_v2", "caffe": "vgg16", "torch": "densenet"}
_MODELS = {
    how: keras.Model(image := keras.Input((5, 4, 3)), preprocess(image, how))  # type: ignore[arg-type]
    for how in ("tf", "caffe", "torch", "lite", "efficientnet")
}
_pictures = hnp.arrays(np.uint8, (2, 5, 4, 3))


@pytest.mark.parametrize("how", _OUTSIDE)
@settings(deadline=None, max_examples=25)
@given(pictures=_pictures)
def test_preprocessing_equals_that_of_keras(how: str, pictures: np.ndarray) -> None:
    expected = getattr(keras.applications, _OUTSIDE[how]).preprocess_input(pictures.astype(np.float32))
    np.testing.assert_allclose(_MODELS[how](pictures.astype(np.float32)), expected, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(pictures=_pictures)
def test_preprocessing_of_the_lite_networks_is_that_of_their_authors(pictures: np.ndarray) -> None:
    expected = (pictures.astype(np.float32) - 127) / 128
    np.testing.assert_allclose(_MODELS["lite"](pictures.astype(np.float32)), expected, atol=1e-6)


@pytest.mark.parametrize(
    "module",
    [
        *(
            "mobilenet",
            "mobilenet_v2",
            "mobilenet_v3",
            "efficientnet",
            "efficientnet_v2",
            "resnet",
            "resnet_v2",
        ),
        *("vgg16", "vgg19", "inception_v3", "xception", "densenet", "nasnet", "convnext"),
    ],
)
def test_each_spec_names_the_preprocessing_of_its_keras_module(module: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.float32)
    expected = getattr(keras.applications, module).preprocess_input(pixels.copy())
    specs = [spec for spec in catalog.CATALOG.values() if spec.builder and _module(spec) == module]
    assert specs
    for spec in specs:
        if np.array_equal(expected, pixels):  # Keras has it inside the network: compared there, further down
            assert module in ("mobilenet_v3", "efficientnet", "efficientnet_v2", "convnext")
        else:
            np.testing.assert_allclose(_MODELS[spec.preprocessing](pixels), expected, atol=1e-5)


def _module(spec: BackboneSpec) -> str:
    return str(getattr(keras.applications, spec.builder).__module__).rpartition(".")[2]


@pytest.mark.parametrize("name", ["mobilenet-v3-small", "efficientnet-v2-b0", "convnext-tiny"])
def test_preprocessing_taken_out_of_a_network_is_what_keras_had_inside(name: str) -> None:
    spec = catalog.get(name)
    model = getattr(keras.applications, spec.builder)(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    inside = [layer for layer in model.layers[:4] if type(layer).__name__ in ("Rescaling", "Normalization")]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.float32)
    expected: Any = pixels
    for layer in inside:
        expected = layer(expected)
    np.testing.assert_allclose(_MODELS[spec.preprocessing](pixels), expected, atol=1e-5)


def test_a_saved_network_opens_without_graft_and_with_its_preprocessing(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.float32)
    for how, model in _MODELS.items():
        model.save(tmp_path / f"{how}.keras")
        opened = keras.saving.load_model(tmp_path / f"{how}.keras", safe_mode=True)
        np.testing.assert_array_equal(opened(pixels), model(pixels))


# --- classifier and unfreezing ------------------------------------------------------------------------------------


def test_a_classifier_is_flat_and_ends_in_logits(tiny: Backbone) -> None:
    model = backbones.classifier(tiny, 5)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.output.shape == (None, 5)
    assert model.get_layer("head").activation is keras.activations.linear
    assert tiny.model.get_layer("top_conv") is model.get_layer("top_conv")


@pytest.mark.parametrize("num_blocks", range(4))
def test_only_the_chosen_blocks_and_the_head_learn_and_batch_norm_never(
    tiny: Backbone, num_blocks: int
) -> None:
    model = backbones.classifier(tiny, 3)
    num_trainable = unfreeze(model, tiny.blocks, num_blocks)
    model.compile(keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy(from_logits=True))
    before = {layer.name: layer.get_weights() for layer in model.layers}
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
    model.fit(pixels, np.eye(3)[random.integers(0, 3, 8)], batch_size=4, epochs=1, verbose=0)

    unfrozen = {name for block in tiny.blocks[len(tiny.blocks) - num_blocks :] for name in block.layer_names}
    changed = {
        layer.name
        for layer in model.layers
        if any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
    }
    assert changed == {name for name in unfrozen if not name.endswith("_bn")} | {"head"}
    kernels = [model.get_layer(name).get_weights()[0] for name in unfrozen if name.endswith("_conv")]
    assert num_trainable == sum(kernel.size for kernel in kernels) + 64 * 3 + 3


def test_freezing_again_undoes_unfreezing(tiny: Backbone) -> None:
    model = backbones.classifier(tiny, 3)
    unfreeze(model, tiny.blocks, 3)
    assert unfreeze(model, tiny.blocks, 0) == 64 * 3 + 3


@pytest.mark.parametrize("num_blocks", [-1, 4])
def test_more_blocks_than_there_are_cannot_be_unfrozen(tiny: Backbone, num_blocks: int) -> None:
    with pytest.raises(RecipeError, match=f"Received {num_blocks} blocks to unfreeze. Expected 0 to 3"):
        unfreeze(backbones.classifier(tiny, 3), tiny.blocks, num_blocks)


def test_batch_norm_of_the_head_is_frozen_too(tiny: Backbone) -> None:
    x = keras.layers.GlobalAveragePooling2D()(tiny.model.output)
    x = keras.Sequential([keras.layers.BatchNormalization(name="nested")], name="normalise")(x)
    model = keras.Model(tiny.model.input, keras.layers.Dense(2)(x))
    unfreeze(model, [Block("all", tuple(layer.name for layer in tiny.model.layers))], 1)
    assert not model.get_layer("normalise").get_layer("nested").trainable
