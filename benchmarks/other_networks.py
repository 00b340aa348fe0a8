r"""Time networks of other projects next to LightSkip's of the same form: training step, inference, parameters.

    PYTHONPATH=DIR python benchmarks/other_networks.py --spec '{"name": "tiramisu", "form": 103}' --size 512 512 \
      --other 'tiramisu_brulee.model:Tiramisu2d {"out_channels": 11}' --threads 1 --clock cpu --minutes 5

Another network is an import path, a colon, a class or function, and its arguments in JSON. Install it in a folder of
its own, and put the folder on PYTHONPATH. A step is forward, cross entropy and backward in float32, without an
optimiser. Ratios are LightSkip's time to the other's, within a round.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import torch
from measure import CLOCKS, RESULTS, Spread, header, paired_ratio, rounds_in_time, say, seconds, table, write_json
from torch import Tensor, nn

from pipeline.data.errors import InputError
from pipeline.networks import build_network

__all__ = ["build_other", "main"]

OWN = "LightSkip"
PHASES = ("train", "infer")


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 for a mistake of the user's."""
    options = _options()
    torch.set_num_threads(options.threads)
    shape = {"spatial_dims": len(options.size), "in_channels": options.in_channels, "out_channels": options.classes}
    try:
        torch.manual_seed(options.seed)
        networks: dict[str, nn.Module] = {OWN: build_network({**json.loads(options.spec), **shape})}
        networks |= {text.partition(" ")[0]: build_other(text) for text in options.other}
        x = torch.randn(options.batch, options.in_channels, *options.size)
        labels = torch.randint(options.classes, (options.batch, *options.size))
        for name, network in networks.items():
            _check_output(name, network, x, options.classes)
    except (InputError, ValueError) as error:
        say(f"error: {error}")
        return 2
    results = header("other_networks", options) | {"networks": {}}
    works = {
        f"{name} {phase}": partial(
            seconds, _work(network, x, labels, phase), "cpu", repeats=options.repeats, clock=options.clock
        )
        for name, network in networks.items()
        for phase in PHASES
    }
    rounds: list[dict[str, float]] = []
    for found in rounds_in_time(works, minutes=options.minutes, at_least=options.rounds, seed=options.seed):
        rounds.append(found)
        results["networks"] = {name: _summarise(name, network, rounds) for name, network in networks.items()}
        write_json(options.output, results)
    _say(results["networks"], len(rounds))
    say(f"\n{options.output}")
    return 0


def build_other(text: str) -> nn.Module:
    """Build a network from ``MODULE:NAME {ARGUMENTS}``.

    Raises:
        InputError: the text has another form, or there is no such module or name.
    """
    path, _, arguments = text.partition(" ")
    module, colon, name = path.partition(":")
    expected = "an import path, a colon, a class or function, and its arguments in JSON"
    remedy = """write --other 'my_module:MyNet {"out_channels": 11}', and put its folder on PYTHONPATH"""
    if not colon:
        raise InputError("--other", found=repr(text), expected=expected, remedy=remedy)
    try:
        network: nn.Module = getattr(import_module(module), name)(**json.loads(arguments or "{}"))
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError("--other", found=f"{text!r} ({error})", expected=expected, remedy=remedy) from error
    return network


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", default='{"name": "tiramisu", "form": 103}', help="LightSkip's network [%(default)s]")
    parser.add_argument("--other", action="append", required=True, help="another network; may be repeated")
    parser.add_argument("--size", type=int, nargs="+", default=[512, 512], help="pixels or voxels [%(default)s]")
    parser.add_argument("--batch", type=int, default=1, help="images per step [%(default)s]")
    parser.add_argument("--in_channels", type=int, default=3, help="channels of the image [%(default)s]")
    parser.add_argument("--classes", type=int, default=11, help="channels of the output [%(default)s]")
    parser.add_argument("--minutes", type=float, default=5.0, help="time for the rounds [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="minimum number of rounds [%(default)s]")
    parser.add_argument("--repeats", type=int, default=1, help="timed calls in a round [%(default)s]")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="PyTorch's threads [%(default)s]")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: one thread on a busy machine")
    parser.add_argument("--seed", type=int, default=0, help="of weights, inputs and the order in a round [%(default)s]")
    parser.add_argument("-o", "--output", default=RESULTS / "other_networks.json", help="the JSON [%(default)s]")
    options = parser.parse_args()
    options.device = "cpu"
    return options


def _check_output(name: str, network: nn.Module, x: Tensor, classes: int) -> None:
    """Refuse a network whose logits are of another shape, which would do other work."""
    with torch.no_grad():
        found = network.eval()(x[:1])
    expected = (1, classes, *x.shape[2:])
    if not isinstance(found, Tensor) or tuple(found.shape) != expected:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(
            name, found=f"an output of {shape}", expected=str(expected), remedy="set its arguments, or --classes"
        )


def _work(network: nn.Module, x: Tensor, labels: Tensor, phase: str) -> Callable[[], None]:
    def train() -> None:
        network.train().zero_grad(set_to_none=True)
        nn.functional.cross_entropy(network(x), labels).backward()

    def infer() -> None:
        with torch.inference_mode():
            network.eval()(x)

    return train if phase == "train" else infer


def _summarise(name: str, network: nn.Module, rounds: list[dict[str, float]]) -> dict[str, Any]:
    found: dict[str, Any] = {"parameters": sum(parameter.numel() for parameter in network.parameters())}
    for phase in PHASES:
        times = [one[f"{name} {phase}"] for one in rounds]
        own = [one[f"{OWN} {phase}"] for one in rounds]
        found[phase] = {"seconds": Spread.of(times), "ratio": paired_ratio(own, times)}
    return found


def _say(networks: dict[str, Any], rounds: int) -> None:
    say(f"{rounds} rounds. Seconds: median [quartiles]; ratio: LightSkip's time to the other's, within a round")
    rows = []
    for name, found in networks.items():
        row = [name, f"{found['parameters'] / 1e6:.3f}"]
        for phase in PHASES:
            row += [found[phase]["seconds"].text(), found[phase]["ratio"].text()]
        rows.append(row)
    say(table(["network", "M param.", "train s", "ratio", "infer s", "ratio"], rows))


if __name__ == "__main__":
    sys.exit(main())
