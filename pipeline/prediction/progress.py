"""The progress bar of a prediction of many scans."""

from __future__ import annotations

from typing import Self

from tqdm import tqdm

__all__ = ["Bar"]


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
        self._advanced += share
        self._bar.update(share)

    def end(self) -> None:
        """Complete the scan, whatever share was done."""
        self._bar.update(max(0.0, 1.0 - self._advanced))
