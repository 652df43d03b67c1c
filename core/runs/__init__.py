"""What was done: one folder per run, its record written last and always whole.

runs/<run_id>/
├── run.json                 the record (:class:`Run`)
├── events.jsonl             stages, epochs and log lines, one JSON object a line
├── split.parquet            path, sha256, label, split and group of every image used
├── head.npz                 kernel (features, classes) and bias (classes,) of the head
├── backbone.npz             all weights of the backbone, where they are not its pretrained ones
├── checkpoint-<stage>.npz   while the training is under way: where to go on after an interruption
├── cross-validation.json    where it was asked for (:func:`cross_validation`); its answers in out-of-fold.npz
├── predictions-<split>.npz  logits (images, classes), in the order of split.parquet
├── head-alone.npz           the same of the head of stage 1, where the run's model is the fine-tuned one
├── scores-<split>.json      how it was judged (:func:`judged`), computed once
├── labels.json              what people call it (:class:`Labels`)
└── looks.txt                when its scores on test were shown, a line each (:func:`note_look`)
"""

from __future__ import annotations

from core.runs.against import Reference, references
from core.runs.artefacts import load_arrays, load_split, save_arrays, save_split
from core.runs.compared import DATA_FACTS, Compared, compare, confusion_changes, differing_settings, match
from core.runs.course import (
    STAGES,
    checkpoint_path,
    emit,
    epochs,
    events,
    has_checkpoint,
    head_chosen,
    remove_checkpoints,
)
from core.runs.judging import groups_of, judged, save_judgement
from core.runs.lists import LISTS, ORDERS, SURE, UNSURE, chosen, listed
from core.runs.looks import note_look, num_looks
from core.runs.naming import Labels, labels, set_labels
from core.runs.overview import filtered, reached
from core.runs.record import (
    ACTIVE_STATES,
    FINAL_STATES,
    SPLITS,
    STOPPED,
    Run,
    create,
    delete,
    estimate,
    folder,
    from_json,
    get,
    get_state,
    is_id,
    list_runs,
    save,
    set_state,
)
from core.runs.reviewed import Reviewed, original_scores, review_notes, reviewed
from core.runs.said import (
    Predictions,
    answers,
    cross_validation,
    has_out_of_fold,
    head_alone,
    out_of_fold,
    predictions,
    save_cross_validation,
    save_head_alone,
    save_out_of_fold,
)
from core.runs.slices import FEW, Slice, flagged_parts, slices

__all__ = [
    "ACTIVE_STATES",
    "DATA_FACTS",
    "FEW",
    "FINAL_STATES",
    "LISTS",
    "ORDERS",
    "SPLITS",
    "STAGES",
    "STOPPED",
    "SURE",
    "UNSURE",
    "Compared",
    "Labels",
    "Predictions",
    "Reference",
    "Reviewed",
    "Run",
    "Slice",
    "answers",
    "checkpoint_path",
    "chosen",
    "compare",
    "confusion_changes",
    "create",
    "cross_validation",
    "delete",
    "differing_settings",
    "emit",
    "epochs",
    "estimate",
    "events",
    "filtered",
    "flagged_parts",
    "folder",
    "from_json",
    "get",
    "get_state",
    "groups_of",
    "has_checkpoint",
    "has_out_of_fold",
    "head_alone",
    "head_chosen",
    "is_id",
    "judged",
    "labels",
    "list_runs",
    "listed",
    "load_arrays",
    "load_split",
    "match",
    "note_look",
    "num_looks",
    "original_scores",
    "out_of_fold",
    "predictions",
    "reached",
    "references",
    "remove_checkpoints",
    "review_notes",
    "reviewed",
    "save",
    "save_arrays",
    "save_cross_validation",
    "save_head_alone",
    "save_judgement",
    "save_out_of_fold",
    "save_split",
    "set_labels",
    "set_state",
    "slices",
]
