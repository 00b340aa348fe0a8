"""A GPU for machines without one: graphs that compute on the CPU, with buffers that are overwritten as a GPU's are."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pipeline.inference.gpu import Captured


class FakeGpu:
    """What `Gpu` does, on the CPU.

    A replay computes into the output of its capture, and spoils the outputs of the other graphs of its memory.
    """

    device = torch.device("cpu")

    def __init__(self, model: str = "a toy") -> None:
        self.model = model
        self.captures: list[tuple[int, ...]] = []  # shapes of the outputs
        self.replays = 0
        self.waits = 0
        self.refuses_reading = False
        self.problem: Exception | None = None  # that a capture meets
        self.factor = 1.0  # of a replay's output
        self.outputs: dict[int, list[Tensor]] = {}

    def name(self) -> str:
        return self.model

    def synchronise(self) -> None:
        self.waits += 1

    def give_back(self) -> None:
        pass

    def make_pool(self) -> Any:
        self.outputs[len(self.outputs)] = []
        return len(self.outputs) - 1

    def warm_up(self, call: Callable[[], Tensor]) -> Tensor:
        call()
        self.refuses_reading = True
        try:
            return call()
        finally:
            self.refuses_reading = False

    def read(self, value: Tensor) -> float:
        """Return a value to Python, for which a real GPU is waited for."""
        if self.refuses_reading:
            raise RuntimeError("called a synchronizing CUDA operation")
        return float(value)

    def capture(self, call: Callable[[], Tensor], pool: Any) -> Captured:
        if self.problem is not None:
            raise self.problem
        # What a capture computes is only recorded.
        output = torch.full_like(call(), float("nan"))
        self.captures.append(tuple(output.shape))
        self.outputs[pool].append(output)

        def replay() -> None:
            self.replays += 1
            for other in self.outputs[pool]:
                other.fill_(float("nan"))
            output.copy_(self.factor * call())

        return Captured(replay, output, 1000)
