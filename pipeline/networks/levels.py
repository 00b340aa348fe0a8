"""Check arguments with a value per level of a network, finest first."""

from collections.abc import Sequence
from math import prod
from typing import Any, TypeGuard

__all__ = ["KernelSize", "Strides", "kernel_per_level", "per_level", "size_divisor", "stride_per_transition"]

# One number, one per axis, or a list with one of these per level, in which at least one is a list.
KernelSize = int | Sequence[int | Sequence[int]]
# A list with one number, or one per axis, for each transition to the next coarser level.
Strides = Sequence[int | Sequence[int]]


def per_level(name: str, values: Sequence[Any], expected: int, *, each: str = "level") -> list[Any]:
    """Return the values as a list, or raise a ValueError that names the argument if their number is wrong."""
    if len(values) != expected:
        msg = f"{name} has {len(values)} entries; expected {expected}, one per {each}, finest first"
        raise ValueError(msg)
    return list(values)


def kernel_per_level(kernel_size: KernelSize, *, spatial_dims: int, levels: int) -> list[tuple[int, ...]]:
    """Return the kernel size of each level, one number per axis.

    Args:
        kernel_size: odd. A number, or a list with one number per axis, applies to all levels. A list in which at least
            one entry is a list has one entry per level, finest first: a number, or a list with one per axis. So
            ``[3, 3, 1]`` is always per axis, also with three levels.
        spatial_dims: 2 or 3.
        levels: number of levels.

    Raises:
        ValueError: it has none of these forms, or a size is even, which would shift the grid.
    """
    entries: list[Any] = [kernel_size] * levels
    if _is_list(kernel_size) and any(_is_list(entry) for entry in kernel_size):
        entries = per_level("kernel_size", kernel_size, levels)
    kernels = [_per_axis(entry, spatial_dims) for entry in entries]
    if not all(kernels):
        msg = (
            f"kernel_size is {kernel_size}; expected a whole number, a list of {spatial_dims} (one per axis), or a "
            "list with one of these per level, finest first, with a list among them"
        )
        raise ValueError(msg)
    if any(size < 1 or size % 2 == 0 for kernel in kernels for size in kernel):
        msg = f"kernel_size is {kernel_size}; expected odd sizes, so that a convolution keeps the grid"
        raise ValueError(msg)
    return kernels


def stride_per_transition(strides: Strides | None, *, spatial_dims: int, levels: int) -> list[tuple[int, ...]]:
    """Return the stride of each transition between a level and the next coarser one, one number per axis.

    Args:
        strides: one entry per transition, finest first: 2, or a list of 1 or 2 per axis, at least one of them 2.
            None is 2 everywhere.
        spatial_dims: 2 or 3.
        levels: number of levels, one more than transitions.

    Raises:
        ValueError: it has another form.
    """
    if strides is None:
        strides = [2] * (levels - 1)
    entry_form = f"2, or a list of {spatial_dims}, one per axis, of 1 and 2 with at least one 2"
    if not _is_list(strides):
        msg = (
            f"strides is {strides}; expected None, or a list with an entry per transition between levels: {entry_form}"
        )
        raise ValueError(msg)
    entries = per_level("strides", strides, levels - 1, each="transition between levels")
    steps = [_per_axis(entry, spatial_dims) for entry in entries]
    for entry, step in zip(entries, steps, strict=True):
        if 2 not in step or not {1, 2}.issuperset(step):
            msg = f"strides has the entry {entry}; expected {entry_form}"
            raise ValueError(msg)
    return steps


def size_divisor(strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return the number that must divide the input size of each axis: the product of the axis's strides."""
    return tuple(prod(axis) for axis in zip(*strides, strict=True))


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


def _per_axis(value: Any, spatial_dims: int) -> tuple[int, ...]:
    """Return one whole number per axis, or nothing if the value is neither that many numbers nor a single one."""
    numbers = tuple(value) if _is_list(value) else (value,) * spatial_dims
    return numbers if len(numbers) == spatial_dims and all(type(n) is int for n in numbers) else ()
