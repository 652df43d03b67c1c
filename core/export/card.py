"""The model card: what the model is, what it was trained on, how good it is, and how it is used."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from core import catalog, runs
from core.exports import Artefact, Certificate
from core.recipes import Recipe
from core.runs import SPLITS, Run


def model_card(
    run: Run, recipe: Recipe, split: pd.DataFrame, certificate: Certificate, best: Artefact
) -> str:
    """Return the card as Markdown; names of classes and folders cannot be read as Markdown in it.

    Args:
        run: A finished run.
        recipe: Its recipe.
        split: Which pictures were used.
        certificate: What the exported files were found to do.
        best: The artefact that ``predict.py`` uses.
    """
    return (
        "\n\n".join(
            [
                f"# A classifier of {len(run.class_names)} classes",
                f"It tells apart {_listed(run.class_names)}, and nothing else: whatever it is shown, it answers with "
                "one of these.",
                _use(best),
                _data(run, split),
                _making(run, recipe),
                _scores(run, certificate),
                _limits(run),
            ]
        )
        + "\n"
    )


def _use(best: Artefact) -> str:
    unclear = (
        ""
        if best.passed
        else ", of which the test pictures were too few to tell whether it agrees with the app"
    )
    return "\n".join(
        [
            "## Use",
            "",
            "```sh",
            "python -m pip install -r requirements.txt",
            "python predict.py photo.jpg",
            "python check.py        # does it still answer as it did in the app?",
            "```",
            "",
            f"`predict.py` runs `{best.about.file}`{unclear}. All models take RGB pixels, uint8 0 to 255, (pictures, "
            "height, width, 3), at the size and by the resize rule in `model.json`, and give calibrated probabilities "
            "in the order of `labels.txt`; preprocessing is inside. Size and pixels have to be made as `decode` in "
            "`predict.py` makes them, or the answers will differ.",
        ]
    )


def _data(run: Run, split: pd.DataFrame) -> str:
    counts = pd.crosstab(split["label"], split["split"]).reindex(
        index=list(run.class_names), columns=list(SPLITS), fill_value=0
    )
    rows = [
        f"| {_code(name)} | {' | '.join(str(count) for count in counts.loc[name])} |"
        for name in run.class_names
    ]
    return "\n".join(
        [
            "## Data",
            "",
            f"Folder {_code(run.dataset_name)}, fingerprint `{run.split_fingerprint}`.",
            "",
            "| class | train | val | test |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _making(run: Run, recipe: Recipe) -> str:
    spec = catalog.get(recipe.backbone)
    stage = "its upper blocks fine-tuned" if run.fine_tuned else "frozen"
    return (
        f"## Making\n\n{spec.title} at {recipe.image_size} pixels, {stage}, with a new head; trained "
        f"{time.strftime('%Y-%m-%d', time.gmtime(run.created))} as run `{run.id}` (all settings in `recipe.json`). "
        f"Temperature {run.temperature:.3f}, fitted on val. Pretrained weights: licence {spec.licence}; {spec.paper}"
    )


def _scores(run: Run, certificate: Certificate) -> str:
    test = run.metrics["test"]
    low, high = test["accuracy_interval"]
    return (
        f"## Scores\n\nOn {test['num_images']} test pictures, which decided nothing: accuracy "
        f"{100 * test['accuracy']:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %), macro F1 "
        f"{_with_interval(test, 'macro_f1')}, log loss {_with_interval(test, 'log_loss')}. How each exported file does "
        f"on the same pictures stands in [CERTIFICATE.md](CERTIFICATE.md): {len(certificate.passed)} of "
        f"{len(certificate.artefacts)} passed{_unclear(certificate)}."
        + "".join(f" {note}" for note in runs.review_notes(run, "test"))
    )


def _with_interval(scores: Mapping[str, Any], measure: str) -> str:
    """Return a measure with its interval, where the run's record has one."""
    found = runs.estimate(scores, measure)
    if math.isnan(found.low):
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _unclear(certificate: Certificate) -> str:
    unclear = len(certificate.of("unclear"))
    return f", of {unclear} the pictures are too few to tell" if unclear else ""


def _limits(run: Run) -> str:
    return (
        "## Limits\n\nThe scores hold for pictures like those of the test split. Other cameras, places, lighting or "
        "kinds of things than in training, and pictures of none of the classes, were not measured here. Look at its "
        "errors before it decides anything about people."
    )


def _listed(names: Sequence[str]) -> str:
    shown = [_code(name) for name in names[:20]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more (`labels.txt`)" if more else "")


def _code(value: str) -> str:
    """Return untrusted text as a code span that also stays in its cell of a table."""
    text = " ".join(value.replace("|", "\N{BROKEN BAR}").split()) or " "
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
