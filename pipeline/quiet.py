"""MONAI without what it says at every start. Imports nothing of ours, for every room to use."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_monai"]

_TALKATIVE = ("monai.bundle.workflows", "monai.bundle.scripts")


@contextmanager
def quiet_monai() -> Iterator[None]:
    """Keep back that a config is code, what was read for it, and that logging is left alone; errors are told."""
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
