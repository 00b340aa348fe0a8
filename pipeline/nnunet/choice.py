"""Read the network, the skip connection and the number of epochs from the name of a trainer."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ..bundle.render import recipes_folder
from ..data.errors import InputError
from ..data.yaml_file import read_yaml
from ..networks import Networks, Skip

__all__ = ["BASE_NAME", "Choice", "find_skip", "read_trainer_name"]

BASE_NAME = "LightSkipTrainer"
_FORM = f"{BASE_NAME}, or {BASE_NAME}_NETWORK_SKIP such as {BASE_NAME}_unet_sat4, with _250epochs at the end or not"


@dataclass(frozen=True)
class Choice:
    """What the name of a trainer says.

    Attributes:
        network: registered name, or None for the plans' choice.
        skip: name for :func:`find_skip`, or None for the plans' choice.
        epochs: number of epochs, or None for nnU-Net's.
    """

    network: str | None = None
    skip: str | None = None
    epochs: int | None = None


def read_trainer_name(name: str) -> Choice:
    """Return what the name of a trainer says.

    Words are separated by one underscore. nnU-Net separates trainer, plans and configuration by two.

    Args:
        name: ``LightSkipTrainer``, then ``_NETWORK``, ``_SKIP`` and ``_Nepochs``, each of which may be left out from
            the right; ``_Nepochs`` may follow any of them.

    Raises:
        InputError: the name has another form, or names no network or skip connection.
    """
    found = re.fullmatch(rf"{BASE_NAME}(?P<words>.*?)(_(?P<epochs>[1-9]\d*)epochs?)?", name)
    if found is None or (found["words"] and not re.fullmatch(r"_[^_].*", found["words"])) or "__" in name:
        raise InputError(f"trainer {name}", found="a name of another form", expected=_FORM, remedy="correct the name")
    epochs = int(found["epochs"]) if found["epochs"] else None
    words = found["words"].removeprefix("_")
    if not words:
        return Choice(epochs=epochs)
    networks = [known.lower() for known in Networks.names]
    # The longest: a network's name may begin with another's.
    matches = [known for known in networks if f"{words}_".lower().startswith(f"{known}_")]
    if not matches:
        raise _unknown(f"trainer {name}", "network", words.partition("_")[0], networks)
    network = max(matches, key=len)
    skip = words[len(network) + 1 :]
    if skip:
        find_skip(skip, f"trainer {name}")
    return Choice(network, skip or None, epochs)


def find_skip(name: str, where: str) -> tuple[Any, float]:
    """Return the skip connection of a name, and the weight of its sparsity term.

    Args:
        name: name of a file in ``configs/skips``, such as ``sat4``, or of a registered skip connection.
        where: the place of the name, for the error message.

    Returns:
        The argument ``skip`` of a network, and the weight in that file (0 without one).

    Raises:
        InputError: there is neither.
    """
    folder = recipes_folder() / "skips"
    files = {file.stem: file for file in folder.glob("*.yaml")}
    if name in files:
        recipe = read_yaml(files[name])[0]
        return recipe["skip"], float(recipe["sparsity"])
    registered = [known.lower() for known in Skip.names]
    if name.lower() in registered:
        return name.lower(), 0.0
    raise _unknown(where, "skip connection", name, sorted({*files, *registered}))


def _unknown(where: str, noun: str, name: str, known: list[str]) -> InputError:
    close = get_close_matches(name, known, n=1)
    return InputError(
        where,
        found=f"the {noun} {name}",
        expected=f"one of {', '.join(known)}",
        remedy=f"did you mean {close[0]}?" if close else "correct the name",
    )
