"""Muon for convolution networks: kernels move by orthogonal steps, everything else by AdamW."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..networks.precision import cpu_has_bfloat16

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
    matrices only; for those the steps are equal. The products are in bfloat16 if the device supports it.

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
        direction = orthogonalise(ahead, dtype=_product_type(parameter)).view_as(parameter)
        parameter.add_(direction.to(parameter.dtype), alpha=-group["lr"] * scale)

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


def orthogonalise(matrix: Tensor, *, steps: int = 5, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a matrix with the same singular vectors and with singular values between about 0.7 and 1.2.

    It uses Newton-Schulz iterations. Singular values far below the largest need more than five steps.

    Args:
        matrix: shape (rows, columns).
        steps: iterations.
        dtype: dtype of the products.

    Returns:
        Shape (rows, columns), of that dtype.
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    # Compute the norm in the matrix's own precision: it must not be below the largest singular value.
    x = (x / x.norm().clamp(min=1e-7)).to(dtype)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def _product_type(parameter: Tensor) -> torch.dtype:
    if parameter.is_cuda:
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bfloat16 = parameter.device.type == "cpu" and cpu_has_bfloat16()
    return torch.bfloat16 if has_bfloat16 else torch.float32


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim > 1 and min(parameter.shape[0], parameter[0].numel()) >= _MIN_MATRIX_SIDE
