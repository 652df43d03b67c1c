"""How a training goes: its events, its epochs, and where it can be taken up again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd

from core.runs.record import folder
from core.workspace import Workspace

STAGES = ("head", "fine_tune")


def emit(workspace: Workspace, run_id: str, kind: str, **values: Any) -> None:
    """Append one event to a run's ``events.jsonl``."""
    line = json.dumps({"time": time.time(), "kind": kind, **values}, ensure_ascii=False)
    with (folder(workspace, run_id) / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def events(workspace: Workspace, run_id: str) -> list[dict[str, Any]]:
    """Return a run's events in order; a line torn by a killed process is left out."""
    path = folder(workspace, run_id) / "events.jsonl"
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def epochs(workspace: Workspace, run_id: str) -> pd.DataFrame:
    """Return one row per finished epoch, by stage: ``stage``, ``epoch``, ``epochs``, ``loss``, ``accuracy``, ….

    An epoch that was done again after an interruption counts once, as it was done last.
    """
    found: list[dict[str, Any]] = []
    for event in events(workspace, run_id):
        if event["kind"] == "epoch":
            found.append(event)
        elif event["kind"] == "resumed":  # an epoch may have been kept by one that died before it could tell
            found += event["history"]
    told = pd.DataFrame(found)
    if told.empty:
        return told
    told = told.drop_duplicates(["stage", "epoch"], keep="last")
    # Of the two names of stages that of the first, "head", comes later in the alphabet.
    return told.sort_values(["stage", "epoch"], ascending=[False, True], ignore_index=True)


def head_chosen(workspace: Workspace, run_id: str) -> dict[str, Any] | None:
    """Return what is known of the head that counts, as stage 1 chose it last: the one that stage 2 has to beat.

    Returns:
        ``strength`` (scikit-learn's ``C``; None where Adam fitted it), ``val_loss`` (calibrated) and ``val_accuracy``;
        None before stage 1 has ended, and for a run of an older Graft.
    """
    told = [event for event in events(workspace, run_id) if event["kind"] == "head_chosen"]
    return told[-1] if told else None


def checkpoint_path(workspace: Workspace, run_id: str, stage: str) -> Path:
    """Return where a stage, one of :data:`STAGES`, keeps how far it is."""
    return folder(workspace, run_id) / f"checkpoint-{stage}.npz"


def has_checkpoint(workspace: Workspace, run_id: str) -> bool:
    """Return whether a training that is taken up again goes on after its last finished epoch."""
    return any(checkpoint_path(workspace, run_id, stage).exists() for stage in STAGES)


def remove_checkpoints(workspace: Workspace, run_id: str) -> None:
    """Forget how far a training is, once it is done; what a killed process was writing goes too."""
    for stage in STAGES:
        path = checkpoint_path(workspace, run_id, stage)
        for file in (path, *path.parent.glob(f".{path.name}.*.part")):
            file.unlink(missing_ok=True)
