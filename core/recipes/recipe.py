"""The settings of a training: one frozen dataclass, kept as JSON with every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from core import augmentation, catalog
from core.augmentation import Augmentation
from core.catalog import BackboneSpec
from core.errors import RecipeError
from core.images import RESIZE_RULES

POOLINGS = ("average", "max", "flatten")
SOLVERS = ("lbfgs", "adam")
OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop")
SCHEDULES = ("cosine", "constant")
BALANCES = ("none", "class_weights", "sampling")

RANDOM_WEIGHTS = "random"
"""As ``Recipe.weights``: the backbone begins with random weights."""
RUN_PREFIX = "run:"
"""As the beginning of ``Recipe.weights`` (go on from the backbone of an earlier run) and of ``Recipe.teacher``, such as
``run:20261122-194512-3fa9``."""

FREE_STRENGTH = 1.0
"""``Recipe.head_strength`` (scikit-learn's default ``C``) of the head that a softer one is held against: what is a good
beginning for fine-tuning is not always the best head, above all with many classes of few pictures."""

MAX_IMAGE_SIZE = 1024
"""Pixels a side; beyond it the memory of one batch of any catalog network leaves a laptop's."""


@dataclass(frozen=True)
class Recipe:
    """The settings of one training.

    Args:
        backbone: Name in :data:`core.catalog.CATALOG`.
        weights: Empty for the ImageNet weights, a path of a weights file for the backbone, ``"run:<id>"`` for the
            backbone of an earlier run, or ``"random"``.
        depth: Share of the backbone's blocks that is used, counted from the input, above 0…1; the network is cut
            after the last of them.
        image_size: Side of the square input in pixels; 0 for the backbone's own.
        resize: How a picture becomes square: ``"stretch"``, ``"crop"`` (the shorter side scaled to the size ×
            1/0.875, then the centre) or ``"pad"``.
        fractions: Shares of train, val and test where the folder has no split; they add up to 1.
        keep_given: Whether a split that the folder brings is kept; else one is made of all its pictures.
        seed: Seed of the split, of shuffling, of augmentation and of new weights.
        pooling: How the last feature map becomes features: ``"average"``, ``"max"`` or ``"flatten"``.
        dense_units: Units of a hidden ReLU layer of the head; 0 for none.
        dropout: Share of inputs of each dense layer that are dropped while training, 0…0.9.
        augment: Random changes of training pictures.
        views: Random variations of each training picture whose features stage 1 learns from, beside the picture
            itself; they are kept like other features.
        teacher: ``"run:<id>"``: what that run says of the training images is learnt beside their labels; empty for
            none. ``"run:"`` alone is a preset's, whose run is chosen later; it cannot be trained with.
        teacher_weight: Share of each target that is the teacher's, above 0…1; the rest is the given label. This and
            the temperature were chosen on val of one dataset, where values nearby were as good (benchmarks/RESULTS.md).
        teacher_temperature: Divides the teacher's calibrated logits, 1…20: above 1 it says more about the classes
            that it thinks less likely. The student's own are not divided, as they are in Hinton et al. 2015: they are
            calibrated on val afterwards; for a weight of 1 it is the same loss on logits of another scale.
        balance: ``"class_weights"`` weighs each class by its rarity, ``"sampling"`` draws all classes equally
            often, ``"none"`` does neither.
        label_smoothing: Share of each one-hot target that is spread over all classes (stage 2 and Adam), 0…0.5.
        head_solver: ``"lbfgs"`` fits a multinomial logistic regression to convergence; ``"adam"`` goes in batches,
            as is needed with a hidden layer or dropout.
        head_epochs: Most passes over all features in stage 1; 0 leaves stage 1 out.
        head_strength: Inverse strength of the L2 penalty of ``"lbfgs"`` (scikit-learn's ``C``) of the head that
            fine-tuning begins with. Where it is below 1, one of 1 is fitted too, and val chooses which of them the
            fine-tuned model has to beat.
        head_learning_rate: Learning rate of ``"adam"`` in stage 1.
        fine_tune_epochs: Epochs of stage 2; 0 leaves it out.
        fine_tune_blocks: Share of the backbone's blocks that stage 2 trains, counted from the top, 0…1.
        train_batch_norm: Whether BatchNormalization learns in stage 2; only for training from scratch.
        optimizer: Of stage 2.
        learning_rate: Peak learning rate of the head and the topmost block in stage 2.
        layer_decay: Factor of the learning rate from each trained block to the one below, above 0…1.
        schedule: ``"cosine"`` warms up, then falls to zero; ``"constant"`` stays.
        weight_decay: Weight decay of ``"adamw"``.
        batch_size: Images per step, in stage 2 and of ``"adam"`` in stage 1.
        patience: Epochs without a lower validation loss after which a stage in batches stops; 0 never stops early.
        max_minutes: Minutes after which the training stops and keeps the best so far; 0 for no limit. They begin with
            the job; of what was done before an interruption the finished epochs count. The model is judged after them.
        mixed_precision: Compute in 16 bits where that is safe; graphics cards only.
    """

    backbone: str = catalog.DEFAULT_BACKBONE
    weights: str = ""
    depth: float = 1.0
    image_size: int = 0
    resize: str = "stretch"
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    keep_given: bool = True
    seed: int = 0
    pooling: str = "average"
    dense_units: int = 0
    dropout: float = 0.0
    augment: Augmentation = field(default_factory=lambda: augmentation.PRESETS["light"])
    views: int = 0
    teacher: str = ""
    teacher_weight: float = 0.5
    teacher_temperature: float = 2.0
    balance: str = "none"
    label_smoothing: float = 0.05
    head_solver: str = "lbfgs"
    head_epochs: int = 100
    head_strength: float = 1.0
    head_learning_rate: float = 1e-3
    fine_tune_epochs: int = 5
    fine_tune_blocks: float = 0.34
    train_batch_norm: bool = False
    optimizer: str = "adamw"
    learning_rate: float = 5e-4
    layer_decay: float = 0.8
    schedule: str = "cosine"
    weight_decay: float = 1e-4
    batch_size: int = 32
    patience: int = 3
    max_minutes: float = 0.0
    mixed_precision: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a JSON object."""
        return asdict(self)


def from_json(values: Mapping[str, Any]) -> Recipe:
    """Rebuild a recipe from its JSON object; fields of a newer Graft are refused, missing ones get their default.

    Raises:
        RecipeError: A field is unknown.
    """
    known = {field.name for field in fields(Recipe)}
    if unknown := set(values) - known:
        raise RecipeError(
            f"The recipe has fields this Graft does not know: {', '.join(sorted(unknown))}. "
            "It was written by a newer Graft; update this one."
        )
    values = dict(values)
    if "fractions" in values:
        values["fractions"] = tuple(values["fractions"])
    if "augment" in values:
        values["augment"] = augmentation.from_json(values["augment"])
    return Recipe(**values)


def for_probe(
    recipe: Recipe, *, fractions: tuple[float, float, float], seed: int, keep_given: bool
) -> Recipe:
    """Return the recipe of a probe on the network, and the features, that a recipe begins with, on another split.

    Where that one is untrained, or an earlier run's, which may have learnt from what judges, it is the published one.
    """
    if recipe.weights == RANDOM_WEIGHTS or parent_run(recipe):
        recipe = replace(recipe, weights="", fine_tune_epochs=0, train_batch_norm=False)
    recipe = replace(recipe, teacher="")  # on another split it may have learnt from what judges
    return replace(recipe, fractions=fractions, seed=seed, keep_given=keep_given)


def differences(recipe: Recipe, other: Recipe) -> tuple[str, ...]:
    """Return the names of the fields in which two recipes differ, in the order of :class:`Recipe`."""
    return tuple(
        field.name for field in fields(Recipe) if getattr(recipe, field.name) != getattr(other, field.name)
    )


def validate(recipe: Recipe) -> Recipe:
    """Return the recipe with its backbone's catalog name and image size filled in.

    Raises:
        RecipeError: The first field, or combination, that cannot be used: what was received, what is expected.
    """
    spec = catalog.get(recipe.backbone)
    size = recipe.image_size or spec.image_size
    validate_image_size(size, spec)
    for name, allowed in _CHOICES.items():
        _one_of(name, getattr(recipe, name), allowed)
    for name, (low, high, unit) in _RANGES.items():
        _between(name, getattr(recipe, name), low, high, unit)
    augmentation.validate(recipe.augment)
    _fits_together(recipe)
    validate_fractions(recipe.fractions)
    return replace(recipe, backbone=spec.name, image_size=size, weights=_weights(recipe.weights))


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "resize": RESIZE_RULES,
    "pooling": POOLINGS,
    "balance": BALANCES,
    "head_solver": SOLVERS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}

_RANGES: Mapping[str, tuple[float, float, str]] = {
    "depth": (0.05, 1.0, "(share of the blocks)"),
    "seed": (0, 2**31 - 1, ""),
    "dense_units": (0, 8_192, "units"),
    "dropout": (0.0, 0.9, ""),
    "views": (0, 16, "variations"),
    "teacher_weight": (0.01, 1.0, "(share of each target)"),
    "teacher_temperature": (1.0, 20.0, ""),
    "label_smoothing": (0.0, 0.5, ""),
    "head_epochs": (0, 10_000, "epochs"),
    "head_strength": (1e-6, 1e6, ""),
    "head_learning_rate": (1e-7, 1.0, ""),
    "fine_tune_epochs": (0, 1_000, "epochs"),
    "fine_tune_blocks": (0.0, 1.0, "(share of the blocks)"),
    "learning_rate": (1e-7, 1.0, ""),
    "layer_decay": (0.01, 1.0, ""),
    "weight_decay": (0.0, 1.0, ""),
    "batch_size": (1, 1_024, "images"),
    "patience": (0, 1_000, "epochs"),
    "max_minutes": (0.0, 100_000.0, "minutes"),
}


_DEFAULTS = Recipe()


def _fits_together(recipe: Recipe) -> None:
    """Refuse what no training could do, with the reason."""
    if not recipe.head_epochs and not recipe.fine_tune_epochs:
        raise RecipeError(
            "head_epochs and fine_tune_epochs are both 0, so nothing would be trained. Raise at least one of them."
        )
    if recipe.fine_tune_epochs and not recipe.fine_tune_blocks:
        raise RecipeError(
            f"fine_tune_epochs is {recipe.fine_tune_epochs} but fine_tune_blocks is 0, so stage 2 would train "
            "no block of the backbone. Raise fine_tune_blocks, or set fine_tune_epochs to 0."
        )
    if recipe.head_solver == "lbfgs" and recipe.head_epochs and (recipe.dense_units or recipe.dropout):
        raise RecipeError(
            f'head_solver is "lbfgs", which fits a single dense layer, but dense_units is {recipe.dense_units} and '
            f'dropout is {recipe.dropout:g}. Choose head_solver "adam", or set both to 0.'
        )
    if recipe.views and not recipe.augment.changes_pixels:
        raise RecipeError(
            f"views is {recipe.views}, but no augmentation changes a picture, so all views would be the same. "
            "Choose an augmentation, or set views to 0."
        )
    if recipe.teacher and not teacher_run(recipe):
        raise RecipeError(
            f'teacher is "{recipe.teacher}", which names no run. Expected "run:" and the id of a finished run on the '
            "same dataset, such as run:20261122-194512-3fa9. Choose one; train it first if there is none."
        )
    if recipe.train_batch_norm and recipe.weights != RANDOM_WEIGHTS:
        raise RecipeError(
            "train_batch_norm is on, which spoils the statistics of a pretrained backbone. It is for training from "
            'scratch only: set weights to "random", or turn it off.'
        )
    if recipe.weights == RANDOM_WEIGHTS and not recipe.fine_tune_epochs:
        raise RecipeError(
            'weights is "random" and fine_tune_epochs is 0, so the random backbone would never learn. Raise '
            "fine_tune_epochs, or choose pretrained weights."
        )


def validate_image_size(image_size: int, spec: BackboneSpec) -> None:
    """Check the side of a network's input in pixels.

    Raises:
        RecipeError: It is smaller than the network takes, or larger than :data:`MAX_IMAGE_SIZE`.
    """
    _between("image_size", image_size, spec.min_size, MAX_IMAGE_SIZE, f"pixels for {spec.title}")


def validate_fractions(fractions: tuple[float, ...]) -> None:
    """Check the shares of train, val and test.

    Raises:
        RecipeError: They are not three numbers above 0 that add up to 1.
    """
    if len(fractions) != 3 or not min(fractions) > 0 or not abs(sum(fractions) - 1) <= 1e-6:
        shown = ", ".join(f"{share:g}" for share in fractions)
        raise RecipeError(
            f"The split is {shown}. Expected three shares above 0 for train, val and test that add up to 1, "
            "for example 0.7, 0.15, 0.15."
        )


def parent_run(recipe: Recipe) -> str:
    """Return the id of the run that the recipe goes on from, else an empty string."""
    return recipe.weights.removeprefix(RUN_PREFIX) if recipe.weights.startswith(RUN_PREFIX) else ""


def teacher_run(recipe: Recipe) -> str:
    """Return the id of the run that is the recipe's teacher, else an empty string."""
    return recipe.teacher.removeprefix(RUN_PREFIX) if recipe.teacher.startswith(RUN_PREFIX) else ""


def in_split_of(recipe: Recipe, teacher: Mapping[str, Any]) -> Recipe:
    """Return a student's recipe with the split of its teacher, whose recipe is given as JSON.

    On another split the teacher would have learnt from pictures that judge the student.
    """
    theirs = from_json(teacher)
    return replace(recipe, fractions=theirs.fractions, seed=theirs.seed, keep_given=theirs.keep_given)


def weights_file(recipe: Recipe) -> Path | None:
    """Return the weights file that the recipe names, if it names one."""
    if not recipe.weights or recipe.weights == RANDOM_WEIGHTS or parent_run(recipe):
        return None
    return Path(recipe.weights)


def _weights(given: str) -> str:
    """Make the path of a weights file absolute: the session that reads it works in another folder."""
    if not given or given == RANDOM_WEIGHTS or given.startswith(RUN_PREFIX):
        return given
    path = Path(given).expanduser().resolve()
    if not path.is_file():
        raise RecipeError(
            f'There is no weights file "{given}". Expected the path of a file on this computer, "run:" and the id of '
            'a run, or "random". Check it, or leave it out to use the ImageNet weights.'
        )
    return str(path)


def _between(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    is_whole = isinstance(getattr(_DEFAULTS, name), int)
    is_number = isinstance(value, int if is_whole else int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        kind = "a whole number from " if is_whole else ""
        raise RecipeError(
            f"{name} is {value!r}. Expected {kind}{low:.10g} to {high:.10g} {unit}".rstrip() + "."
        )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RecipeError(f'{name} is "{value}". Expected one of: {", ".join(allowed)}.')
