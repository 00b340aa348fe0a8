"""The parts of a dataset as its source divides it, training, validation and test, turned into folds and test cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .found import Item

__all__ = ["split_parts"]


def split_parts(
    training: Sequence[Item], validation: Sequence[Item], test: Sequence[Item], *, keep_folds: bool
) -> tuple[list[Item], list[Item], list[str]]:
    """Return the training cases with their folds, the test cases, and what to tell the user.

    Labelled validation cases are a fold of their own: fold 0, the default one to validate on, while the others are
    fold 1; or, if the training cases have folds already, the next number. Those without a label map are test cases.

    Args:
        training: cases that train; their folds are kept.
        validation: cases that validate.
        test: cases that neither train nor validate.
        keep_folds: whether the source's division into training and validation is kept; otherwise all get new folds.
    """
    labelled = [item for item in validation if item.is_labelled]
    scans = [item for item in validation if not item.is_labelled]
    notes = []
    cases = list(training)
    if labelled:
        many = f"{len(labelled)} validation {'case' if len(labelled) == 1 else 'cases'} of the source"
        if not keep_folds:
            notes.append(f"{many} spread over the new folds")
            cases += labelled
        elif any(item.fold is not None for item in cases):
            fold = 1 + max(item.fold for item in cases if item.fold is not None)
            notes.append(f"{many} in fold {fold}")
            cases += [replace(item, fold=fold) for item in labelled]
        else:
            notes.append(f"{many} in fold 0, all others in fold 1; --folds N makes new folds")
            cases = [*(replace(item, fold=0) for item in labelled), *(replace(item, fold=1) for item in cases)]
    if scans:
        many = f"{len(scans)} validation {'case' if len(scans) == 1 else 'cases'}"
        notes.append(f"{many} without a label map, kept for testing")
    return cases, [*test, *scans], notes
