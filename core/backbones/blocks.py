"""Which layers of a network belong together, from the input to the output, and which of them may learn."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from core import catalog
from core.errors import RecipeError


@dataclass(frozen=True)
class Block:
    """Layers that are frozen or trained together.

    Attributes:
        name: As in the names of its layers, such as ``block_5``.
        layer_names: All its layers that hold weights.
    """

    name: str
    layer_names: tuple[str, ...]


def find_blocks(model: keras.Model, pattern: str) -> tuple[Block, ...]:
    """Put every layer that holds weights into exactly one block.

    A block is all that leads to its last layer and is in no earlier block. So the stem falls to the first
    block, a projection between two blocks to the later one, and what follows the last block to the last.

    Args:
        model: A flat network, with one output.
        pattern: Matched at the start of layer names; its first group is the block's name.

    Returns:
        The blocks, from the input to the output.
    """
    parents = {operation.name: _parents(operation) for operation in model.operations}
    ends = _block_ends(parents, pattern)
    ends[list(ends)[-1]] = model.operations[-1].name
    rest = {layer.name: None for layer in model.layers if layer.weights}  # ordered from input to output
    blocks = []
    for name, end in ends.items():
        reached = _ancestors(end, parents)
        blocks.append(Block(name, tuple(layer for layer in rest if layer in reached)))
        rest = {layer: None for layer in rest if layer not in reached}
    return tuple(blocks)


def _parents(operation: Any) -> list[str]:
    if isinstance(operation, keras.layers.InputLayer):
        return []
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(operation.input)]


def _block_ends(parents: Mapping[str, list[str]], pattern: str) -> dict[str, str]:
    """Return the last layer of each block; ``parents`` is ordered from input to output."""
    ends = {}
    for layer in parents:
        if found := re.match(pattern, layer):
            key = found.group(1)
            ends[f"block_{key}" if key[0].isdigit() else key] = layer
    return {name: _with_residual_sum(end, parents) for name, end in ends.items()}


def _with_residual_sum(end: str, parents: Mapping[str, list[str]]) -> str:
    """Move a block's end to the sum that joins its shortcut, where that has a name of no block (Xception)."""
    consumers = [layer for layer, inputs in parents.items() if end in inputs]
    return consumers[0] if len(consumers) == 1 and consumers[0].startswith("add") else end


def _ancestors(layer: str, parents: Mapping[str, list[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [layer]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(parents[name])
    return reached


def cut(
    model: keras.Model, blocks: tuple[Block, ...], depth: float, pattern: str
) -> tuple[keras.Model, tuple[Block, ...]]:
    """Cut a network after one of its blocks.

    Args:
        model: A flat network, with one output. Its layers are shared, not copied.
        blocks: All its blocks, from the input to the output.
        depth: Share of the blocks to keep, counted from the input, above 0…1; at least one is kept.
        pattern: The one by which the blocks were found.

    Returns:
        The network up to the end of the last kept block, and the kept blocks; the network itself if all are kept.

    Raises:
        RecipeError: The depth is not in its range.
    """
    if not 0 < depth <= 1:
        raise RecipeError(
            f"Received a depth of {depth:g}. Expected a share of the blocks above 0, up to 1 for the whole network."
        )
    num_kept = catalog.share_of_blocks(depth, len(blocks))
    if num_kept == len(blocks):
        return model, blocks
    output = end_of(model, blocks, num_kept - 1, pattern)
    return keras.Model(model.input, output, name=model.name), blocks[:num_kept]


def end_of(model: keras.Model, blocks: Sequence[Block], number: int, pattern: str) -> Any:
    """Return what leaves a block, as a Keras tensor.

    Args:
        model: A flat network, with one output.
        blocks: All its blocks, from the input to the output.
        number: Of the block, from 0.
        pattern: The one by which the blocks were found.
    """
    operations = {operation.name: operation for operation in model.operations}
    ends = _block_ends({name: _parents(operation) for name, operation in operations.items()}, pattern)
    return operations[ends[blocks[number].name]].output


def unfreeze(
    model: keras.Model, blocks: Sequence[Block], num_blocks: int, train_batch_norm: bool = False
) -> int:
    """Let the last blocks and everything after the backbone learn; freeze the rest. Compile afterwards.

    BatchNormalization stays frozen unless it is asked to learn: Keras 3 would otherwise go on moving its
    statistics in ``fit``, even where the backbone was called with ``training=False`` (keras issue 20285).

    Args:
        model: A flat network whose backbone has these blocks.
        blocks: All blocks of the backbone, from the input to the output.
        num_blocks: How many of the last ones learn; 0 freezes the whole backbone.
        train_batch_norm: Whether BatchNormalization learns where its block does; only for training from scratch.

    Returns:
        How many single weights (numbers, not tensors) learn now.

    Raises:
        RecipeError: There are not that many blocks.
    """
    if not 0 <= num_blocks <= len(blocks):
        raise RecipeError(
            f"Received {num_blocks} blocks to unfreeze. Expected 0 to {len(blocks)}, which is how many this "
            "backbone has. Choose a number in that range."
        )
    frozen = {layer for block in blocks[: len(blocks) - num_blocks] for layer in block.layer_names}
    for layer in model.layers:
        layer.trainable = layer.name not in frozen
        for part in layer._flatten_layers():
            if isinstance(part, keras.layers.BatchNormalization):
                part.trainable = train_batch_norm and layer.trainable
    return sum(math.prod(variable.shape) for variable in model.trainable_weights)
