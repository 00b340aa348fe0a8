"""The time of FC-DenseNet103 here against other implementations in PyTorch: inference and a training step.

    git clone https://github.com/bfortuner/pytorch_tiramisu ../port
    OMP_NUM_THREADS=1 python benchmarks/tiramisu_ports.py ../port models.tiramisu:FCDenseNet103 '{"n_classes": 11}'

The port's class is imported from its checkout, and is given the arguments as JSON; nothing of it is part of LightSkip.
The networks take turns, and ratios are taken within a round. A skip other than the published concatenation can be timed
in the same rounds. Mark: at most 1.5 times the port's time.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from arms import parse_skip
from measure import CLOCKS, RESULTS, Spread, header, paired_ratio, rounds_in_time, say, table, write_json
from torch import nn

from pipeline.data.errors import InputError
from pipeline.networks import Tiramisu

__all__ = ["main"]

MARK = 1.5
IMAGE_CHANNELS, CLASSES = 3, 11  # of CamVid, for which the network was published
_PORT, _OURS = "the port", "Tiramisu"


def main() -> int:
    """Measure, print and write; 0, or 2 where the port could not be built."""
    options = _options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    try:
        networks = {_PORT: _build_port(options.checkout, options.network, options.arguments)}
        networks[_OURS] = Tiramisu(2, IMAGE_CHANNELS, CLASSES)
        for text in options.skip or []:
            networks[f"{_OURS}, {text}"] = Tiramisu(2, IMAGE_CHANNELS, CLASSES, skip=parse_skip(text).skip)
        if options.dense_sat:
            networks[f"{_OURS}, dense_skip sat"] = Tiramisu(2, IMAGE_CHANNELS, CLASSES, dense_skip="sat")
    except (InputError, ImportError, AttributeError, TypeError, ValueError) as error:
        say(f"error: {options.network} of {options.checkout} with {options.arguments}: {error}")
        return 2
    results = header("tiramisu_ports", options) | {"mark": MARK, "parameters": _count_parameters(networks)}
    image = torch.randn(1, IMAGE_CHANNELS, options.size, options.size)
    for phase, work in (("inference", _infer), ("training step", _train)):
        results[phase] = _time(networks, work, image, options)
        say(f"\n{phase}, {options.size} x {options.size}, batch 1, {options.threads} threads: seconds and ratio\n")
        rows = [[name, found["seconds"].text(), found["ratio"].text()] for name, found in results[phase].items()]
        say(table(["", "seconds", "to the port"], rows))
        write_json(options.output, results)
    say(f"\n{options.output}")
    return 0


def _build_port(checkout: Path, network: str, arguments: str) -> nn.Module:
    """Return the port's network without a softmax at its end, so that all return logits."""
    sys.path.insert(0, str(checkout.resolve()))
    module, _, name = network.partition(":")
    port: nn.Module = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    for key, child in port.named_children():
        if isinstance(child, nn.Softmax | nn.LogSoftmax):
            setattr(port, key, nn.Identity())
    return port


def _count_parameters(networks: dict[str, nn.Module]) -> dict[str, int]:
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}


def _time(
    networks: dict[str, nn.Module],
    work: Callable[[nn.Module, torch.Tensor], None],
    image: torch.Tensor,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return the spread of the seconds, and of the ratio to the port, of each network."""
    now = CLOCKS[options.clock]

    def time_one(network: nn.Module) -> float:
        start = now()
        work(network, image)
        return now() - start

    works = {name: partial(time_one, network) for name, network in networks.items()}
    for warm_up in works.values():
        warm_up()
    rounds = list(rounds_in_time(works, minutes=options.minutes / 2, at_least=options.rounds, seed=options.seed))
    times = {name: [one[name] for one in rounds] for name in networks}
    return {
        name: {"seconds": Spread.of(values), "ratio": paired_ratio(values, times[_PORT])}
        for name, values in times.items()
    }


def _infer(network: nn.Module, image: torch.Tensor) -> None:
    with torch.no_grad():
        network.eval()(image)


def _train(network: nn.Module, image: torch.Tensor) -> None:
    network.zero_grad()
    network.train()(image).square().mean().backward()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="folder of the port's checkout")
    parser.add_argument("network", help="module and class, such as models.tiramisu:FCDenseNet103")
    parser.add_argument("arguments", nargs="?", default="{}", help="its arguments as JSON [%(default)s]")
    parser.add_argument(
        "--size", type=int, default=512, help="height and width, a multiple of 32 from 64 [%(default)s]"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds at least [%(default)s]")
    parser.add_argument("--minutes", type=float, default=0.0, help="time for more rounds [%(default)s]")
    parser.add_argument("--skip", action="append", help="time another skip, too: a name or JSON; may be repeated")
    parser.add_argument("--dense-sat", action="store_true", help="time dense_skip sat, too")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: one thread on a busy machine")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="PyTorch's [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of weights, input and order [%(default)s]")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "tiramisu_ports.json", help="[%(default)s]")
    parser.set_defaults(device="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
