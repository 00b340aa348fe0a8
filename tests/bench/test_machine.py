import sys
from pathlib import Path

import pytest
import torch

from pipeline.bench.machine import MemoryPeak, cpu_model, measure_matrix_rate
from pipeline.memory import give_back

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak memory")
def test_the_peak_is_seen_after_the_memory_is_free_again() -> None:
    torch.ones(1)
    # Memory that earlier tests freed and malloc kept would be used again, and not be counted as new.
    give_back()
    peak = MemoryPeak(CPU)
    size = 2**28
    ones = torch.ones(size, dtype=torch.uint8)
    del ones
    assert 0.9 * size < (peak.bytes() or 0) < 1.5 * size


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_rate_is_of_products_in_that_format(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    seen = set()
    times = iter(range(10**6))

    def product(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        seen.update((left.dtype, right.dtype))
        return torch.empty_like(left) if out is None else out

    monkeypatch.setattr(torch, "mm", product)
    monkeypatch.setattr("pipeline.bench.machine.time.perf_counter", lambda: float(next(times)))
    # One second for each product: the largest is the best.
    assert measure_matrix_rate(CPU, precision) == pytest.approx(2 * 2048**3 / 1e9)
    assert seen == {getattr(torch, precision)}


@pytest.mark.parametrize(
    ("text", "name"),
    [("processor\t: 0\nmodel name\t: A: fast one\nmodel name\t: B\n", "A: fast one"), ("processor\t: 0\n", "arm64")],
)
def test_the_processor_is_named_as_the_system_does(monkeypatch: pytest.MonkeyPatch, text: str, name: str) -> None:
    monkeypatch.setattr(Path, "read_text", lambda _: text)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert cpu_model() == name
