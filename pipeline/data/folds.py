"""Folds for cross-validation: reproducible, similar to each other, and without dividing a subject."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

__all__ = ["make_classes", "make_folds"]

_MAX_DISTINCT_NUMBERS = 10
# Decimals: costs are sums of a few fractions near 1, and smaller differences are rounding.
_ROUNDING = 9


def make_folds(
    names: Sequence[Any],
    *,
    folds: int = 5,
    seed: int = 0,
    groups: Sequence[Hashable | None] | None = None,
    strata: Sequence[Hashable] | None = None,
    where: str | Path = "folds",
) -> list[int]:
    """Return the fold of each case.

    The cases are sorted by name first, so that their order does not matter. Without groups and strata they are
    permuted by `numpy.random.default_rng(seed)` and cut by `numpy.array_split`. With groups or strata, the groups are
    permuted in the same way and sorted, the largest first and then by stratum. One by one they go to the fold where
    they keep sizes and strata most even, that is, with the smallest sum over folds of n²/N (n cases in the fold, N in
    all) plus the same for each stratum. Then groups are exchanged as long as that lowers the sum. If each case is its
    own group, the folds' sizes, and their shares of each stratum, differ by at most one.

    Args:
        names: a name, or a list of names, for each case, to sort by.
        folds: number of folds, at least 2 and at most one per group.
        seed: seed of the permutation, 0 or more.
        groups: the group of each case, such as its subject, which is not divided; None for a case on its own.
        strata: the class of each case, such as its site, to spread evenly.
        where: the source of the cases; an error names it.

    Returns:
        The fold of each case, from 0.

    Raises:
        InputError: there are fewer than 2 folds, or more than groups, or the seed is negative.
    """
    order = sorted(range(len(names)), key=lambda index: names[index])
    keys = [(index, None) if groups is None or groups[index] is None else (-1, groups[index]) for index in order]
    unit_of = {key: unit for unit, key in enumerate(dict.fromkeys(keys))}
    if not 2 <= folds <= len(unit_of):
        cases = f"{len(names)} training cases"
        raise InputError(
            where,
            found=(cases if len(unit_of) == len(names) else f"{cases} in {len(unit_of)} groups")
            + f" for {folds} folds",
            expected="at least 2 folds, and at least one case or group for each",
            remedy=_advise(len(unit_of)),
        )
    if seed < 0:
        raise InputError("seed", found=str(seed), expected="a whole number, 0 or more", remedy="give another seed")
    rng = np.random.default_rng(seed)
    fold_of_unit = np.empty(len(unit_of), dtype=int)
    values = list(dict.fromkeys(strata[index] for index in order)) if strata is not None else []
    if len(unit_of) == len(names) and len(values) < 2:
        for fold, members in enumerate(np.array_split(rng.permutation(len(names)), folds)):
            fold_of_unit[members] = fold
    else:
        counts = np.zeros((len(unit_of), 1 + len(values)))
        for key, index in zip(keys, order, strict=True):
            counts[unit_of[key], 0] += 1
            if strata is not None:
                counts[unit_of[key], 1 + values.index(strata[index])] += 1
        fold_of_unit = _distribute(counts / np.sqrt(counts.sum(axis=0)), counts, rng.permutation(len(unit_of)), folds)
    result = np.empty(len(names), dtype=int)
    result[order] = [fold_of_unit[unit_of[key]] for key in keys]
    return [int(fold) for fold in result]


def _advise(units: int) -> str:
    if units < 2:
        return "add labelled cases or subjects: some train, others validate"
    numbers = "2" if units == 2 else f"2 to {units}"
    return f"choose another number, {numbers}: --folds N, and --fold-count N for lightskip fit"


def make_classes(values: Sequence[Any]) -> list[str]:
    """Return the values of a column as a few classes to stratify by.

    More than ten different numbers are replaced by their quarters; empty values and n/a are a class of their own.
    All other values stay the same.
    """
    texts = [str(value).strip() for value in values]
    known = {text for text in texts if text.lower() not in ("", "n/a", "nan")}
    try:
        numbers = {text: float(text) for text in known}
    except ValueError:
        return texts
    if len(set(numbers.values())) <= _MAX_DISTINCT_NUMBERS:
        return texts
    edges = np.quantile([numbers[text] for text in texts if text in numbers], [0.25, 0.5, 0.75])
    return [f"quarter {np.searchsorted(edges, numbers[text]) + 1}" if text in numbers else "" for text in texts]


def _distribute(
    units: NDArray[np.float64], counts: NDArray[np.float64], shuffled: NDArray[np.intp], folds: int
) -> NDArray[np.intp]:
    """Return the fold of each unit, such that the sum of the squares of the folds' sums is small.

    Args:
        units: (units, 1 + strata): cases in all and in each stratum, each column divided by the root of its sum.
        counts: the same, as numbers of cases.
        shuffled: the units in random order.
        folds: number of folds.
    """
    stratum = counts[:, 1:].argmax(axis=1) if counts.shape[1] > 1 else np.zeros(len(counts))
    # lexsort is stable: equal units stay in random order.
    order = shuffled[np.lexsort((stratum[shuffled], -counts[shuffled, 0]))]
    sums = np.zeros((folds, units.shape[1]))
    fold_of = np.empty(len(units), dtype=np.intp)
    for unit in order:
        fold = np.round(sums @ units[unit], _ROUNDING).argmin()
        fold_of[unit] = fold
        sums[fold] += units[unit]
    while _swap_units(units, fold_of, sums, order):
        pass
    return fold_of


def _swap_units(
    units: NDArray[np.float64], fold_of: NDArray[np.intp], sums: NDArray[np.float64], order: NDArray[np.intp]
) -> bool:
    """Exchange each unit with the unit of another fold, or with none, that helps most; return whether any changed."""
    changed = False
    no_unit = np.zeros((len(sums), units.shape[1]))
    others, fold_of_other = np.vstack([units, no_unit]), np.concatenate([fold_of, np.arange(len(sums))])
    for unit in order:
        own = fold_of_other[unit]
        difference = units[unit] - others
        gain = ((sums[own] - sums[fold_of_other] - difference) * difference).sum(axis=1)
        gain[fold_of_other == own] = 0.0
        partner = int(np.round(gain, _ROUNDING).argmax())
        if round(float(gain[partner]), _ROUNDING) > 0:
            partner_fold = fold_of_other[partner]
            sums[own] -= difference[partner]
            sums[partner_fold] += difference[partner]
            fold_of_other[unit] = partner_fold
            if partner < len(units):
                fold_of_other[partner] = own
            changed = True
    fold_of[:] = fold_of_other[: len(units)]
    return changed
