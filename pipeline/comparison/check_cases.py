"""Read all label maps of a comparison before anything is measured, and report all problems at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ..data.errors import InputError, raise_together
from ..data.images.units import require_unit
from .grids import find_turn
from .join import JoinedCase
from .pool import Pool
from .probabilities import Probabilities, find_probabilities
from .read_map import MapFacts, read_facts

__all__ = ["CheckedCase", "check_cases", "raise_all"]


@dataclass(frozen=True)
class CheckedCase:
    """A case whose files can be measured.

    Attributes:
        case: the case.
        reference: facts about its reference.
        predictions: facts about the prediction of each set; None where it is missing.
        probabilities: of each set that has some, if they are asked for.
    """

    case: JoinedCase
    reference: MapFacts
    predictions: dict[str, MapFacts | None]
    probabilities: dict[str, Probabilities] = field(default_factory=dict)


def check_cases(cases: Sequence[JoinedCase], pool: Pool, *, probabilities: bool = False) -> list[CheckedCase]:
    """Read every label map whole, and compare the grid of each prediction with that of its reference.

    Args:
        cases: the cases.
        pool: the processes that read them.
        probabilities: whether to look for probabilities next to predictions.

    Raises:
        InputError: a file cannot be read, is no label map or has another grid (`find_turn`), or references have two and
            three dimensions, or lengths in different units. The first problem is in the message in full, with a line
            for each of ten more files.
    """
    results = pool.map(partial(_check_case, look=probabilities), cases, title="Checking", name=lambda case: case.name)
    checked = [result for result in results if isinstance(result, CheckedCase)]
    errors = [error for result in results if isinstance(result, list) for error in result]
    errors += _find_other_dimensions(checked)
    errors += _find_other_units(checked)
    raise_all(errors)
    return checked


def raise_all(errors: Sequence[InputError]) -> None:
    """Raise the first error of each file together, if there is any."""
    by_file: dict[str, InputError] = {}
    for error in errors:
        by_file.setdefault(str(error.where), error)
    raise_together(by_file.values())


def _check_case(case: JoinedCase, *, look: bool) -> CheckedCase | list[InputError]:
    """Return the case, or its errors. Errors are returned, as other cases may have some too."""
    errors: list[InputError] = []
    reference = _read(case.reference, errors)
    predictions: dict[str, MapFacts | None] = {}
    probabilities: dict[str, Probabilities] = {}
    for name, path in case.predictions.items():
        facts = None if path is None else _read(path, errors)
        if facts is not None and reference is not None:
            options = {"case": case.name, "reference_path": str(case.reference)}
            try:
                turn = find_turn(facts.grid, reference.grid, path=str(facts.path), **options)
                facts = replace(facts, turn=turn)
                found = find_probabilities(facts.path, reference.grid, **options) if look else None
            except InputError as error:
                errors.append(error)
            else:
                probabilities |= {} if found is None else {name: found}
        predictions[name] = facts
    return errors if errors or reference is None else CheckedCase(case, reference, predictions, probabilities)


def _read(path: Path, errors: list[InputError]) -> MapFacts | None:
    try:
        return read_facts(path)
    except InputError as error:
        errors.append(error)
        return None


def _find_other_dimensions(checked: Sequence[CheckedCase]) -> list[InputError]:
    """Return an error for each reference with another number of axes than the first."""
    if not checked:
        return []
    first = checked[0].reference
    dims = len(first.grid.shape)
    return [
        InputError(
            one.reference.path,
            found=f"case {one.case.name} in {len(one.reference.grid.shape)} dimensions",
            expected=f"{dims} dimensions, as in {first.path}",
            remedy="compare slices and volumes separately",
        )
        for one in checked
        if len(one.reference.grid.shape) != dims
    ]


def _find_other_units(checked: Sequence[CheckedCase]) -> list[InputError]:
    """Return an error for each reference with lengths in another unit than the first."""
    errors: list[InputError] = []
    for one in checked:
        try:
            require_unit(one.reference.path, one.reference.unit, checked[0].reference.unit)
        except InputError as error:
            errors.append(error)
    return errors
