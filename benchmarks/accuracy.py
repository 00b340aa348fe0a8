"""Measure validation Dice against minutes of training and samples, by skip connection, over seeds.

    python benchmarks/accuracy.py --dataset_dir Task04_Hippocampus --minutes 15 --seeds 0 1 2 --arm concat --arm sum
    python benchmarks/accuracy.py ... --arm sat --arm '["sat", {"maps": 4, "merge": "sum"}]' --arm "MONAI DynUNet"
    python benchmarks/accuracy.py ... --arm "sum: --optimizer#_target_ torch.optim.AdamW --learning_rate 3e-3"
    python benchmarks/accuracy.py ... --arm sum --arm "sum: --train#prepare_batch#mirror_axes []" --shares 1 0.5
    python benchmarks/accuracy.py ... --arm "unet scse" --arm '{"name": "tiramisu", "form": 56, "skip": "sat"}'

Every arm is the bundle's own training with MONAI's runner, with another skip, another network, or one of MONAI's
networks. More overrides follow a colon. All arms have the same minutes, unless `--shares` gives some of them less. They
complete their learning rate schedule in them. The result is the last epoch's Dice. The best epoch's would be biased: it
would be chosen on the cases that it is measured on. Each training has a folder named by its settings and runs once: see
`trainings.py`. With several jobs, each has its own cores. All arms use the bundle's learning rate, although another may
suit MONAI's networks better.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from arms import MONAI_ARMS, REMARKS, monai_network, parse_skip, read_network
from measure import RESULTS, header, say, table, write_json
from trainings import Training, is_done, list_cores, name_run_folder, read_run, train_missing

from pipeline.bundle.plan import load_plan
from pipeline.data.errors import InputError
from pipeline.networks import Networks, VNet

__all__ = ["arm_overrides", "main", "summarise"]


def main() -> int:
    """Train what is missing, print and write. Return 0, 1 if a training failed, or 2 for a mistake of the user's."""
    options = _options()
    try:
        clock = ("--clock", "processor") if options.clock == "cpu" else ()
        arms = {text: (*arm_overrides(text, options.bundle), *clock) for text in options.arm}
    except (InputError, ValueError, TypeError) as error:
        say(f"error: {error}")
        return 2
    content = header("accuracy", options)
    content["remarks"] = {arm: REMARKS[arm] for arm in arms if arm in REMARKS}
    # Seed by seed, so that the arms of one seed run at the same time, under the same load of the machine.
    shares = options.shares or [1.0] * len(arms)
    wanted = [
        _training(arm, arms[arm], fold, seed, share, options)
        for seed in options.seeds
        for fold in options.folds
        for arm, share in zip(arms, shares, strict=True)
    ]
    failed = train_missing(wanted, options.runs, jobs=options.jobs)
    folders = {one: name_run_folder(one, options.runs) for one in wanted}
    runs = [_run(one, read_run(folder), options.threshold) for one, folder in folders.items() if is_done(folder)]
    content["runs"] = runs
    content["arms"] = [summarise(arm, [run for run in runs if run["arm"] == arm]) for arm in arms]
    write_json(options.output, content)
    say(_table(content["arms"], options.threshold))
    say(f"written: {options.output}")
    return 1 if failed else 0


def arm_overrides(text: str, bundle: str | Path) -> list[str]:
    """Return an arm's overrides for MONAI's runner: its skip or network, and everything after a colon.

    Raises:
        InputError: the skip starts like JSON but is not.
        ValueError: the skip does not exist.
    """
    arm, colon, more = text.partition(": --")
    return _network_overrides(arm, bundle) + shlex.split(f"--{more}" if colon else "")


