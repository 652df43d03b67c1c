from __future__ import annotations

import math
import re
from collections.abc import Mapping
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
from core.backbones.random_weights import randomise
from core.catalog import BackboneSpec
from core.errors import RecipeError, WeightsError
from core.workspace import Workspace

ONE_PER_FAMILY = (
    *(
        "tiny",
        "efficientnet-lite0",
        "mobilenet-v3-small",
        "efficientnet-b0",
        "efficientnet-v2-b0",
        "resnet50",
    ),
    *("vgg16", "inception-v3", "densenet121", "nasnet-mobile", "convnext-tiny"),
)
SPECS = [
    pytest.param(spec, id=name, marks=() if name in ONE_PER_FAMILY else pytest.mark.slow)
    for name, spec in catalog.CATALOG.items()
]


@pytest.fixture(scope="module", params=SPECS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """Each network of the catalog at its smallest size, with random weights."""
    spec: BackboneSpec = request.param
    return backbones.build(Workspace(tmp_path_factory.mktemp("graft")), spec, spec.min_size, random_seed=0)


@pytest.fixture
def tiny(workspace: Workspace) -> Backbone:
    return backbones.build(workspace, "tiny")


# --- the graph ----------------------------------------------------------------------------------------------------


def test_one_network_of_every_family_is_built_in_the_quick_tests() -> None:
    families = {catalog.get(name).family for name in ONE_PER_FAMILY}
    assert families == {spec.family for spec in catalog.CATALOG.values()}


def test_every_network_is_what_its_spec_says_and_splits_into_blocks(whole: Backbone) -> None:
    spec, model, blocks = whole.spec, whole.model, whole.blocks
    assert model.count_params() == spec.num_parameters
    assert model.output.shape[-1] == backbones.num_features(whole) == spec.num_features
    assert model.input.shape == (None, spec.min_size, spec.min_size, 3)
    members = [layer for block in blocks for layer in block.layer_names]
    weighted = [layer.name for layer in model.layers if layer.weights]
    assert sorted(members) == sorted(weighted), "every layer with weights is in exactly one block"
    assert len(blocks) >= 3
    assert weighted[0] in blocks[0].layer_names
    assert weighted[-1] in blocks[-1].layer_names


def test_what_leaves_each_block_is_what_the_catalog_says(whole: Backbone) -> None:
    told = [
        (side, channels)
        for count, *shape in catalog.BLOCKS[whole.spec.name]
        for side, channels in [shape] * count
    ]
    assert len(told) == len(whole.blocks)
    for number, (side, channels) in enumerate(told[:-1], start=1):
        parts = backbones.split(whole, len(told) - number)
        assert (parts is None) == (channels == 0)
        if parts is not None:
            positions = whole.spec.min_size / side
            assert parts[0].model.output.shape[-1] == channels
            assert abs(parts[0].model.output.shape[1] - positions) < 4  # some pad nothing
    assert told[-1][1] == whole.spec.num_features


def test_no_block_needs_anything_of_a_later_one(whole: Backbone) -> None:
    block_of = {layer: number for number, block in enumerate(whole.blocks) for layer in block.layer_names}
    latest: dict[str, int] = {}  # the latest block that has had a part in a layer's output
    for operation in whole.model.operations:
        inputs = [] if isinstance(operation, keras.layers.InputLayer) else keras.tree.flatten(operation.input)
        before = max((latest[tensor._keras_history.operation.name] for tensor in inputs), default=0)
        latest[operation.name] = max(before, block_of.get(operation.name, 0))
        assert block_of.get(operation.name, before) >= before


def test_a_network_can_be_cut_after_each_of_its_blocks(whole: Backbone) -> None:
    for number in range(1, len(whole.blocks) + 1):
        depth = number / len(whole.blocks)
        model, kept = backbones.cut(whole.model, whole.blocks, depth, whole.spec.block_pattern)
        assert kept == whole.blocks[:number]
        members = [layer for block in kept for layer in block.layer_names]
        assert sorted(members) == sorted(layer.name for layer in model.layers if layer.weights)
        assert len(model.output.shape) == 4


def test_random_weights_are_drawn_for_all_that_does_not_begin_constant(whole: Backbone) -> None:
    first = whole.model.get_weights()
    randomise(whole.model, 1)
    second = whole.model.get_weights()
    for variable, one, other in zip(whole.model.weights, first, second, strict=True):
        if "kernel" in variable.name:
            assert one.std() > 0 and not np.array_equal(one, other)
        elif not re.match(r"normalization(_\d+)?/", variable.path):  # ImageNet's mean and deviation
            assert np.ptp(one) == 0, f"{variable.path} has random numbers that no seed decides"
    randomise(whole.model, 0)
    assert whole.is_pristine()


def test_a_step_trains_the_last_block_and_the_head_but_no_batch_norm(whole: Backbone) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (4, *whole.image_size, 3)).astype(np.float32)
    model = backbones.classifier(whole, 3)
    see(model, pixels)
    unfreeze(model, whole.blocks, 1)
    model.compile(
        keras.optimizers.Adam(1e-3), keras.losses.CategoricalCrossentropy(from_logits=True), run_eagerly=True
    )
    before = {layer.name: layer.get_weights() for layer in model.layers}
    loss = model.train_on_batch(pixels, np.eye(3)[[0, 1, 2, 0]])
    assert np.isfinite(loss)
    changed = changed_layers(model, before)
    batch_norms = {layer.name for layer in model.layers if is_batch_norm(layer)}
    assert "head" in changed
    assert changed & set(whole.blocks[-1].layer_names)
    assert changed - {"head"} <= set(whole.blocks[-1].layer_names) - batch_norms


