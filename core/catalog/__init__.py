"""Which pretrained networks there are: facts only, no TensorFlow.

A spec says what a network is called, what it wants to see, and where its weights come from; the room
:mod:`core.backbones` makes a network of it. To add one of ``keras.applications``, add one entry to
:data:`core.catalog.specs.SPECS` and one to :data:`core.catalog.blocks.BLOCKS`: nothing else has to change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType

from core.catalog.backbone_spec import BackboneSpec, Preprocessing, Source
from core.catalog.blocks import BLOCKS, boundary_width, share_of_blocks
from core.catalog.specs import DEFAULT_BACKBONE, SPECS
from core.catalog.weights import (
    WeightsStatus,
    is_hdf5,
    keras_home,
    package_name,
    package_weights_path,
    weights_status,
)
from core.errors import RecipeError

__all__ = [
    "BLOCKS",
    "CATALOG",
    "DEFAULT_BACKBONE",
    "BackboneSpec",
    "Preprocessing",
    "Source",
    "WeightsStatus",
    "boundary_width",
    "get",
    "is_hdf5",
    "keras_home",
    "package_name",
    "package_weights_path",
    "share_of_blocks",
    "weights_status",
]

CATALOG: Mapping[str, BackboneSpec] = MappingProxyType({spec.name: spec for spec in SPECS})


def _normalised(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_NORMALISED_NAME = MappingProxyType({_normalised(spec.name): spec for spec in SPECS})


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
    closest = difflib.get_close_matches(wanted, offered, n=3, cutoff=0.4)
    names = ", ".join(_BY_NORMALISED_NAME[key].name for key in closest or offered)
    choose = "Choose for example" if closest else "Choose one of"
    raise RecipeError(f'Unknown backbone "{name}". Expected a name of the catalog. {choose}: {names}.')
