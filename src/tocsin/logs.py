"""How log lines look: for reading on stderr, or as JSON. Called once, by the command that runs."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from tocsin.audit import redacted


def configure_logs(*, as_json: bool, level: int = logging.INFO) -> None:
    """Send every log line, also those of libraries, to stderr in one form. Libraries only from WARNING on."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        final += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(), _without_secrets]
    else:
        # Not the formatter that is taken where rich is installed: it prints local variables, and some are secrets.
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
        )
        final += [console, _without_secrets]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=final))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tocsin").setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=_ours,
        cache_logger_on_first_use=False,
    )


def _without_secrets(_logger: WrappedLogger, _method: str, line: EventDict | str | bytes) -> str:
    """The last wall: nothing that looks like a secret of ours is written, wherever in a line it stands."""
    return redacted(line if isinstance(line, str) else str(line))


def _ours(*_names: object) -> logging.Logger:
    return logging.getLogger("tocsin")
