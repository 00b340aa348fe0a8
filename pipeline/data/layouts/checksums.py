"""SHA-256 of many files, on several threads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

__all__ = ["checksums_of"]

_BLOCK = 1 << 20
_SECONDS_WITHOUT_BAR = 2.0


def checksums_of(files: Mapping[str, Path]) -> dict[str, str]:
    """Return the SHA-256, as hexadecimal digits, of each file, under the same name and in the same order.

    A progress bar appears after two seconds.
    """
    total = sum(path.stat().st_size for path in files.values())
    with (
        tqdm(total=total, desc="Checksums", unit="B", unit_scale=True, delay=_SECONDS_WITHOUT_BAR, disable=None) as bar,
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads,
    ):
        return dict(zip(files, threads.map(lambda path: _sha256(path, bar), files.values()), strict=True))


def _sha256(path: Path, bar: tqdm[Any]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()
