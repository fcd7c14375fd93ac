"""The expected failures, in one tree, with no HTTP in it: what went wrong, where, and what to try.

Each dialect maps them to its own statuses and bodies (`dialects/`). Anything that is not one of these is
a defect and becomes a fixed 500 whose text never leaves the process.
"""

from __future__ import annotations


class TocsinError(Exception):
    """A failure that was foreseen. `str()` of it is written for the person who caused it."""


class InvalidQuery(TocsinError):
    """A query option is wrong; the text says what, and at which position where there is one (`odata-inputs.md`)."""


class InvalidInput(TocsinError):
    """A request, a setting or an argument is wrong in the way the text says."""


class InvalidChange(InvalidInput):
    """A change that cannot be made as it was asked for; the text names each property that is wrong."""


class TooLarge(TocsinError):
    """An input is over its configured bound; nothing of it was kept."""


class Refused(TocsinError):
    """One alert could not be read; the text says which field and why. Others beside it are not affected."""


class Unauthenticated(TocsinError):
    """No caller can be made of the credentials. The text is for the log; callers get one fixed sentence."""


class Forbidden(TocsinError):
    """The caller is known but lacks a permission; the text names the ones that would do."""


class NotFound(TocsinError):
    """Absent, past retention, or not visible to the caller: the three are never told apart."""


class Expired(TocsinError):
    """A position that cannot be gone on from, because what followed it is no longer kept; beginning anew works."""


class Redirected(TocsinError):
    """What was to be changed was merged away; `incident_id` is the incident that holds its alerts now."""

    def __init__(self, message: str, incident_id: int) -> None:
        super().__init__(message)
        self.incident_id = incident_id


class QuotaExceeded(TocsinError):
    """Too many calls. `retry_after` is in whole seconds, at least 1."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(TocsinError):
    """The service cannot take this now (busy, stopping, or a failed write); asking again later is safe."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageFull(Unavailable):
    """The disk has no room: nothing of the request was kept, reads go on."""


class StoreError(TocsinError):
    """The store cannot be opened or used as it is; the text says what to do about it."""
