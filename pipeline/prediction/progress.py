"""The progress bar of a prediction of many scans."""

from __future__ import annotations

from typing import Self

from tqdm import tqdm

__all__ = ["Bar"]


class Bar:
    """The progress of all scans together, in parts of one, with the time left."""

    def __init__(self, scans: int, *, silent: bool) -> None:
        self.scans = scans
        self._given = 0.0
        # None: nothing is drawn into a log file.
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
        """Start with a scan."""
        self._given = 0.0
        self._bar.set_description_str(name)

    def advance(self, share: float) -> None:
        """Say that a share of a scan is done."""
        self._given += share
        self._bar.update(share)

    def end(self) -> None:
        """Say that the scan is done, whatever was said of it before."""
        self._bar.update(max(0.0, 1.0 - self._given))
