"""What is to be done: jobs, and the device sessions that do them.

A job is a row of the workspace's database. A device session (``python -m core.session``) holds the lock of its
device as long as it lives; the kernel releases the lock when the process ends in whatever way, so a lock that
nobody holds is the honest sign that a running job has died.
"""

from __future__ import annotations

from core.queue.devices import Device, DeviceMemory, default_device, device_memory, devices
from core.queue.endings import INTERRUPTED
from core.queue.jobs import (
    ACTIVE_STATES,
    FINAL_STATES,
    LANES,
    Job,
    cancel,
    claim,
    finish,
    get,
    latest,
    list_jobs,
    report,
    submit,
    wait,
)
from core.queue.sessions import (
    PROJECT_DIR,
    SessionStatus,
    hold_device,
    interrupt_orphans,
    is_alive,
    lock_path,
    log_path,
    release,
    session_status,
    start_session,
    tend,
)
from core.queue.submissions import (
    check_parent,
    retry_training,
    submit_audit,
    submit_cross_validation,
    submit_explanation,
    submit_export,
    submit_familiarity,
    submit_leak,
    submit_prediction,
    submit_ranking,
    submit_training,
    teacher_of,
)
from core.queue.waiting import position, starts_in

__all__ = [
    "ACTIVE_STATES",
    "FINAL_STATES",
    "INTERRUPTED",
    "LANES",
    "PROJECT_DIR",
    "Device",
    "DeviceMemory",
    "Job",
    "SessionStatus",
    "cancel",
    "check_parent",
    "claim",
    "default_device",
    "device_memory",
    "devices",
    "finish",
    "get",
    "hold_device",
    "interrupt_orphans",
    "is_alive",
    "latest",
    "list_jobs",
    "lock_path",
    "log_path",
    "position",
    "release",
    "report",
    "retry_training",
    "session_status",
    "start_session",
    "starts_in",
    "submit",
    "submit_audit",
    "submit_cross_validation",
    "submit_explanation",
    "submit_export",
    "submit_familiarity",
    "submit_leak",
    "submit_prediction",
    "submit_ranking",
    "submit_training",
    "teacher_of",
    "tend",
    "wait",
]
