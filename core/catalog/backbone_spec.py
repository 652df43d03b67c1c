"""What is known of one pretrained network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Preprocessing = Literal["tf", "caffe", "torch", "efficientnet", "lite"]
"""What happens to RGB pixels of 0 to 255 before the first convolution.

``tf``: to -1 … 1. ``torch``: to 0 … 1, then minus the ImageNet mean, over its deviation. ``caffe``: BGR minus
the ImageNet mean. ``efficientnet``: as ``torch``, by layers whose constants come with the weights.
``lite``: (x - 127) / 128.
"""

Source = Literal["keras", "package", "seeded"]
"""``keras``: a file in the Keras cache. ``package``: inside an installed package. ``seeded``: none needed."""

_BYTES_PER_PARAMETER = 4  # all weight files hold float32


@dataclass(frozen=True)
class BackboneSpec:
    """One pretrained network.

    Attributes:
        name: Lower-case key in :data:`core.catalog.CATALOG`.
        title: Name as in the paper.
        family: Networks of one family share their building blocks.
        builder: Class in ``keras.applications``; empty for Graft's own networks.
        source: Where the weights come from.
        image_size: Height and width the weights were trained at, in pixels.
        min_size: Smallest height and width the network can take, in pixels.
        preprocessing: What it expects its pixels to go through; happens inside the network.
        num_parameters: Weights without the classifying top, moving statistics included.
        num_features: Channels of the last feature map.
        gmacs: Billions of multiply-adds for one image of ``image_size``, counted over convolutions.
        num_activations: Numbers that all layers give for one image of ``image_size`` together.
        block_pattern: Regular expression whose first group names the block a layer belongs to.
        paper: Who, when, what, where.
        licence: Of the code and of the weights.
        weights_file: File name, exactly as Keras looks for it in its cache.
        weights_url: Where Keras downloads it from; empty where there is nothing to download.
        weights_hash: MD5 or SHA-256 of the file, told apart by length; empty where Keras gives none.
        width: Share of the channels of the network as it was published first (``alpha`` in ``keras.applications``).
        hidden: Meant for tests; not offered on the pages.
    """

    name: str
    title: str
    family: str
    builder: str
    preprocessing: Preprocessing
    num_parameters: int
    num_features: int
    gmacs: float
    num_activations: int
    block_pattern: str
    paper: str
    source: Source = "keras"
    image_size: int = 224
    min_size: int = 32
    licence: str = "Apache-2.0 (code and weights)"
    weights_file: str = ""
    weights_url: str = ""
    weights_hash: str = ""
    width: float = 1.0
    hidden: bool = False

    @property
    def download_mb(self) -> float:
        """Size of the weights file in megabytes (10**6 bytes); 0 where nothing has to be downloaded."""
        if self.source != "keras":
            return 0.0
        return round(self.num_parameters * _BYTES_PER_PARAMETER / 1e6, 1)
