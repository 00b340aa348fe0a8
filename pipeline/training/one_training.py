"""Let one training at a time write into a folder."""

from __future__ import annotations

import logging
import weakref
from pathlib import Path

from ..data.errors import InputError
from ..data.one_at_a_time import TRAINING_LOCK, describe_takeover, locked_error, not_a_lock
from ..locks import Lock, LockedError, take_lock

__all__ = ["TrainingLock"]

_VERB = "lightskip train"

# A process computes one training at a time: an earlier one in the same folder has ended, such as in a notebook.
_held: weakref.WeakValueDictionary[Path, TrainingLock] = weakref.WeakValueDictionary()

logger = logging.getLogger(__name__)


class TrainingLock:
    """The lock on a training's folder: only the first process of a training takes it.

    Args:
        folder: the training's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: Lock | None = None

    def take(self) -> None:
        """Take the lock, unless it is held already. It ends with `release`, or with this process.

        Raises:
            InputError: another training is at work in the folder, or the folder cannot be written to.
        """
        if self._lock is not None:
            return
        folder = self.folder.absolute()
        if (earlier := _held.get(folder)) is not None:
            earlier.release()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(self.folder / TRAINING_LOCK, verb=_VERB, keep=False)
        except LockedError as error:
            raise locked_error(self.folder, error, verb=_VERB) from error
        except IsADirectoryError as error:
            raise not_a_lock(self.folder / TRAINING_LOCK) from error
        except OSError as error:
            raise InputError(
                self.folder,
                found=f"a folder that cannot be written to ({str(error.strerror).lower()})",
                expected="a folder for the training",
                remedy="name another one: --ckpt_dir DIR",
            ) from error
        _held[folder] = self
        if self._lock.earlier is not None:
            logger.info(describe_takeover(self.folder, self._lock.earlier))

    def release(self) -> None:
        """Give the lock up."""
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def __del__(self) -> None:
        # A trainer that raised an error, in a program that goes on.
        self.release()
