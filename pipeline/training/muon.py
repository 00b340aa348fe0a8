"""Muon for convolution networks: kernels move by orthogonal steps, everything else by AdamW."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["Muon", "orthogonalise"]

# The odd polynomial that moves singular values towards 1 fastest when repeated (Jordan et al., 2024).
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# A kernel with fewer rows or columns, such as the last layer's or a single attention map's, is treated as a vector.
_MIN_MATRIX_SIDE = 4


class Muon(Optimizer):
    """Muon for kernels, whose steps are orthogonalised momentum; AdamW for vectors and for very narrow kernels.

    A kernel (C_out, C_in, *sizes) is used as the matrix (C_out, C_in · sizes). A transposed convolution's kernel, which
    PyTorch stores as (C_in, C_out, *sizes), is used as (C_in, C_out · sizes). Its momentum is replaced by the nearest
    matrix with singular values of about one, so directions that are rare in the gradients are learned equally fast
    (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024). Steps are scaled to the root mean
    square of AdamW's, ``0.2 sqrt(max(rows, columns))``, so that both take the same learning rate and weight
    decay (Liu et al., "Muon is scalable for LLM training", arXiv 2502.16982, section 2.2). ``torch.optim.Muon`` takes
    matrices only; for those the steps are equal, up to its rounding to bfloat16.

    Args:
        params: parameters or groups of them. A group may override the arguments below.
        lr: learning rate.
        weight_decay: decoupled: a step shrinks weights by ``lr * weight_decay``.
        momentum: for kernels, with Nesterov's look-ahead.
        betas: AdamW's, for all other parameters.

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 3e-3,
        *,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        for name, value, valid in (
            ("lr", lr, lr >= 0),
            ("weight_decay", weight_decay, weight_decay >= 0),
            ("momentum", momentum, 0 <= momentum < 1),
            ("betas", betas, all(0 <= beta < 1 for beta in betas)),
        ):
            if not valid:
                raise ValueError(f"{name} is {value!r}, which is out of its range")
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step. With a closure, first compute the loss and its gradients, and return the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                take_step = self._orthogonal_step if _is_matrix(parameter) else self._adam_step
                take_step(parameter, gradient, group)
        return loss

    def _orthogonal_step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(momentum, group["momentum"]).flatten(1)
        scale = 0.2 * max(ahead.shape) ** 0.5
        direction = orthogonalise(ahead).view_as(parameter)
        parameter.add_(direction, alpha=-group["lr"] * scale)

    def _adam_step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        first, second = group["betas"]
        mean = state["mean"].lerp_(gradient, 1 - first)
        square = state["square"].lerp_(gradient.square(), 1 - second)
        spread = (square / (1 - second ** state["step"])).sqrt_().add_(1e-8)
        parameter.addcdiv_(mean, spread, value=-group["lr"] / (1 - first ** state["step"]))


def orthogonalise(matrix: Tensor, *, steps: int = 5) -> Tensor:
    """Return a matrix with the same singular vectors and with singular values between about 0.7 and 1.2.

    It uses Newton-Schulz iterations. Singular values far below the largest need more than five steps.

    Each iteration multiplies the matrix by a polynomial of its Gram matrix, ``x @ x.T``. The polynomials and the next
    Gram matrices are computed from the first Gram matrix, which is small: a kernel has many more columns than rows.
    Only the product of all polynomials is multiplied with the matrix itself.

    Args:
        matrix: shape (rows, columns).
        steps: iterations, at least 1.

    Returns:
        Shape (rows, columns), at least float32: a Gram matrix has the squares of the singular values, and a shorter
        format would lose the small ones.
    """
    a, b, c = _COEFFICIENTS
    matrix = matrix.to(torch.promote_types(matrix.dtype, torch.float32))
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    # A bound of the largest singular value, so that none is above 1.
    x = x / x.norm().clamp(min=1e-7)
    gram = x @ x.T
    total = torch.empty(0)
    for step in range(steps):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        total = factor if step == 0 else factor @ total
        if step < steps - 1:
            gram = factor @ gram @ factor
    result: Tensor = total @ x
    return result.T if tall else result


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim > 1 and min(parameter.shape[0], parameter[0].numel()) >= _MIN_MATRIX_SIDE
