"""Profile a training: time and count its steps in the bundle's own trainer."""

from __future__ import annotations

import statistics
from math import prod
from typing import Any

from monai.engines.utils import IterationEvents

from .clock import OTHER
from .stages import Stages, call_around_events, summarise_seconds

__all__ = ["PHASES", "measure_training"]

PHASES = ("data", "prepare_batch", "forward", "loss", "backward", "optimiser", OTHER)

# The phase that begins after the handlers of each event.
_AFTER = {
    IterationEvents.FORWARD_COMPLETED: "loss",
    IterationEvents.LOSS_COMPLETED: "backward",
    IterationEvents.BACKWARD_COMPLETED: "optimiser",
}


def measure_training(trainer: Any, *, warmup: int, steps: int, profiled: int) -> dict[str, Any]:
    """Run a bundle's trainer for some steps.

    Args:
        trainer: MONAI ``SupervisedTrainer``; it is instrumented and cannot be used for a training afterwards.
        warmup: untimed steps after a first one whose multiply-adds are counted.
        steps: steps to time.
        profiled: steps to profile after them.

    Returns:
        The ``training_`` keys that `bench` documents, except those that compare with the machine.
    """
    stages = Stages(trainer, waiting="data", warmup=warmup, timed=steps, profiled=profiled)
    seen = _instrument(trainer, stages)
    stages.run()
    clock, timed = stages.clock, stages.clock.seconds()
    median = statistics.median(timed)
    samples, voxels = seen["samples"], seen["voxels"]
    network_share = clock.share("forward", "backward")
    gflops = 2e-9 * stages.counted.total * len(timed) / sum(timed)
    return {
        "training_steps": len(timed),
        "training_step_samples": samples,
        "training_step_voxels": voxels,
        **summarise_seconds("training_step", timed),
        "training_step_cpu_seconds": stages.cpu_seconds,
        "training_samples_per_second": samples / median,
        "training_voxels_per_second": voxels / median,
        "training_forward_multiply_adds": seen["forward"],
        "training_backward_multiply_adds": stages.counted.total - seen["forward"],
        "training_step_multiply_adds": stages.counted.total,
        "training_gflops_per_second": gflops,
        "training_network_gflops_per_second": gflops / network_share if network_share else 0.0,
        **{f"training_share_{phase}": clock.share(phase) for phase in PHASES},
        **stages.profile("training"),
        "training_peak_memory_bytes": stages.peak_bytes,
    }


def _instrument(trainer: Any, stages: Stages) -> dict[str, int]:
    """Make the trainer switch the clock's phases. Return numbers that its first step fills in."""
    clock, inferer = stages.clock, trainer.inferer
    seen = {"samples": 0, "voxels": 0, "forward": 0}

    def forward(inputs: Any, network: Any, *args: Any, **kwargs: Any) -> Any:
        with clock.during("forward"):
            if not stages.counting:
                return inferer(inputs, network, *args, **kwargs)
            stages.counted.start()
            output = inferer(inputs, network, *args, **kwargs)
            seen.update(samples=len(inputs), voxels=len(inputs) * prod(inputs.shape[2:]))
            seen.update(forward=stages.counted.so_far())
            return output

    def before(event: Any) -> None:
        clock.switch(OTHER)
        if event is IterationEvents.BACKWARD_COMPLETED:
            stages.counted.stop()

    trainer.inferer = _copy_precision(inferer, forward)
    trainer.prepare_batch = clock.time_calls(trainer.prepare_batch, "prepare_batch")
    trainer.optimizer.zero_grad = clock.time_calls(trainer.optimizer.zero_grad, "optimiser")
    call_around_events(trainer, before, lambda event: clock.switch(_AFTER.get(event, OTHER)))
    return seen


def _copy_precision(inferer: Any, call: Any) -> Any:
    # Handlers read the precision from the inferer.
    if hasattr(inferer, "precision"):
        call.precision = inferer.precision
    return call
