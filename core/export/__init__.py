"""A model someone else can run: one network from pixels to calibrated probabilities, written down, checked, packed.

Conversions and checks run in processes of their own (:mod:`convert`, :mod:`checker`), which know nothing of Graft:
they can be stopped at any moment, give their memory back, and prove that the files stand on their own.
"""

from __future__ import annotations

from core.export.golden import write_golden
from core.export.making import convert
from core.export.model import whole_model
from core.export.package import finish, pack, write_kit
from core.export.parity import Checked, check

__all__ = ["Checked", "check", "convert", "finish", "pack", "whole_model", "write_golden", "write_kit"]
