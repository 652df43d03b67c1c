"""What a training will take on this machine, before it starts: time, memory, disk."""

from __future__ import annotations

from core.forecast.kept_boundary import TRAIN_TYPE, VAL_TYPE, Plan, plan_boundary
from core.forecast.needs import MAX_PIXEL_BYTES, MIN_MEASURED, Forecast, forecast

__all__ = [
    "MAX_PIXEL_BYTES",
    "MIN_MEASURED",
    "TRAIN_TYPE",
    "VAL_TYPE",
    "Forecast",
    "Plan",
    "forecast",
    "plan_boundary",
]
