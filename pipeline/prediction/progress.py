"""The progress bar of a prediction of many scans."""

from __future__ import annotations

import os
import sys
from typing import Self

from tqdm import tqdm

__all__ = ["Bar"]

_COLUMNS, _ROWS = 80, 24


class Bar:
    """The progress of all scans together, in fractions of a scan, with the time left."""

    def __init__(self, scans: int, *, silent: bool) -> None:
        self.scans = scans
        self._advanced = 0.0
        # None: draw nothing into a log file.
        self._bar = tqdm(
            total=scans,
            desc="segmenting",
            disable=True if silent else None,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left",
            **_find_size(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def begin(self, name: str) -> None:
        """Start a scan."""
        self._advanced = 0.0
        self._bar.set_description_str(name)

    def advance(self, share: float) -> None:
        """Advance by a share of a scan."""
        # Shares are rounded: their sum can be a hair over a scan.
        share = min(share, max(0.0, 1.0 - self._advanced))
        self._advanced += share
        self._bar.update(min(share, self.scans - self._bar.n))

    def skip(self) -> None:
        """Count a scan that there is nothing to do for."""
        self._bar.update(1)

    def end(self) -> None:
        """Complete the scan, whatever share was done."""
        self.advance(1.0)


def _find_size() -> dict[str, int]:
    """Return the size to draw for where the terminal does not know its own, as under `script`; else nothing."""
    try:
        known = os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError, AttributeError):
        return {}
    return {} if known else {"ncols": _COLUMNS, "nrows": _ROWS}
