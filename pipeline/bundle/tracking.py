"""Choose where a training's numbers go: TensorBoard, MLflow or nowhere but ``history.csv``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from ..data.errors import InputError
from .launch_checks import RUN_IDS
from .setting_rules import TRACKERS

__all__ = ["choose_tracking", "replace_tracking_word", "require_tracker"]

_KEY = "used_tracking"
# MLflow's store is a database. mlflow-skinny, MLflow without its pages, comes without the packages for it.
_PACKAGES = ("mlflow", "sqlalchemy", "alembic")


def require_tracker(name: str) -> None:
    """Raise InputError if there is no such way to track a training, or its packages are not installed."""
    if name not in TRACKERS:
        raise InputError(
            "--tracking",
            found=str(name),
            expected=f"one of {', '.join(TRACKERS)}",
            remedy="leave it out, or choose one",
        )
    missing = [package for package in _PACKAGES if find_spec(package) is None] if name == "mlflow" else []
    if missing:
        raise InputError(
            "--tracking mlflow",
            found=f"no package {' and no package '.join(missing)}",
            expected="MLflow, with the packages of its local database",
            remedy="install them: pip install 'lightskip[mlflow]'; or leave --tracking out",
        )


def replace_tracking_word(verb: str, settings: Mapping[str, str], *, has_key: bool, check: bool) -> dict[str, str]:
    """Return the settings of a command with ``--used_tracking NAME`` in place of ``--tracking NAME``.

    MONAI's runner takes ``--tracking`` for itself. It knows ``mlflow``, and files or mappings with handlers to add: the
    latter two are passed to it.

    Args:
        verb: ``train`` or ``evaluate``.
        settings: the settings, as texts.
        has_key: whether the bundle's config has the key.
        check: whether the packages must be installed here.

    Raises:
        InputError: the choice is unknown or not installed, the bundle's config is of an earlier version, or it is an
            evaluation, which is not tracked.
    """
    word = settings.get("tracking")
    if word is None or word.startswith("{") or Path(word).is_file():
        return dict(settings)
    if verb != "train":
        raise _evaluation_error(word)
    if check or word not in TRACKERS:
        require_tracker(word)
    if not has_key:
        raise InputError(
            "--tracking",
            found=f"{word}, and configs of a version before it",
            expected="configs of this version",
            remedy="write them again: lightskip render BUNDLE",
        )
    return {_KEY if key == "tracking" else key: text for key, text in settings.items()}


def choose_tracking(configured: str) -> str:
    """Return where the running training is tracked: what MONAI's runner got as ``--tracking``, or the config's choice.

    Args:
        configured: the config's choice: tensorboard, mlflow or none.

    Raises:
        InputError: it is unknown or not installed, or the runner is to track an evaluation.
    """
    from .runtime import running_workflow  # noqa: PLC0415 - imports PyTorch

    workflow, call = running_workflow()
    given = call.get("_args", {}).get("tracking")
    # A file or a mapping adds MONAI's own handlers to those of the config.
    named = given if isinstance(given, str) and given in TRACKERS else None
    if getattr(workflow, "run_id", None) == RUN_IDS["evaluate"]:
        if named is not None:
            raise _evaluation_error(named)
        return configured
    chosen = named or configured
    require_tracker(chosen)
    return chosen


def _evaluation_error(word: str) -> InputError:
    return InputError(
        "--tracking",
        found=f"{word} for an evaluation",
        expected="a training: an evaluation writes cases.csv and summary.json",
        remedy="leave it out",
    )
