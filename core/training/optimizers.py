"""The optimisers of stage 2: a learning rate for every layer, rising and falling over the training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from core.recipes import Recipe

WARM_UP_SHARE = 0.1
"""Share of stage 2 in which the learning rate of the cosine schedule rises to its peak."""
CLIP_NORM = 1.0
"""Global gradient norm above which a step is scaled down."""
MOMENTUM = 0.9
"""Of SGD, as in the textbooks."""


def learning_rate(recipe: Recipe, share: float) -> float:
    """Return the learning rate of the head at a moment of stage 2.

    It depends on how much is done, not on the number of steps, so a halved batch size leaves it as it is.

    Args:
        recipe: Its peak and its schedule.
        share: How much of the stage is done, 0…1.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if share < WARM_UP_SHARE:
        return recipe.learning_rate * share / WARM_UP_SHARE
    fallen = (share - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)
    return recipe.learning_rate * (1 + math.cos(math.pi * fallen)) / 2


class _LayerRates:
    """Mixed into a Keras optimiser: steps of each variable scaled by a factor, and decoupled weight decay of kernels.

    Keras' own weight decay would use the unscaled learning rate, and would pull at biases and normalisation too.
    """

    factors: Sequence[float] = ()
    decay: float = 0.0

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take the step of one variable; Keras calls this for each."""
        rate = learning_rate * self.factors[self._get_variable_index(variable)]  # type: ignore[attr-defined]
        if self.decay and len(variable.shape) > 1:
            variable.assign_sub(variable * (rate * self.decay))
        super().update_step(gradient, variable, rate)  # type: ignore[misc]


class LayeredAdam(_LayerRates, keras.optimizers.Adam):  # type: ignore[misc]
    """Adam, and AdamW with its decay."""


class LayeredSgd(_LayerRates, keras.optimizers.SGD):  # type: ignore[misc]
    """Stochastic gradient descent."""


class LayeredRmsProp(_LayerRates, keras.optimizers.RMSprop):  # type: ignore[misc]
    """RMSprop."""


def make_optimizer(recipe: Recipe, variables: Sequence[Any], factor_of: Mapping[str, float]) -> Any:
    """Return the optimiser of a recipe, not built yet; its ``learning_rate`` is to be set before each step.

    Args:
        recipe: ``optimizer`` and ``weight_decay`` are used.
        variables: What it will be built for: Keras variables.
        factor_of: By path of each variable: its share of the learning rate.
    """
    settings: dict[str, Any] = {"learning_rate": recipe.learning_rate, "global_clipnorm": CLIP_NORM}
    if recipe.optimizer == "sgd":
        optimizer = LayeredSgd(momentum=MOMENTUM, **settings)
    elif recipe.optimizer == "rmsprop":
        optimizer = LayeredRmsProp(**settings)
    else:
        optimizer = LayeredAdam(**settings)
    optimizer.factors = tuple(factor_of[variable.path] for variable in variables)
    optimizer.decay = recipe.weight_decay if recipe.optimizer == "adamw" else 0.0
    return optimizer
