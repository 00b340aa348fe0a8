"""A network's skip connections in words, for plans and documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["describe_skip", "introduce_skip", "is_one_skip", "list_skip_references"]

_SAT = "Taghanaki et al., Select, Attend, and Transfer - Light, Learnable Skip Connections, MLMI 2019, arXiv 1804.05181"
_SQUEEZE = (
    "Roy et al., Recalibrating Fully Convolutional Networks with Spatial and Channel Squeeze & Excitation Blocks, IEEE "
    "TMI 2019, arXiv 1808.08127"
)
# Where a skip connection was published; concat, sum and none have no paper of their own.
_REFERENCES = {
    **dict.fromkeys(("at", "st", "sat"), _SAT),
    **dict.fromkeys(("cse", "sse", "scse"), _SQUEEZE),
    "project_excite": "Rickmann et al., Project & Excite Modules for Segmentation of Volumetric Medical Scans, MICCAI "
    "2019, arXiv 1906.04649",
    "attention_gate": "Oktay et al., Attention U-Net - Learning Where to Look for the Pancreas, MIDL 2018, arXiv "
    "1804.03999",
    "scalar": "Additive U-Net, 2026, arXiv 2601.13208",
}


def describe_skip(skip: Any, *, quote: str = "") -> str:
    """Return a network's skip connections in words: ``concat at level 0 only``.

    Args:
        skip: the network's argument: a name, a pair of a name and its options, or a list with one of these per level,
            finest first.
        quote: a character around each name.
    """
    if not is_one_skip(skip):
        return ", ".join(f"{quote}{_name(each)}{quote}" for each in skip) + ", finest level first"
    options = _options(skip)
    name = f"{quote}{_name(skip)}{quote}"
    if "only" in options:
        return f"{name} at {_levels(options['only'])} only"
    if "all_but" in options:
        return f"{name} at all levels but {_numbers(options['all_but'])}"
    return name


def introduce_skip(skip: Any, *, markdown: bool = False) -> str:
    """Return the words after "a V-Net with": the paper of skips that are all of Select-Attend-Transfer, else names.

    Args:
        skip: see :func:`describe_skip`.
        markdown: put names in backticks, and the paper's first author and number on a second line.
    """
    one = is_one_skip(skip)
    everywhere = not one or not {"only", "all_but"}.intersection(_options(skip))
    if everywhere and all(_REFERENCES.get(_name(each)) == _SAT for each in ([skip] if one else skip)):
        cited = "\n(Taghanaki et al., arXiv 1804.05181)" if markdown else ""
        return f"light skip connections after Select-Attend-Transfer{cited}"
    return f"the skip connection{'s' * (not one)} {describe_skip(skip, quote='`' if markdown else '')}"


def list_skip_references(skip: Any) -> list[str]:
    """Return the publications of a network's skip connections, for a list of references."""
    named = [skip] if is_one_skip(skip) else skip
    return list(dict.fromkeys(_REFERENCES[_name(each)] for each in named if _name(each) in _REFERENCES))


def is_one_skip(skip: Any) -> bool:
    """Return whether this is a name, or a pair of a name and its options, and not a list with one per level."""
    if isinstance(skip, str):
        return True
    is_pair = isinstance(skip, list | tuple) and len(skip) == 2
    return is_pair and isinstance(skip[0], str) and isinstance(skip[1], Mapping)


def _name(skip: Any) -> str:
    return str(skip if isinstance(skip, str) else skip[0]).lower()


def _options(skip: Any) -> Mapping[str, Any]:
    return {} if isinstance(skip, str) else skip[1]


def _levels(levels: Any) -> str:
    several = isinstance(levels, list | tuple) and len(levels) > 1
    return f"level{'s' * several} {_numbers(levels)}"


def _numbers(levels: Any) -> str:
    numbers = [str(each) for each in (levels if isinstance(levels, list | tuple) else [levels])]
    return " and ".join([", ".join(numbers[:-1]), numbers[-1]] if len(numbers) > 1 else numbers)
