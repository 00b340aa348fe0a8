"""Notice that all label maps of an evaluation have one and the same value in every voxel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

__all__ = ["OneValue"]

State = tuple[tuple[int, ...], int, bool]


class OneValue:
    """The values of label maps, as far as they are one and the same."""

    def __init__(self) -> None:
        self._values: set[int] = set()
        self._cases = 0
        self._has_labels = False

    @property
    def state(self) -> State:
        """At most two of the values, the number of label maps, and whether a reference has a label."""
        return tuple(sorted(self._values)[:2]), self._cases, self._has_labels

    def add(self, prediction: Tensor, reference: Tensor) -> None:
        """Add a case.

        Args:
            prediction: label map, of any shape.
            reference: its reference.
        """
        self._cases += 1
        # With two values no further case can change the result.
        if len(self._values) < 2:
            self._values |= {int(prediction.min()), int(prediction.max())}
        self._has_labels = self._has_labels or bool((reference > 0).any())

    @staticmethod
    def describe(states: Iterable[State], labels: Mapping[str, int]) -> str:
        """Return a note if all label maps have one value, though references have labels; else an empty text.

        Args:
            states: of all processes.
            labels: value of each label by name.
        """
        parts = list(states)
        values = {value for found, _, _ in parts for value in found}
        cases = sum(count for _, count, _ in parts)
        if len(values) != 1 or not any(has_labels for _, _, has_labels in parts):
            return ""
        value = values.pop()
        name = {number: label for label, number in labels.items()}.get(value, str(value))
        return (
            f"the network gives every voxel of {'the case' if cases == 1 else f'all {cases} cases'} one label, {name}"
            f"{': the label maps are empty' if value == 0 else ''}. Train longer, or with another --learning_rate"
        )
