"""Report labels that a training does not find, while there is time to act, and a network that gives only one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ignite.engine import Engine, Events
from torch import Tensor

__all__ = ["OneLabel", "UnfoundLabels"]

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


class OneLabel:
    """Notice that a network gives every voxel of all validation cases one and the same label.

    Args:
        labels: names of the labels without the background, or of the regions.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = list(labels)
        self._found: set[str] = set()

    def attach(self, validator: Engine) -> None:
        """Register with a MONAI evaluator, whose predictions are label maps or have a channel per label."""
        validator.add_event_handler(Events.STARTED, self._start)
        validator.add_event_handler(Events.ITERATION_COMPLETED, self._add_cases)

    def _start(self, _engine: Engine) -> None:
        self._found = set()

    def _add_cases(self, engine: Engine) -> None:
        outputs = engine.state.output if isinstance(engine.state.output, list) else []
        for output in outputs:
            # With two labels no further case can change the result.
            if len(self._found) < 2:
                self._found |= self._find_labels(output["pred"])

    def warn(self, where: str) -> str:
        """Return a warning after the last validation; an empty text if it gave several labels, or did not run.

        Args:
            where: the cases in words, such as "6 validation cases".
        """
        return "" if len(self._found) != 1 else self._describe(next(iter(self._found)), where)

    def warn_of_step(self, output: Any) -> str:
        """Return a warning for a training without validations: of its last step's patches.

        Args:
            output: logits (N, K, *spatial), or a list of them, the finest first.
        """
        logits = output[0] if isinstance(output, list) else output
        if not isinstance(logits, Tensor) or logits.ndim < 3:
            return ""
        sigmoid = logits.shape[1] == len(self._labels)
        found = {
            name
            for one in logits.detach()
            for name in self._find_labels(one > 0 if sigmoid else one.argmax(0, keepdim=True))
        }
        return "" if len(found) != 1 else self._describe(found.pop(), f"the last step's {len(logits)} patches")

    def _find_labels(self, pred: Tensor) -> set[str]:
        """Return the labels in a case: (1, *spatial) with their values, or a channel of 0 and 1 of each."""
        names = ["background", *self._labels]
        if pred.shape[0] == 1:
            ends = [int(pred.min()), int(pred.max())]
            return {names[value] if value < len(names) else str(value) for value in ends}
        channels = (pred.flatten(1) > 0).any(1).tolist()
        if len(channels) == len(names):
            return {name for name, found in zip(names, channels, strict=True) if found}
        # Regions may overlap, and have no channel of the background.
        return {name for name, found in zip(self._labels, channels, strict=False) if found} or {"background"}

    @staticmethod
    def _describe(label: str, where: str) -> str:
        maps = "its label maps are empty" if label == "background" else "nothing else is found"
        return (
            f"the network gives every voxel of {where} one label, {label}: {maps}. Train longer, with another "
            "--learning_rate, or with more class_ratios for labels; check the label maps with lightskip check"
        )