def _network_overrides(arm: str, bundle: str | Path) -> list[str]:
    plan = load_plan(bundle)
    shape = {"spatial_dims": "@spatial_dims", "in_channels": "@in_channels", "out_channels": "@out_channels"}
    if spec := read_network(arm, plan):
        target = f"pipeline.networks.{Networks[spec.pop('name')].__name__}"
        skip = spec.pop("skip")
        return ["--network_def", repr({"_target_": target, **shape, **spec, "skip": "@skip"}), "--skip", repr(skip)]
    if arm not in MONAI_ARMS:
        skip = parse_skip(arm).skip
        with torch.device("meta"):
            # Report a skip that cannot be built now, not in each of its trainings.
            VNet(len(plan.spacing), 1, 2, channels=plan.network.channels, skip=skip)
        return ["--skip", repr(skip)]
    name, more = monai_network(arm, plan.network.model_dump())
    words = ["--network_def", repr({"_target_": name, **shape, **more})]
    if arm == "MONAI VNet":
        # It halves the grid one time more than a network of four levels.
        for key, size in (("patch", plan.patch), ("window", plan.window)):
            words += [f"--{key}", repr([-(-n // 16) * 16 for n in size])]
    return words


def _training(
    arm: str, overrides: tuple[str, ...], fold: int, seed: int, share: float, options: argparse.Namespace
) -> Training:
    return Training(
        bundle=Path(options.bundle).resolve(),
        dataset_dir=options.dataset_dir.resolve(),
        arm=arm,
        overrides=overrides,
        fold=fold,
        seed=seed,
        minutes=options.minutes * share or None,
        epochs=options.epochs,
        threads=options.threads,
        device=options.device,
    )


def _run(training: Training, found: dict[str, Any], threshold: float) -> dict[str, Any]:
    reached = next((point["minutes"] for point in found["curve"] if point["dice"] >= threshold), None)
    names = {"arm": training.arm, "fold": training.fold, "seed": training.seed}
    return {**names, **found, "minutes_to_threshold": reached}


def summarise(arm: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation of an arm's Dice, with the Dice, epochs, minutes and samples of its runs."""
    dice = [run["dice"] for run in runs]
    return {
        "arm": arm,
        "folds": [run["fold"] for run in runs],
        "seeds": [run["seed"] for run in runs],
        "dice": dice,
        "mean": statistics.mean(dice) if dice else None,
        "standard_deviation": statistics.stdev(dice) if len(dice) > 1 else None,
        "epochs": [run["epoch"] for run in runs],
        "minutes": [run["minutes"] for run in runs],
        "samples": [run["samples"] for run in runs],
        "minutes_to_threshold": [run["minutes_to_threshold"] for run in runs],
    }


def _table(arms: list[dict[str, Any]], threshold: float) -> str:
    base = arms[0]["mean"]
    rows = []
    for arm in arms:
        if arm["mean"] is None:
            rows.append([arm["arm"], *["-"] * 7])
            continue
        spread = "-" if arm["standard_deviation"] is None else f"{arm['standard_deviation']:.4f}"
        rows.append(
            [
                arm["arm"],
                " ".join(f"{value:.4f}" for value in arm["dice"]),
                f"{arm['mean']:.4f}",
                spread,
                "-" if base is None else f"{arm['mean'] - base:+.4f}",
                f"{statistics.mean(arm['epochs']):.0f}",
                f"{max(arm['minutes']):.1f}",
                " ".join("-" if minutes is None else f"{minutes:.1f}" for minutes in arm["minutes_to_threshold"]),
            ]
        )
    columns = [
        "arm",
        "Dice, last epoch, by seed and fold",
        "mean",
        "SD",
        f"against {arms[0]['arm']}",
        "epochs",
        "minutes",
    ]
    return table([*columns, f"to {threshold:g}"], rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="bundles/hippocampus_mri", help="the bundle to train [%(default)s]")
    parser.add_argument("--dataset_dir", type=Path, required=True, help="the bundle's dataset")
    parser.add_argument(
        "--arm",
        action="append",
        required=True,
        help="a skip (name or JSON), or one of MONAI's "
        f"networks ({', '.join(MONAI_ARMS)}); the others are compared with the first",
    )
    parser.add_argument("--minutes", type=float, default=15, help="limit of each training; 0 for none [%(default)s]")
    parser.add_argument(
        "--shares", type=float, nargs="+", help="share of the minutes that each arm has, in the order of the arms [1]"
    )
    parser.add_argument("--epochs", type=int, default=1000, help="limit of each training [%(default)s]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of the trainings [%(default)s]")
    parser.add_argument("--folds", type=int, nargs="+", default=[0], help="folds that validate [%(default)s]")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time [%(default)s]")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="of the minutes; cpu: other programs do not count"
    )
    parser.add_argument("--threads", type=int, help="threads of each training [cores divided by jobs]")
    parser.add_argument("--device", help="cpu, cuda:0, ... [the bundle's own choice]")
    parser.add_argument("--threshold", type=float, default=0.88, help="Dice to report the minutes to [%(default)s]")
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"), help="folder of trainings [%(default)s]")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "accuracy.json", help="the JSON [%(default)s]")
    options = parser.parse_args()
    if options.shares and len(options.shares) != len(options.arm):
        parser.error(f"--shares has {len(options.shares)} numbers for {len(options.arm)} arms")
    options.runs = options.runs.absolute()
    options.threads = options.threads or max(len(list_cores()) // options.jobs, 1)
    if options.jobs * options.threads > len(list_cores()):
        parser.error(f"{options.jobs} jobs of {options.threads} threads are more than the {len(list_cores())} cores")
    return options


if __name__ == "__main__":
    sys.exit(main())
