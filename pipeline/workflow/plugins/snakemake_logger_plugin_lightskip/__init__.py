"""A logger plugin of Snakemake that reports events to LightSkip: one JSON object a line, to a file descriptor."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

__all__ = ["LogHandler", "LogHandlerSettings"]

# By event, the entries of its record that are passed on.
_ENTRIES = {
    "run_info": ("stats",),
    "job_info": ("jobid", "rule_name", "output", "log"),
    "job_finished": ("job_id",),
    "job_error": ("jobid",),
}


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The plugin's options on Snakemake's command line."""

    descriptor: int | None = field(default=None, metadata={"help": "file descriptor to write to", "type": int})


class LogHandler(LogHandlerBase):
    """Writes events. It writes neither to the terminal nor to a file, so that Snakemake's own log stays whole."""

    writes_to_stream = False
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: LogRecord) -> None:
        """Write an event."""
        name = str(getattr(record, "event", None) or "").lower()
        settings = self.settings
        if name not in _ENTRIES or not isinstance(settings, LogHandlerSettings) or settings.descriptor is None:
            return
        content = {key: getattr(record, key, None) for key in _ENTRIES[name]}
        line = json.dumps({"event": name, **content}, default=str) + "\n"
        try:
            os.write(settings.descriptor, line.encode())
        except OSError:
            # The reader was killed. The jobs go on.
            settings.descriptor = None
