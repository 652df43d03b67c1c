"""How well does EfficientNet-Lite0's own head name pictures of ImageNet classes?

    python benchmarks/imagenet_head.py FOLDER LABELS

FOLDER holds one folder per class, called like an ImageNet class (``golden_retriever``); LABELS is a text file
with the 1,000 class names in ImageNet's order, synonyms separated by commas.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core import images
from core.backbones import efficientnet_lite
from core.errors import UnreadableImage
from core.workspace import Workspace, open_workspace

IMAGE_SIZE = (224, 224)


def class_indices(class_names: list[str], labels: list[str]) -> dict[str, int]:
    """Map folder names to the numbers of ImageNet classes.

    ImageNet's order keeps relatives together, so a name of two classes (``cardigan``: a corgi and a garment)
    is taken for the one that is closer to the other folders' classes.

    Raises:
        ValueError: A name is no class.
    """
    by_name: dict[str, set[int]] = {}
    for index, synonyms in enumerate(labels):
        for synonym in synonyms.split(","):
            by_name.setdefault(_plain(synonym), set()).add(index)
    found = {name: by_name.get(_plain(name), set()) for name in class_names}
    if unknown := [name for name, indices in found.items() if not indices]:
        raise ValueError(f"Not the names of ImageNet classes: {', '.join(unknown)}.")
    middle = np.median([index for indices in found.values() if len(indices) == 1 for index in indices])
    return {name: min(indices, key=lambda index: abs(index - middle)) for name, indices in found.items()}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]+", " ", name.lower()).strip()


def top_k_accuracy(workspace: Workspace, folder: Path, labels_path: Path) -> tuple[int, float, float]:
    """Return the number of pictures, top-1 and top-5 accuracy (0 … 1) among all 1,000 classes."""
    class_folders = sorted(path for path in folder.iterdir() if path.is_dir())
    indices = class_indices([path.name for path in class_folders], labels_path.read_text().splitlines())
    files = [(path, indices[parent.name]) for parent in class_folders for path in sorted(parent.iterdir())]
    decoded = images.iterate_decoded([path for path, _ in files], IMAGE_SIZE, "crop")
    pictures, y_true = [], []
    for picture, (_, label) in zip(decoded, files, strict=True):
        if not isinstance(picture, UnreadableImage):
            pictures.append(picture)
            y_true.append(label)
    model = efficientnet_lite.build_classifier(workspace, IMAGE_SIZE)
    logits = np.concatenate([model(np.stack(pictures[i : i + 32])) for i in range(0, len(pictures), 32)])
    best = np.argsort(-logits, axis=1)[:, :5]
    hits = best == np.array(y_true)[:, None]
    return len(y_true), float(hits[:, 0].mean()), float(hits.any(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="one folder per class, called like an ImageNet class")
    parser.add_argument("labels", type=Path, help="the 1,000 class names, one a line")
    arguments = parser.parse_args()
    count, top_1, top_5 = top_k_accuracy(open_workspace(), arguments.folder, arguments.labels)
    print(f"{count} pictures: top-1 {top_1:.2%}, top-5 {top_5:.2%} of 1,000 classes")


if __name__ == "__main__":
    main()
