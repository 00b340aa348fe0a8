"""A dataset that prepares each case once for all trainings, and augments sample by sample reproducibly."""

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

from .cache_files import CacheFiles
from .code_text import library_text

__all__ = ["KEY", "PreparedDataset"]

KEY = "key"

logger = logging.getLogger(__name__)

_one_at_a_time = threading.Lock()


class PreparedDataset(CacheDataset):
    """MONAI's ``CacheDataset``, kept on disk too, with random transforms that depend on nothing but the sample.

    On disk: the result of the deterministic transforms (those before the first random one) for a case is read from
    ``cache_dir`` instead of computed, when an earlier training computed it with the same ``config``, versions and
    scans. A changed setting of a transform, a changed own module, and a scan with another size or time are noticed: see
    :func:`~pipeline.training.config_text.config_text` and :class:`~pipeline.training.cache_files.CacheFiles`. Cases
    beyond ``cache_num`` and ``cache_rate`` are read from disk each time. Without a ``config``, or where the folder
    cannot be written to, a warning says so, and the dataset works as MONAI's.

    Random: sample i of epoch e is drawn from a stream that (seed, e, i) makes, whatever the order, batch, number of
    worker processes or rank, and each item gets an integer of the same stream under ``"key"``, in [0, 2⁶³), for what
    is drawn later on the device. Where the random transforms give several items, each has its own. Without a random
    transform there is no key. It holds for transforms that draw from their own ``R``, as MONAI's do.

    :meth:`set_epoch` must be called before the epoch's iterator is made; persistent workers would not hear of it.

    Args:
        data: cases, as a rule dicts of paths.
        transform: MONAI transforms, or a ``Compose`` of them.
        cache_dir: folder for prepared cases, made when missing; None keeps them in memory only.
        config: text that is another one whenever the deterministic transforms are others, such as that of
            ``config_text``.
        seed: of the run, not negative.
        options: of ``CacheDataset``: cache_num, cache_rate, num_workers (threads), progress, copy_cache, ...

    Raises:
        ValueError: for a negative seed.
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
        super().__init__(data, transform, **options)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next samples are for.

        Raises:
            ValueError: for a negative epoch.
        """
        if epoch < 0:
            raise ValueError(f"epoch must not be negative, got {epoch}")
        self.epoch = epoch

    def set_data(self, data: Sequence[Any]) -> None:
        """Take other cases and prepare those that belong in memory."""
        self._files = self._open_files()
        super().set_data(data)

    def _open_files(self) -> CacheFiles | None:
        if not self.cache_dir:
            return None
        if self.config is None:
            logger.warning(
                "prepared cases are not kept on disk: the dataset has no `config`, the text of their transforms; "
                "`lightskip render BUNDLE` puts it into a bundle's configs"
            )
            return None
        names = [type(part).__qualname__ for part in self.transform.transforms[: self._first_random()]]
        lines = [library_text(), f"as_contiguous {self.as_contiguous}", " ".join(names), self.config]
        return CacheFiles(self.cache_dir, "\n".join(lines) + "\n")

    def _first_random(self) -> int | None:
        """Where the deterministic transforms end, as MONAI sees it; None when there is no end."""
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
        """Prepare a case with transforms that no other thread uses: MONAI's readers keep what they read."""
        own = copy(self)
        lock: AbstractContextManager[object] = nullcontext()
        if threading.current_thread() is not threading.main_thread():
            try:
                own.transform = deepcopy(self.transform)
            except TypeError:
                # What cannot be copied is used by one thread at a time.
                lock = _one_at_a_time
        with lock:
            item = CacheDataset._load_cache_item(own, idx)
        # Metadata name the transforms by their addresses, which are others in a copy and in another process.
        reset_ops_id(item)
        return item

    def _transform(self, index: int) -> Any:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        first = self._first_random()
        draws = first is not None and any(map(_is_random, self.transform.transforms[first:]))
        stream = np.random.PCG64((self.seed, self.epoch, position))
        if draws:
            # Right before they are applied: loaders and handlers seed the transforms as well.
            _draw_from(np.random.RandomState(stream), self.transform)
        if self._in_memory(position):
            item = super()._transform(position)
        else:
            item = self._load_cache_item(position)
            if first is not None:
                # A case that is in memory from the start must not change either.
                item = self.transform(deepcopy(item) if self.copy_cache else item, start=first)
        return _with_keys(item, np.random.Generator(stream)) if draws else item

    def _in_memory(self, position: int) -> bool:
        if self.hash_as_key:
            return self.hash_func(self.data[position]) in self._hash_keys
        return bool(position < self.cache_num)


def _is_random(transform: Any) -> bool:
    # A Compose counts as random for MONAI whatever is in it.
    if type(transform) is Compose:
        return any(map(_is_random, transform.transforms))
    return isinstance(transform, RandomizableTrait)


def _draw_from(state: np.random.RandomState, transform: Any) -> None:
    """Let all transforms draw from one stream; a seed for each would cost a new generator for each: milliseconds."""
    if isinstance(transform, Compose):
        transform.R = state
        for part in transform.transforms:
            _draw_from(state, part)
    elif isinstance(transform, Randomizable):
        transform.set_random_state(state=state)


def _with_keys(item: Any, stream: np.random.Generator) -> Any:
    if isinstance(item, list | tuple):
        return [_with_keys(part, stream) for part in item]
    return {**item, KEY: int(stream.integers(2**63))} if isinstance(item, Mapping) else item
