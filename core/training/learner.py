"""The classifier while it learns: its layers, its optimiser, and its state, which can be taken and put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core import backbones, catalog, engines
from core.backbones import Backbone, Block
from core.heads import FINE_TUNE_STAGE, Head, generator, random_head, read_head, seed_dropout, write_head
from core.recipes import Recipe
from core.training.batches import Batch
from core.training.optimizers import make_optimizer


@dataclass(frozen=True, eq=False)
class State:
    """All that steps change.

    Args:
        weights: Of what learns, in the order of the network.
        optimizer: Moments, counters and all.
    """

    weights: list[np.ndarray]
    optimizer: list[np.ndarray]


class Learner:
    """A classifier on a backbone, ready to take steps. It shares the backbone's layers and so changes them.

    Args:
        backbone: Pristine; the whole one, or only its blocks that learn.
        head: Where it begins; a random one if None.
        num_classes: Number of classes.
        recipe: Everything about the head and stage 2.
        num_blocks: How many of the backbone's last blocks learn.
    """

    def __init__(
        self, backbone: Backbone, head: Head | None, num_classes: int, recipe: Recipe, num_blocks: int
    ) -> None:
        self._model = backbones.classifier(
            backbone, num_classes, recipe.pooling, recipe.dense_units, recipe.dropout
        )
        write_head(self._model, head or _new_head(backbone, num_classes, recipe))
        self._twin = _in_16_bits(self._model) if recipe.mixed_precision else None
        self._learning = self._twin or self._model
        backbones.unfreeze(self._learning, backbone.blocks, num_blocks, recipe.train_batch_norm)
        # A trained BatchNormalization also moves its statistics, which are not among the trainable weights.
        moving = [weight for layer in self._learning.layers if layer.trainable for weight in layer.weights]
        # By name: a state then fits the whole backbone and its upper blocks alone.
        self._moving = sorted(moving, key=_path)
        self._compile(recipe, layer_factors(backbone.blocks, num_blocks, recipe.layer_decay))

    def _compile(self, recipe: Recipe, factors: dict[str, float]) -> None:
        variables = sorted(self._learning.trainable_variables, key=_path)
        layer_of = {weight.path: layer.name for layer in self._learning.layers for weight in layer.weights}
        factor_of = {path: factors.get(layer, 1.0) for path, layer in layer_of.items()}
        self._optimizer = make_optimizer(recipe, variables, factor_of)
        if recipe.mixed_precision:
            self._optimizer = keras.optimizers.LossScaleOptimizer(self._optimizer)
        self._optimizer.build(variables)
        self._variables = variables
        self._loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=recipe.label_smoothing
        )
        # Not Keras' own step: its metrics make their variables in the first trace, so that it is traced twice.
        self._step = tf.function(self._learn, autograph=False, jit_compile=engines.has_gpu() or None)
        self._answer = tf.function(
            lambda inputs: self._learning(inputs, training=False), reduce_retracing=True
        )

    def seed(self, seed: int, epoch: int) -> None:
        """Give dropout the random numbers of an epoch."""
        seed_dropout(self._learning, generator(seed, FINE_TUNE_STAGE, epoch))

    def step(self, batch: Batch, learning_rate: float) -> dict[str, float]:
        """Learn from one batch; return ``log_loss`` and ``accuracy`` on it."""
        self._optimizer.learning_rate = learning_rate
        log_loss, accuracy = self._step(*map(tf.constant, batch))
        return {"log_loss": float(log_loss), "accuracy": float(accuracy)}

    def _learn(
        self, inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Take a step; return the mean loss of the batch, without label smoothing or weights as val's, and accuracy."""
        with tf.GradientTape() as tape:
            logits = self._learning(inputs, training=True)
            loss = self._optimizer.scale_loss(self._loss(targets, logits, sample_weight=weights))
        self._optimizer.apply(tape.gradient(loss, self._variables), self._variables)
        log_loss = keras.losses.categorical_crossentropy(targets, logits, from_logits=True)
        right = tf.argmax(logits, axis=1) == tf.argmax(targets, axis=1)
        return tf.reduce_mean(log_loss), tf.reduce_mean(tf.cast(right, tf.float32))

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """Return float32 logits (images, classes) of what the network is given, as many as in a step or fewer."""
        return np.asarray(self._answer(inputs))

    def head(self) -> Head:
        """Return a copy of the head as it is now."""
        return read_head(self._learning)

    def state(self) -> State:
        """Return a copy of all that steps change."""
        return State(self.weights(), [variable.value.numpy() for variable in self._optimizer.variables])

    def weights(self) -> list[np.ndarray]:
        """Return a copy of the weights of what learns."""
        return [weight.value.numpy() for weight in self._moving]

    def accepts(self, state: State) -> bool:
        """Say whether a state is one of this network and optimiser."""
        return _shapes(state.weights) == _shapes(self._moving) and _shapes(state.optimizer) == _shapes(
            self._optimizer.variables
        )

    def restore(self, state: State) -> None:
        """Go back to a state."""
        self.set_weights(state.weights)
        for variable, value in zip(self._optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Set the weights of what learns."""
        for weight, value in zip(self._moving, weights, strict=True):
            weight.assign(value)

    def publish(self) -> None:
        """Bring the weights into the backbone, where a twin in 16 bits is what learns."""
        if self._twin:
            self._model.set_weights(self._twin.get_weights())


def layer_factors(blocks: Sequence[Block], num_blocks: int, layer_decay: float) -> dict[str, float]:
    """Return the share of the learning rate that each trained layer of the backbone gets.

    Args:
        blocks: All blocks of the backbone, from the input to the output.
        num_blocks: How many of the last ones learn.
        layer_decay: Factor from each block to the one below; the topmost has 1, as has the head.

    Returns:
        By name of the layer.
    """
    from_the_top = list(reversed(blocks))[:num_blocks]
    return {
        name: layer_decay**below for below, block in enumerate(from_the_top) for name in block.layer_names
    }


def _new_head(backbone: Backbone, num_classes: int, recipe: Recipe) -> Head:
    width = backbones.num_features(backbone, recipe.pooling)
    return random_head(width, num_classes, recipe.dense_units, generator(recipe.seed, FINE_TUNE_STAGE, 0))


def _in_16_bits(model: Any) -> Any:
    """Return a copy that computes in 16 bits, with its weights and its logits in 32."""

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.Layer) and layer.name != "head":
            config["dtype"] = "mixed_float16"
        return type(layer).from_config(config)

    twin = keras.models.clone_model(model, clone_function=clone)
    twin.set_weights(model.get_weights())
    return twin


def trained_blocks(backbone: Backbone, recipe: Recipe) -> int:
    """Return how many of the last blocks of a backbone learn."""
    return catalog.share_of_blocks(recipe.fine_tune_blocks, len(backbone.blocks))


def _path(variable: Any) -> str:
    path: str = variable.path
    return path


def _shapes(arrays: Sequence[Any]) -> list[tuple[int, ...]]:
    return [tuple(array.shape) for array in arrays]
