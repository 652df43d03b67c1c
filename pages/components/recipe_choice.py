"""What was chosen on the Training page for a dataset: kept in the workspace, for every browser and for later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core import recipes
from core.datasets import Dataset
from core.errors import GraftError
from core.recipes import Recipe
from core.workspace import read_json, write_json
from pages.components import shell


@dataclass(frozen=True)
class RecipeChoice:
    """A preset, and the recipe that was made of it.

    Args:
        preset: Name in :data:`core.recipes.PRESETS`.
        recipe: The recipe with its backbone; its split is that of the Data page.
    """

    preset: str
    recipe: Recipe


def kept(dataset: Dataset) -> RecipeChoice:
    """Return what was chosen for a dataset, or the defaults where nothing was or the file cannot be used."""
    path = _path(dataset)
    if path.exists():
        try:
            return _read(path)
        # Damaged, or written by another version of Graft: as if nothing had been chosen.
        except (GraftError, KeyError, TypeError, ValueError, AttributeError):
            pass
    return RecipeChoice(recipes.DEFAULT_PRESET, recipes.preset(recipes.DEFAULT_PRESET, dataset.sample))


def _read(path: Path) -> RecipeChoice:
    values = read_json(path)
    recipe = recipes.from_json(values["recipe"])
    recipes.preset(values["preset"])
    # A weights file or a teacher that is missing is said on the page.
    bare = replace(recipe, teacher="")
    recipes.validate(replace(bare, weights="") if recipes.weights_file(bare) else bare)
    return RecipeChoice(values["preset"], recipe)


def keep(dataset: Dataset, choice: RecipeChoice) -> None:
    """Keep a choice for a dataset.

    Raises:
        WorkspaceError: It cannot be written.
    """
    write_json(_path(dataset), {"preset": choice.preset, "recipe": choice.recipe.to_json()})


def _path(dataset: Dataset) -> Path:
    return shell.workspace().datasets_dir / dataset.id / "recipe.json"