def test_split_where_it_begins_to_learn_a_network_computes_what_it_did_as_a_whole(whole: Backbone) -> None:
    parts = backbones.split(whole, math.ceil(0.34 * len(whole.blocks)))
    if parts is None:
        assert whole.spec.family == "NASNet", "whose cells look back at two"
        return
    lower, upper = parts
    assert [*lower.blocks, *upper.blocks] == list(whole.blocks)
    pixels = np.random.default_rng(1).uniform(0, 255, (2, *whole.image_size, 3)).astype(np.float32)
    expected = np.asarray(whole.model(pixels, training=False))
    received = np.asarray(upper.model(lower.model(pixels, training=False), training=False))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def see(model: keras.Model, pixels: np.ndarray) -> None:
    """Give BatchNormalization the statistics of pictures; without any, random signals die out in deep networks."""
    batch_norms = [layer for layer in model.layers if is_batch_norm(layer)]
    for layer in batch_norms:
        layer.trainable, layer.momentum = True, 0.0
    model(pixels, training=True)


def changed_layers(model: keras.Model, before: Mapping[str, list[np.ndarray]]) -> set[str]:
    """Return the layers whose weights are not what they were."""
    return {
        layer.name
        for layer in model.layers
        if any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
    }


def is_batch_norm(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


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


# --- cut, random and adopted networks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "num_blocks", "shape"),
    [
        (1.0, 3, (4, 4, 64)),
        (0.9, 3, (4, 4, 64)),
        (0.5, 2, (8, 8, 16)),
        (1 / 3, 1, (16, 16, 8)),
        (0.01, 1, (16, 16, 8)),
    ],
)
def test_the_depth_is_the_share_of_blocks_that_is_used(
    workspace: Workspace, tiny: Backbone, depth: float, num_blocks: int, shape: tuple[int, ...]
) -> None:
    cut = backbones.build(workspace, "tiny", depth=depth)
    assert cut.depth == depth
    assert cut.blocks == tiny.blocks[:num_blocks]
    assert cut.model.output.shape == (None, *shape)
    assert backbones.num_features(cut) == shape[-1]
    assert backbones.num_features(cut, "flatten") == np.prod(shape)
    assert cut.weights_sha256 == tiny.weights_sha256
    assert cut.is_pristine()


def test_a_cut_network_computes_what_the_whole_one_does_up_to_there(
    workspace: Workspace, tiny: Backbone
) -> None:
    cut = backbones.build(workspace, "tiny", depth=0.5)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    inside = keras.Model(tiny.model.input, tiny.model.get_layer("block2_relu").output)
    np.testing.assert_allclose(cut.model(pixels), inside(pixels), atol=1e-5)


@pytest.mark.parametrize("depth", [0.0, -0.5, 1.01, float("nan")])
def test_a_depth_out_of_range_is_refused(workspace: Workspace, depth: float) -> None:
    with pytest.raises(RecipeError, match="Received a depth of .* Expected a share of the blocks above 0"):
        backbones.build(workspace, "tiny", depth=depth)


@pytest.mark.parametrize("name", ["tiny", "mobilenet-v3-small"])
def test_random_weights_depend_on_their_seed_alone(workspace: Workspace, name: str) -> None:
    built = []
    for random_seed in (0, 0, 1):
        keras.utils.set_random_seed(len(built))
        built.append(backbones.build(workspace, name, 32, random_seed=random_seed))
    assert built[0].weights_sha256 == built[1].weights_sha256 != built[2].weights_sha256
    assert built[0].checksum == built[1].checksum != built[2].checksum
    assert built[0].weights_sha256 == backbones.hash_arrays(built[0].model.get_weights())


