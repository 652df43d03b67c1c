"""Into which blocks the networks fall, and what leaves each: what keeping it takes, told without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping

from core.catalog.backbone_spec import BackboneSpec

BLOCKS: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "efficientnet-lite0": (
        (1, 2, 16),
        (2, 4, 24),
        (2, 8, 40),
        (3, 16, 80),
        (3, 16, 112),
        (4, 32, 192),
        (1, 32, 1280),
    ),
    "mobilenet": ((1, 2, 64), (2, 4, 128), (2, 8, 256), (6, 16, 512), (2, 32, 1024)),
    "mobilenet-v2": (
        (1, 2, 16),
        (2, 4, 24),
        (3, 8, 32),
        (4, 16, 64),
        (3, 16, 96),
        (3, 32, 160),
        (1, 32, 1280),
    ),
    "mobilenet-v2-0.35": (
        (1, 2, 8),
        (2, 4, 8),
        (3, 8, 16),
        (4, 16, 24),
        (3, 16, 32),
        (3, 32, 56),
        (1, 32, 1280),
    ),
    "mobilenet-v3-small": ((1, 4, 16), (2, 8, 24), (3, 16, 40), (2, 16, 48), (2, 32, 96), (1, 32, 576)),
    "mobilenet-v3-large": (
        (1, 2, 16),
        (2, 4, 24),
        (3, 8, 40),
        (4, 16, 80),
        (2, 16, 112),
        (2, 32, 160),
        (1, 32, 960),
    ),
    "efficientnet-b0": (
        (1, 2, 16),
        (2, 4, 24),
        (2, 8, 40),
        (3, 16, 80),
        (3, 16, 112),
        (4, 32, 192),
        (1, 32, 1280),
    ),
    "efficientnet-b1": (
        (2, 2, 16),
        (3, 4, 24),
        (3, 8, 40),
        (4, 16, 80),
        (4, 16, 112),
        (5, 32, 192),
        (1, 32, 320),
        (1, 32, 1280),
    ),
    "efficientnet-b2": (
        (2, 2, 16),
        (3, 4, 24),
        (3, 8, 48),
        (4, 16, 88),
        (4, 16, 120),
        (5, 32, 208),
        (1, 32, 352),
        (1, 32, 1408),
    ),
    "efficientnet-b3": (
        (2, 2, 24),
        (3, 4, 32),
        (3, 8, 48),
        (5, 16, 96),
        (5, 16, 136),
        (6, 32, 232),
        (1, 32, 384),
        (1, 32, 1536),
    ),
    "efficientnet-v2-b0": (
        (1, 2, 16),
        (2, 4, 32),
        (2, 8, 48),
        (3, 16, 96),
        (5, 16, 112),
        (7, 32, 192),
        (1, 32, 1280),
    ),
    "resnet50": ((3, 4, 256), (4, 8, 512), (6, 16, 1024), (3, 32, 2048)),
    "resnet50-v2": (
        (2, 4, 256),
        (1, 8, 256),
        (3, 8, 512),
        (1, 16, 512),
        (5, 16, 1024),
        (1, 32, 1024),
        (3, 32, 2048),
    ),
    "vgg16": ((1, 2, 64), (1, 4, 128), (1, 8, 256), (1, 16, 512), (1, 32, 512)),
    "vgg19": ((1, 2, 64), (1, 4, 128), (1, 8, 256), (1, 16, 512), (1, 32, 512)),
    "inception-v3": ((1, 8, 256), (2, 8, 288), (5, 16, 768), (1, 32, 1280), (1, 32, 0), (1, 32, 2048)),
    "xception": ((1, 2, 64), (1, 4, 128), (1, 8, 256), (9, 16, 728), (1, 32, 1024), (1, 32, 2048)),
    "densenet121": ((1, 4, 256), (1, 8, 512), (1, 16, 1024), (1, 32, 1024)),
    "nasnet-mobile": ((1, 4, 0), (5, 8, 0), (5, 16, 0), (4, 32, 0), (1, 32, 1056)),
    "convnext-tiny": ((3, 4, 96), (3, 8, 192), (9, 16, 384), (3, 32, 768)),
    "tiny": ((1, 2, 8), (1, 4, 16), (1, 8, 64)),
}
"""By a network's name, from the input to the output: so many blocks in a row, the pixels of the image per position of
what leaves each of them (along one side), and its channels; 0 where what follows looks back further than that."""


def share_of_blocks(share: float, num_blocks: int) -> int:
    """Return how many blocks a share of them is, rounded up."""
    return math.ceil(round(share * num_blocks, 6))  # 0.07 × 100 blocks are 7, not 7.000000000000001


def boundary_width(spec: BackboneSpec, image_size: int, depth: float, share: float) -> int:
    """Return about how many numbers leave the last frozen block for one image.

    Args:
        spec: Of a network of the catalog.
        image_size: Height and width in pixels.
        depth: Share of its blocks that are used, counted from the input.
        share: Of these, the share that learns, counted from the output.

    Returns:
        0 if none stays frozen, or if what learns needs more than what leaves the last of them.
    """
    blocks = [(side, channels) for count, side, channels in BLOCKS[spec.name] for _ in range(count)]
    used = blocks[: share_of_blocks(depth, len(blocks))]
    frozen = used[: len(used) - share_of_blocks(share, len(used))]
    if not frozen:
        return 0
    side, channels = frozen[-1]
    return max(1, image_size // side) ** 2 * channels
