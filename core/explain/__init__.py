"""Where did a model look, and what does a picture resemble?

Class activation maps say which places of a picture spoke for a class; the nearest training pictures of a class, in the
features that the head stands on, say what it was taken for.
"""

from __future__ import annotations

from core.explain.maps import ClassMaps, class_maps
from core.explain.neighbours import Neighbour, Neighbours, known_features

__all__ = ["ClassMaps", "Neighbour", "Neighbours", "class_maps", "known_features"]