def test_random_and_given_weights_exclude_each_other(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Received random_seed 3 and the weights file"):
        backbones.build(workspace, "tiny", weights=tmp_path / "weights.h5", random_seed=3)


def test_random_weights_need_no_file_and_no_connection(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing here"))
    assert backbones.build(workspace, "mobilenet-v2", 32, random_seed=0).is_pristine()
    assert not (tmp_path / "nothing here").exists()


@pytest.mark.parametrize("name", ["tiny", "efficientnet-b0"])
def test_a_backbone_with_the_weights_of_a_run_is_that_of_the_run(workspace: Workspace, name: str) -> None:
    random = np.random.default_rng(0)
    pixels = random.uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    backbone = backbones.build(workspace, name, 32, random_seed=0)
    mine = backbone.model.get_weights()
    theirs = [(array * random.uniform(0.5, 1.5, array.shape)).astype(array.dtype) for array in mine]
    adopted = backbones.adopt(backbone, theirs, backbones.hash_arrays(theirs))
    assert adopted.is_pristine() and not backbone.is_pristine()
    assert adopted.weights_sha256 == backbones.hash_arrays(theirs) != backbone.weights_sha256
    for one, other in zip(adopted.model.get_weights(), theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    reloaded = keras.models.clone_model(adopted.model)  # what a saved model computes with these weights
    for layer, original in zip(reloaded.layers, adopted.model.layers, strict=True):
        layer.load_own_variables(_own_variables(original))
    expected = np.asarray(reloaded(pixels))
    assert np.isfinite(expected).all() and expected.std() > 0
    np.testing.assert_allclose(adopted.model(pixels), expected, atol=1e-4 * np.abs(expected).max())


def _own_variables(layer: Any) -> dict[str, np.ndarray]:
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    return store


def test_weights_of_another_network_cannot_be_adopted(workspace: Workspace, tiny: Backbone) -> None:
    cut = backbones.build(workspace, "tiny", depth=0.5)
    with pytest.raises(WeightsError, match="do not fit Tiny: received 10 arrays .* the 20 expected"):
        backbones.adopt(tiny, cut.model.get_weights(), "")
    assert tiny.is_pristine()


def test_efficientnet_sees_the_pixels_of_imagenet_with_random_weights_too(workspace: Workspace) -> None:
    backbone = backbones.build(workspace, "efficientnet-b0", 32, random_seed=0)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    seen = keras.Model(backbone.model.input, backbone.model.get_layer("rescaling_imagenet").output)
    image = keras.Input((32, 32, 3))
    np.testing.assert_allclose(
        seen(pixels), keras.Model(image, preprocess(image, "torch"))(pixels), atol=1e-5
    )


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
    changed = changed_layers(model, before)
    assert changed == {name for name in unfrozen if not name.endswith("_bn")} | {"head"}
    kernels = [model.get_layer(name).get_weights()[0] for name in unfrozen if name.endswith("_conv")]
    assert num_trainable == sum(kernel.size for kernel in kernels) + 64 * 3 + 3


def test_a_hidden_layer_and_dropout_come_before_the_head(tiny: Backbone) -> None:
    model = backbones.classifier(tiny, 5, "max", dense_units=7, dropout=0.25)
    assert [layer.name for layer in model.layers[-5:]] == [
        "pool",
        "hidden_dropout",
        "hidden",
        "head_dropout",
        "head",
    ]
    assert model.get_layer("hidden").activation is keras.activations.relu
    assert [model.get_layer(name).rate for name in ("hidden_dropout", "head_dropout")] == [0.25, 0.25]
    pixels = np.zeros((2, 32, 32, 3), np.float32)
    pooled = np.asarray(tiny.model(pixels)).max(axis=(1, 2))
    (hidden, hidden_bias), (kernel, bias) = (
        model.get_layer(name).get_weights() for name in ("hidden", "head")
    )
    expected = np.maximum(pooled @ hidden + hidden_bias, 0) @ kernel + bias
    np.testing.assert_allclose(model(pixels, training=False), expected, atol=1e-4)


def test_without_a_hidden_layer_dropout_comes_once(tiny: Backbone) -> None:
    names = [layer.name for layer in backbones.classifier(tiny, 5, dropout=0.5).layers]
    assert names[-3:] == ["pool", "head_dropout", "head"]


def test_the_head_computes_in_32_bits_where_the_rest_computes_in_16(workspace: Workspace) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = backbones.classifier(backbones.build(workspace, "tiny"), 5, dense_units=4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("block1_conv").compute_dtype == "float16"
    assert model.get_layer("head").compute_dtype == model.output.dtype == "float32"


def test_a_classifier_on_flattened_features_takes_them_all(tiny: Backbone) -> None:
    model = backbones.classifier(tiny, 5, "flatten")
    assert model.get_layer("head").kernel.shape == (backbones.num_features(tiny, "flatten"), 5)
    assert backbones.num_features(tiny, "flatten") == 4 * 4 * 64


def test_batch_norm_learns_where_its_block_does_if_asked(tiny: Backbone) -> None:
    model = backbones.classifier(tiny, 3)
    unfreeze(model, tiny.blocks, 2, train_batch_norm=True)
    model.compile(keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy(from_logits=True))
    before = {layer.name: layer.get_weights() for layer in model.layers}
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    model.train_on_batch(pixels, np.eye(3)[[0, 1, 2, 0]])
    learnt = {name for block in tiny.blocks[1:] for name in block.layer_names}
    assert changed_layers(model, before) == learnt | {"head"}
    unfreeze(model, tiny.blocks, 2)
    assert not any(layer.trainable for layer in model.layers if is_batch_norm(layer))


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
