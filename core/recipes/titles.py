"""What people know the settings of a recipe as: one title for each, wherever it is named."""

from __future__ import annotations

from core.words import Sentence, sentence


def title(name: str) -> Sentence:
    """Return what the pages call a setting.

    Args:
        name: Of a field of :class:`core.recipes.Recipe`, or of a kind of augmentation, such as ``augment.crop``.
    """
    outer, _, kind = name.partition(".")
    if outer == "augment" and kind:
        return sentence("field.augment_kind", kind=sentence(f"augment.kind.{kind}"))
    if name == "backbone":
        return sentence("training.backbone")
    if name == "seed":
        return sentence("data.split.seed")
    if name == "teacher":
        return sentence("teacher.title")
    return sentence(f"field.{name}")
