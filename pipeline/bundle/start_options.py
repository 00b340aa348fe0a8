"""``lightskip train --from``: the weights to start from, and the settings that are planned for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from .launch_checks import config_given, evaluate_key
from .plain_values import UNKNOWN, PlainValues
from .start_file import find_start, read_started
from .words import parse_value, parse_values, shorten_path

__all__ = ["LENGTH_SHARE", "choose_start", "refuse_from"]

# Of the plan's epochs, for a training that starts from other weights. docs/runner.md has the measurements; a lower
# learning rate than the plan's was worse. Minutes are the time that the user gave, and stay.
LENGTH_SHARE = 0.5
_KEPT = ("learning_rate", "epochs", "minutes")  # settings of the first start that a resumed training keeps


def choose_start(
    files: Sequence[Path], bundle: Path, settings: Mapping[str, str], named: str | None
) -> tuple[dict[str, str], str]:
    """Choose the weights that a training starts from, and the settings for it that the user did not set.

    A new training gets `LENGTH_SHARE` of the plan's epochs. A resumed one keeps the settings of its first start, and
    does not load the weights again.

    Args:
        files: the config's files.
        bundle: the bundle's folder.
        settings: the overrides.
        named: what ``--from`` names; None for nothing.

    Returns:
        The overrides, and a line that says what was chosen; an empty text for a training from new weights.

    Raises:
        InputError: there are no such weights, or a training that began otherwise is resumed.
    """
    chosen = dict(settings)
    if named is not None and "start_from" in chosen:
        raise InputError(
            f"--from {named}",
            found="--start_from as well",
            expected="one of the two: --from finds the weights and sets start_from",
            remedy="leave --start_from out",
        )
    # Another value than True or False is reported by the check of types.
    if parse_value(chosen.get("resume", "False")) is True:
        return _resume(files, bundle, chosen, named)
    if named is None:
        return chosen, ""
    path = find_start(named)
    chosen["start_from"] = str(shorten_path(path))
    plain = PlainValues(config_given(files, parse_values(chosen)), bundle)
    epochs, rate = plain.find("epochs"), plain.find("learning_rate")
    note = f"from: {shorten_path(path)}"
    if rate is not UNKNOWN:
        note += f"; learning_rate {rate}"
    if "epochs" not in settings and type(epochs) is int:
        chosen["epochs"] = str(ceil(epochs * LENGTH_SHARE))
        note += f", epochs {chosen['epochs']}, half of the plan's {epochs}: --epochs N sets another number"
    return chosen, f"{note}\n"


def refuse_from(verb: str, named: str) -> InputError:
    """Return the error for ``--from`` with a verb that starts no training."""
    return InputError(
        f"--from {named}",
        found=f"weights to start from, for lightskip {verb}",
        expected="lightskip train BUNDLE --from WEIGHTS",
        remedy="to measure weights, name them with --checkpoint FILE",
    )


def _resume(
    files: Sequence[Path], bundle: Path, settings: dict[str, str], named: str | None
) -> tuple[dict[str, str], str]:
    folder = Path(evaluate_key(files, bundle, settings, "ckpt_dir"))
    record = read_started(folder)
    if named is not None and (
        not record or _absolute(find_start(named)) != _absolute(Path(str(record.get("weights"))))
    ):
        began = f"from {record['weights']}" if record.get("weights") else "from new weights"
        raise InputError(
            f"--from {named}",
            found=f"--resume as well, of a training in {shorten_path(folder)} that started {began}",
            expected="one of the two: a resumed training has its weights in last.pt",
            remedy="leave --from out to continue it, or leave --resume out to start a new training",
        )
    if not record:
        return settings, ""
    config = config_given(files, {})
    kept: dict[str, Any] = {
        key: value
        for key, value in _mapping(record.get("settings")).items()
        if key in _KEPT and key not in settings and value is not None and value != config.get(key)
    }
    settings.pop("start_from", None)
    settings |= {key: str(value) for key, value in kept.items()}
    changed = "".join(f"; {key} {value}, as at its start" for key, value in kept.items())
    return settings, f"from: {record.get('weights')}, not loaded again{changed}\n"


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
