"""Hide MONAI's messages at start. Imports nothing else of LightSkip, so that every room can use it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_monai"]

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
