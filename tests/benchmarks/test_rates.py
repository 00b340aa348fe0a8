from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from rates import RateByStep


def test_the_rate_rises_then_falls_to_zero() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    seen: list[float] = []

    def step(engine: Any, _: int) -> None:
        seen.append(engine.optimizer.param_groups[0]["lr"])

    engine: Any = Engine(step)
    engine.optimizer = torch.optim.SGD([weight], lr=1.0)
    RateByStep(SimpleNamespace(base_lrs=[2.0], t_total=3), warm=0.5).attach(engine)
    engine.run(range(10), max_epochs=3)
    assert seen[0] == pytest.approx(0.02)
    assert max(seen) == seen[5] == pytest.approx(2.0)
    assert seen[:6] == sorted(seen[:6])
    assert seen[5:] == sorted(seen[5:], reverse=True)
    assert seen[-1] == pytest.approx(2 * 0.1 / 2.5)
