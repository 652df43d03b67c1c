"""What a training will take on this machine, before it starts: time, memory, disk."""

from __future__ import annotations

from core.forecast.kept_boundary import TRAIN_TYPE, VAL_TYPE, Plan, plan_boundary
from core.forecast.needs import MIN_MEASURED, Forecast, forecast

__all__ = ["MIN_MEASURED", "TRAIN_TYPE", "VAL_TYPE", "Forecast", "Plan", "forecast", "plan_boundary"]
