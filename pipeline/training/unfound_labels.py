"""Report labels that a training does not find, while there is time to act."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["UnfoundLabels"]

# Share of the training after which a label that was never found is reported.
_FROM = 1 / 3


class UnfoundLabels:
    """Follow which labels had a Dice above 0 in any validation.

    Args:
        labels: names of the labels, without the background.
    """

    def __init__(self, labels: list[str]) -> None:
        self._unfound = dict.fromkeys(labels, 0.0)
        self._reported: set[str] = set()

    def add(self, dice: Mapping[str, float]) -> None:
        """Add a validation.

        Args:
            dice: mean Dice by label; nan for a label that no validation case has, and that was rightly not found.
        """
        for label, value in dice.items():
            if value > 0:
                self._unfound.pop(label, None)
            elif label in self._unfound:
                self._unfound[label] = value

    def warn(self, share: float, *, cases: int, is_last: bool = False) -> str:
        """Return a warning after a validation, or an empty text. A label is reported once, and again at the end.

        Args:
            share: of the training, 0 to 1.
            cases: number of cases of the validation.
            is_last: whether the training has ended.
        """
        # nan is not 0: the label is absent.
        missing = [label for label, value in self._unfound.items() if value == 0]
        if share < _FROM or not missing or (not is_last and self._reported.issuperset(missing)):
            return ""
        self._reported.update(missing)
        names = f"label{'s' * (len(missing) > 1)} {', '.join(missing)}"
        where = "the validation case" if cases == 1 else f"any of {cases} validation cases"
        if is_last:
            return (
                f"never found in {where}: {names}. Train for more minutes, raise their class_ratios (background first, "
                "in the order of labels), or plan a finer spacing"
            )
        return (
            f"not found in {where} after {share:.0%} of the training: {names}. Small labels may come later; if not, "
            "train for more minutes, or raise their class_ratios"
        )
