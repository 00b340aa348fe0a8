"""Hide messages of MONAI and Ignite that say nothing. Every room can use it: it imports nothing else of LightSkip."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_not_interrupt", "quiet_monai"]

_TALKATIVE = ("monai.bundle.workflows", "monai.bundle.scripts")


@contextmanager
def quiet_monai() -> Iterator[None]:
    """Hide MONAI's messages about running a config (that it is code, its files, its logging), but not its errors."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="parsing config_file")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def is_not_interrupt(_: logging.LogRecord) -> bool:
    """Reject the error that Ignite logs for Ctrl-C, which has no text; a filter for the logger of an engine."""
    return not isinstance(sys.exc_info()[1], KeyboardInterrupt)
