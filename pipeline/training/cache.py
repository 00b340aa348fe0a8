"""A dataset that prepares each case once for all trainings and augments each sample reproducibly."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import CacheDataset
from monai.transforms import Compose, Randomizable, RandomizableTrait, Transform
from monai.transforms.utils import reset_ops_id

from .busy_places import BusyPlaces
from .cache_files import CacheFiles
from .code_text import library_text

__all__ = ["KEY", "PreparedDataset"]

KEY = "key"

logger = logging.getLogger(__name__)

_copy_lock = threading.Lock()


class PreparedDataset(CacheDataset):
    """MONAI's ``CacheDataset`` with a second cache on disk and with random transforms that depend only on the sample.

    Disk cache: the deterministic transforms are those before the first random one. Their result for a case is read
    from ``cache_dir`` if an earlier training computed it with the same ``config``, versions and scans. The dataset
    notices a changed transform setting, a changed module of the user's, and a scan with another size or time: see
    :func:`~pipeline.training.config_text.config_text` and :class:`~pipeline.training.cache_files.CacheFiles`. Cases
    beyond ``cache_num`` and ``cache_rate`` are read from disk each time. Without a ``config``, or if the folder is not
    writable, the dataset logs a warning and works like MONAI's.

    Random transforms: sample i of epoch e draws from a random stream seeded by (seed, e, i). The order, the batch, the
    number of worker processes and the rank do not matter. Each item also gets an integer from this stream under
    ``"key"``, in [0, 2⁶³), to seed random changes on the device. If the random transforms return several items, each
    has its own key. Without a random transform there is no key. All this holds for transforms that draw from their own
    ``R``, as MONAI's do.

    Call :meth:`set_epoch` before the epoch's iterator is made. Persistent workers do not receive it.

    Args:
        data: cases, usually dicts of paths.
        transform: MONAI transforms, or a ``Compose`` of them.
        cache_dir: folder for prepared cases, created if missing. None keeps them in memory only.
        config: text that changes whenever the deterministic transforms change, such as that of ``config_text``.
        seed: seed of the run, not negative.
        options: arguments of ``CacheDataset``: cache_num, cache_rate, num_workers (threads), progress, copy_cache, ...

    Raises:
        ValueError: the seed is negative.
    """

    def __init__(
        self,
        data: Sequence[Any],
        transform: Sequence[Callable[..., Any]] | Callable[..., Any] | None = None,
        *,
        cache_dir: str | Path | None = None,
        config: str | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        self.cache_dir = cache_dir
        self.config = config
        self.seed = seed
        self.epoch = 0
        self._files: CacheFiles | None = None
        self._busy = BusyPlaces()
        super().__init__(data, transform, **options)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next samples are for.

        Raises:
            ValueError: the epoch is negative.
        """
        if epoch < 0:
            raise ValueError(f"epoch must not be negative, got {epoch}")
        self.epoch = epoch

    def busy_places(self) -> list[int]:
        """Return the samples that loading processes work on now, or did when they ended."""
        return self._busy.list()

    def set_data(self, data: Sequence[Any]) -> None:
        """Replace the cases and prepare those that are kept in memory."""
        self._files = self._open_files()
        super().set_data(data)

    def _open_files(self) -> CacheFiles | None:
        if not self.cache_dir:
            return None
        if self.config is None:
            logger.warning(
                "prepared cases are not cached on disk: the dataset has no `config` (the text of its transforms); "
                "run `lightskip render BUNDLE` to add it to the bundle's configs"
            )
            return None
        names = [type(part).__qualname__ for part in self.transform.transforms[: self._first_random_index()]]
        lines = [library_text(), f"as_contiguous {self.as_contiguous}", " ".join(names), self.config]
        return CacheFiles(self.cache_dir, "\n".join(lines) + "\n")

    def _first_random_index(self) -> int | None:
        """Return the index of MONAI's first random transform, or None if all are deterministic."""
        first: int | None = self.transform.get_index_of_first(
            lambda t: isinstance(t, RandomizableTrait) or not isinstance(t, Transform)
        )
        return first

    def _load_cache_item(self, idx: int) -> Any:
        entry = None if self._files is None else self._files.key(self.data[idx])
        if self._files is None or entry is None:
            return self._prepare(idx)
        found, item = self._files.read(*entry)
        if not found:
            item = self._prepare(idx)
            self._files.write(*entry, item)
        return item

    def _prepare(self, idx: int) -> Any:
        """Prepare a case with a thread's own copy of the transforms: MONAI's readers keep state between reads."""
        private = copy(self)
        lock: AbstractContextManager[object] = nullcontext()
        if threading.current_thread() is not threading.main_thread():
            try:
                private.transform = deepcopy(self.transform)
            except TypeError:
                # A transform that cannot be copied is used by one thread at a time.
                lock = _copy_lock
        with lock:
            item = CacheDataset._load_cache_item(private, idx)
        # Metadata name transforms by memory address, which differs in a copy and in another process.
        reset_ops_id(item)
        return item

    def _transform(self, index: int) -> Any:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        self._busy.begin(position)
        first = self._first_random_index()
        draws = first is not None and any(map(_is_random, self.transform.transforms[first:]))
        stream = np.random.PCG64((self.seed, self.epoch, position))
        if draws:
            # Seed right before use: loaders and handlers seed the transforms as well.
            _draw_from(np.random.RandomState(stream), self.transform)
        if self._in_memory(position):
            item = super()._transform(position)
        else:
            item = self._load_cache_item(position)
            if first is not None:
                # Random transforms must not change a case that is kept in memory.
                item = self.transform(deepcopy(item) if self.copy_cache else item, start=first)
        self._busy.end()
        return _add_keys(item, np.random.Generator(stream)) if draws else item

    def _in_memory(self, position: int) -> bool:
        if self.hash_as_key:
            return self.hash_func(self.data[position]) in self._hash_keys
        return bool(position < self.cache_num)


def _is_random(transform: Any) -> bool:
    # MONAI counts every Compose as random, whatever it contains.
    if type(transform) is Compose:
        return any(map(_is_random, transform.transforms))
    return isinstance(transform, RandomizableTrait)


def _draw_from(state: np.random.RandomState, transform: Any) -> None:
    """Make all transforms draw from one stream. Seeding each would create a generator for each, which takes ms."""
    if isinstance(transform, Compose):
        transform.R = state
        for part in transform.transforms:
            _draw_from(state, part)
    elif isinstance(transform, Randomizable):
        transform.set_random_state(state=state)


def _add_keys(item: Any, stream: np.random.Generator) -> Any:
    if isinstance(item, list | tuple):
        return [_add_keys(part, stream) for part in item]
    return {**item, KEY: int(stream.integers(2**63))} if isinstance(item, Mapping) else item
