"""What can go wrong, in the user's words.

    GraftError
    ├── DataError             the pictures or their folder
    │   └── UnreadableImage   one file; ``kind`` says which trouble
    ├── RecipeError           what a training was asked to do
    ├── WeightsError          a pretrained network's weights
    ├── WorkspaceError        the place where Graft keeps things
    ├── DeviceError           the device that was asked for
    ├── NotFound              a dataset, run or job that does not exist (any more)
    ├── JobError              a job that failed, was cancelled or was interrupted
    └── Cancelled             the user asked to stop

Every message says what was received, what is expected and what to do about it.
"""

from __future__ import annotations


class GraftError(Exception):
    """Base of all errors whose message is meant for the user."""


class DataError(GraftError):
    """The pictures or their folder cannot be used as they are."""


class UnreadableImage(DataError):
    """One file is not a picture that can be used.

    Args:
        message: What is wrong with the file, in plain words.
        kind: ``"empty"``, ``"not_image"``, ``"unsupported_format"``, ``"truncated"``, ``"too_large"``,
            ``"unreadable"``, ``"no_permission"`` or ``"missing"``.
    """

    def __init__(self, message: str, kind: str = "unreadable") -> None:
        super().__init__(message)
        self.kind = kind


class RecipeError(GraftError):
    """A training was asked for something that cannot be done."""


class WeightsError(GraftError):
    """The weights of a pretrained network are missing, damaged or do not fit."""


class WorkspaceError(GraftError):
    """The workspace folder cannot be used."""


class DeviceError(GraftError):
    """The device that was asked for is not on this machine."""


class NotFound(GraftError):
    """A dataset, run or job does not exist, or exists no more."""


class JobError(GraftError):
    """A job ended without a result."""


class Cancelled(GraftError):
    """The user asked to stop; raised through progress callbacks."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)


def network_reason(error: Exception) -> str:
    """Return why something could not be fetched in plain words, without the wrapping of ``urllib``."""
    if code := getattr(error, "code", None):  # the server's answer
        return f"the server answered {code} {getattr(error, 'reason', '')}".rstrip()
    reason = getattr(error, "reason", None) or error
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)
