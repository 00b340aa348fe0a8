"""The trainings of a bundle, and the choice of weights for evaluate, predict, postprocess and export."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..data.cases import ALL_CASES, no_validation_error
from ..data.errors import InputError
from .training_facts import BEST, LAST, Training, read_training
from .words import lightskip_command, shorten_path

__all__ = [
    "BEST",
    "Training",
    "Weights",
    "choose_weights",
    "find_training",
    "find_weights",
    "list_trainings",
    "no_weights_error",
    "own_weights",
    "refuse_two_choices",
]


@dataclass(frozen=True)
class Weights:
    """The chosen weights.

    Attributes:
        file: file of the weights.
        training: training that made them; None for the bundle's own.
        reason: why they were chosen, if the user named none.
    """

    file: Path
    training: Training | None
    reason: str = ""

    @property
    def note(self) -> str:
        """One line that names the weights, the same for every verb."""
        if self.training is None:
            return f"weights: {shorten_path(self.file)}, the bundle's own"
        reason = f"{self.reason} " * bool(self.reason)
        return f"weights: {shorten_path(self.file)}, of {reason}training {self.training.name} ({self.training.facts})"


def list_trainings(bundle: Path) -> list[Training]:
    """Return the trainings in a bundle's folder ``runs``, sorted by name, with or without weights."""
    folders = {file.parent for name in (BEST, LAST) for file in (bundle / "runs").glob(f"*/{name}")}
    return [read_training(folder) for folder in sorted(folders, key=_natural_order)]


def find_training(bundle: Path, named: str | Path) -> Training:
    """Return the named training.

    Args:
        bundle: the bundle's folder.
        named: the name of its folder in ``runs``, or the path of its folder or of its ``model.pt``.

    Raises:
        InputError: there is no such training, or it has no weights.
    """
    path = Path(named).expanduser()
    path = path.parent if path.name == BEST and path.is_file() else path
    folder = next((one for one in (bundle / "runs" / named, path) if one.is_dir()), None)
    if folder is None or not any((folder / name).is_file() for name in (BEST, LAST)):
        raise _no_training_error(bundle, str(named))
    training = read_training(folder)
    if not training.weights.is_file():
        raise InputError(
            training.weights,
            found="no such file: the training has had no validation yet",
            expected="the weights of its best validation",
            remedy="continue it with --resume, or name another training",
        )
    return training


def own_weights(bundle: Path) -> Path:
    """Return the path of a bundle's own weights, which need not exist."""
    return bundle / "models" / BEST


def find_weights(bundle: Path, *, fold: int | str | None = None) -> Weights | None:
    """Return the default weights.

    Without a fold these are the bundle's own, or else those of its only training. Measuring on the cases of a fold
    needs weights that were not trained on them: with a fold, its only training comes first, then the bundle's own.

    Args:
        bundle: the bundle's folder.
        fold: fold whose cases the weights are for.

    Returns:
        The weights; None if there are none.

    Raises:
        InputError: there are several trainings; the message names them all.
    """
    own, trained = own_weights(bundle), [one for one in list_trainings(bundle) if one.weights.is_file()]
    fitting = [one for one in trained if fold is None or one.fold == fold]
    if own.is_file() and (fold is None or not fitting):
        return Weights(own, None)
    if len(fitting) > 1:
        raise InputError(
            bundle / "runs",
            found=f"{len(fitting)} trainings{'' if fold is None else f' of fold {fold}'}: {_list_text(fitting)}",
            expected="one training, or the name of one",
            remedy=f"name one: --training {fitting[0].name}",
        )
    if not fitting:
        return None
    return Weights(fitting[0].weights, fitting[0], "the only" if fold in (None, ALL_CASES) else f"the only fold-{fold}")


def choose_weights(
    bundle: Path, *, named: str | Path | None, fold: int | str | None = None, option: str = "--training"
) -> Weights | None:
    """Return the weights of the named training, or the default weights of `find_weights`.

    Args:
        bundle: the bundle's folder.
        named: name or path of the training; None for the default weights.
        fold: fold whose cases the weights are for.
        option: the option that names the training, for the message.

    Raises:
        InputError: as for `find_training` and `find_weights`, or if the named training is of another fold.
    """
    if named is None:
        return find_weights(bundle, fold=fold)
    training = find_training(bundle, named)
    if fold not in (None, ALL_CASES) and training.fold == ALL_CASES:
        raise no_validation_error(f"{option} {shorten_path(Path(named))}")
    if fold is not None and training.fold not in (None, fold):
        raise InputError(
            f"{option} {shorten_path(Path(named))}",
            found=f"a training of fold {training.fold}, whose training cases include those of fold {fold}",
            expected=f"a training of fold {fold}: measuring on training cases means nothing",
            remedy=f"leave --fold out, or set --fold {training.fold}; to measure it anyway, name its file: "
            f"--checkpoint {shorten_path(training.weights)}",
        )
    return Weights(training.weights, training)


def refuse_two_choices(checkpoint: str | Path | None, training: str | Path | None) -> None:
    """Raise InputError if both a file of weights and a training are named."""
    if checkpoint is not None and training is not None:
        raise InputError(
            f"--training {training}",
            found="--checkpoint as well",
            expected="one of the two: both choose the weights",
            remedy="leave one out",
        )


def no_weights_error(bundle: Path, *, fold: int | str | None = None) -> InputError:
    """Return the error for a bundle without weights; it names trainings of other folds."""
    others = [one for one in list_trainings(bundle) if one.weights.is_file()]
    if others and fold is not None and all(one.fold == ALL_CASES for one in others):
        return no_validation_error(f"training {others[0].name} of {bundle}")
    train = lightskip_command("train", bundle, {} if fold is None else {"fold": str(fold)})
    remedy = f"train first ({train}), or name the weights: --checkpoint FILE"
    if others:
        best = min(others, key=lambda one: one.fold == ALL_CASES)
        remedy = f"name an existing training (--training {best.name}), or train first: {train}"
    return InputError(
        own_weights(bundle),
        found="no such file" + (f"; trainings: {_list_text(others)}" if others else ", and no training"),
        expected="the bundle's own weights, or those of a training" + ("" if fold is None else f" of fold {fold}"),
        remedy=remedy,
    )


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts fold_2 before fold_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", path.name)]


def _list_text(trainings: Sequence[Training]) -> str:
    return "; ".join(f"{one.name} ({one.facts})" for one in trainings)


def _no_training_error(bundle: Path, named: str) -> InputError:
    trainings = list_trainings(bundle)
    close = get_close_matches(named, [one.name for one in trainings], n=1)
    remedy = "use one of these names, or the path of a training's folder"
    if not trainings:
        remedy = f"train first: {lightskip_command('train', bundle)}"
    elif close:
        remedy = f"did you mean --training {close[0]}?"
    return InputError(
        f"--training {named}",
        found="no training with this name or path",
        expected=f"a training in {bundle / 'runs'}: {_list_text(trainings) if trainings else 'there is none yet'}",
        remedy=remedy,
    )
