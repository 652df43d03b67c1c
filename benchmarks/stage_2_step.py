"""Where does a step of stage 2 go, by kind of layer, and what would 16 bits or XLA make of it?

    python benchmarks/stage_2_step.py [--backbone mobilenet-v2] [--blocks 0.34] [--batch 32] [--rounds 5]

Whole steps are those of the default recipe on what enters the first block that learns, made by chance. Beside them each
layer of the blocks that learn is timed alone, with inputs of its own shapes: its answer, and the gradients that a step
needs of it. That in single precision, compiled by XLA, and in bfloat16 with weights in 32 bits, all in turn. Prints
milliseconds of the wall clock, medians over the rounds summed by kind of layer; for the products also how many
operations a second they reach. Their sum is not the step: that also has the head and the optimiser, and computes some
layers together.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workplaces import scratch_workspace
from core import backbones, recipes
from core.backbones import Backbone
from core.recipes import Recipe
from core.training.batches import Batch
from core.training.learner import Learner, trained_blocks

NUM_CLASSES = 6
WAYS = {"float32": ("float32", False), "XLA": ("float32", True), "bfloat16": ("mixed_bfloat16", False)}
"""Arithmetic of a layer, and whether XLA compiles it."""
POINTWISE = "1 x 1 convolution"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="mobilenet-v2")
    parser.add_argument("--blocks", type=float, default=0.34)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    recipe = replace(
        recipes.preset(recipes.DEFAULT_PRESET),
        backbone=arguments.backbone,
        fine_tune_blocks=arguments.blocks,
        batch_size=arguments.batch,
    )
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning\n")
    with scratch_workspace() as workspace:
        report(backbones.build(workspace, arguments.backbone), recipes.validate(recipe), arguments.rounds)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def report(backbone: Backbone, recipe: Recipe, rounds: int) -> None:
    """Time everything in turn and print the table."""
    num_blocks = trained_blocks(backbone, recipe)
    parts = backbones.split(backbone, num_blocks)
    upper = backbone if parts is None else parts[1]
    learner = Learner(upper, None, NUM_CLASSES, recipe, num_blocks)
    layers = [layer for layer in upper.model.layers if not isinstance(layer, keras.layers.InputLayer)]
    alone = {
        (number, way): by_itself(layer, recipe.batch_size, *how)
        for number, layer in enumerate(layers)
        for way, how in WAYS.items()
    }
    batch = random_batch(upper, recipe.batch_size)
    everything: dict[Any, Callable[[], object]] = {
        "step": lambda: learner.step(batch, recipe.learning_rate),
        **alone,
    }
    seconds: dict[Any, list[float]] = {name: [] for name in everything}
    for turn in range(rounds + 1):  # the first one compiles
        for name, run in everything.items():
            began = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    took = {name: 1000 * statistics.median(values) for name, values in seconds.items()}

    kinds = [kind_of(layer) for layer in layers]
    print(
        f"{recipe.backbone}, upper {recipe.fine_tune_blocks:.0%} ({num_blocks} of {len(backbone.blocks)} blocks), "
        f"batches of {recipe.batch_size}: a step takes {took['step']:.0f} ms\n"
    )
    print(f"| layers, each alone | number | {' | '.join(f'{way}, ms' for way in WAYS)} |")
    print("|---|---|---|---|---|")
    sums = {
        kind: [sum(took[row, way] for row, of in enumerate(kinds) if of == kind) for way in WAYS]
        for kind in kinds
    }
    for kind, found in sorted(sums.items(), key=lambda one: -one[1][0]):
        print(f"| {kind} | {kinds.count(kind)} | {' | '.join(f'{value:.0f}' for value in found)} |")
    print(
        f"| all | {len(layers)} | {' | '.join(f'{value:.0f}' for value in np.sum(list(sums.values()), axis=0))} |"
    )
    operations = sum(
        num_operations(layer, recipe.batch_size)
        for layer, kind in zip(layers, kinds, strict=True)
        if kind == POINTWISE
    )
    paces = ", ".join(
        f"{way} {operations / value / 1e6:.0f}" for way, value in zip(WAYS, sums[POINTWISE], strict=True)
    )
    print(f"\n{POINTWISE}s: {operations / 1e9:.1f} billion operations; billions a second: {paces}")


def random_batch(upper: Backbone, size: int) -> Batch:
    """Return a batch of what might enter the first block that learns."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(size, *upper.model.input.shape[1:])).astype(np.float32)
    targets = np.eye(NUM_CLASSES, dtype=np.float32)[rng.integers(NUM_CLASSES, size=size)]
    return Batch(inputs, targets, np.ones(size, np.float32))


def by_itself(layer: keras.Layer, size: int, dtype: str, compiled: bool) -> Callable[[], object]:
    """Return what computes a copy of a layer, and its gradients, on made-up inputs."""
    copy = type(layer).from_config(layer.get_config() | {"dtype": dtype})
    if isinstance(copy, keras.layers.BatchNormalization):
        copy.trainable = False  # as in stage 2
    shapes = [(size, *tensor.shape[1:]) for tensor in keras.tree.flatten(layer.input)]
    tensors = [tf.cast(tf.random.normal(shape), copy.compute_dtype) for shape in shapes]
    copy(tensors if len(tensors) > 1 else tensors[0])  # makes its weights

    def compute(*inputs: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = copy(list(inputs) if len(inputs) > 1 else inputs[0], training=True)
        found: list[tf.Tensor] = tape.gradient(outputs, [*inputs, *copy.trainable_variables])
        return [outputs, *found]

    function = tf.function(compute, autograph=False, jit_compile=compiled)
    return lambda: function(*tensors)


def kind_of(layer: keras.Layer) -> str:
    """Return what a layer is called in the table."""
    if isinstance(layer, keras.layers.Conv2D) and tuple(layer.kernel_size) == (1, 1):
        return POINTWISE
    return type(layer).__name__


def num_operations(layer: keras.Layer, size: int) -> int:
    """Return multiplications and additions of a 1 x 1 convolution: its answer, and two gradients as long."""
    _, height, width, num_outputs = layer.output.shape
    return 3 * 2 * size * int(height) * int(width) * int(num_outputs) * int(layer.input.shape[-1])


if __name__ == "__main__":
    main()
