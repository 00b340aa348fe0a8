"""Whole commands of this checkout and of another, at the same time: what locks, checks and cleaning cost.

    git worktree add ../before COMMIT
    python benchmarks/verb_builds.py ../before --dataset_dir Task04_Hippocampus

- `train`: a training of the hippocampus bundle with some epochs, from the first import to the last file.
- `predict`: 42 scans of the dataset with the shipped weights, as with one start of `lightskip predict`.

One thread. Each number is the processor's time of a whole process, start-up included. Both builds of a round run at the
same time, each on a core of its own, and change cores after it: in turn they would meet other loads of the machine.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import RESULTS, Spread, header, paired_ratio, say, table, write_json
from processes import VERB, run_alone
from trainings import list_cores

__all__ = ["main", "measure_verb"]

HERE = Path(__file__).resolve().parents[1]
SCANS = 42


def main() -> int:
    """Measure, print and write; 0, or 2 where something could not run."""
    options = _options()
    found: dict[str, dict[str, Spread]] = {}
    try:
        for verb in options.verbs:
            found[verb] = measure_verb(verb, options)
    except (OSError, RuntimeError) as error:
        say(f"error: {error}")
        return 2
    rows = [[verb, *(spread.text(digits=3) for spread in spreads.values())] for verb, spreads in found.items()]
    say(table(["", "this build, s", "the other, s", "ratio"], rows))
    write_json(options.output, header("verb_builds", options) | {"seconds": found})
    say(f"\n{options.output}")
    return 0


def measure_verb(verb: str, options: argparse.Namespace) -> dict[str, Spread]:
    """Return the processor's seconds of a verb in both checkouts, and their ratios (this to the other).

    Raises:
        RuntimeError: a command failed.
    """
    times: list[list[float]] = [[], []]
    cores = list_cores()[:2]
    if len(cores) < 2:
        msg = "one core only: expected two, one for each build"
        raise RuntimeError(msg)
    with tempfile.TemporaryDirectory() as folder:
        scans = Path(folder) / "scans"
        scans.mkdir()
        for scan in sorted((options.dataset_dir / "imagesTr").glob("[!.]*.nii.gz"))[:SCANS]:
            shutil.copy(scan, scans)
        for number in range(options.rounds):
            with ThreadPoolExecutor(2) as both:
                works = [
                    both.submit(_run, verb, options, index, cores[(number + index) % 2], scans) for index in (0, 1)
                ]
                for index, work in enumerate(works):
                    times[index].append(work.result())
    return {"this": Spread.of(times[0]), "other": Spread.of(times[1]), "ratio": paired_ratio(*times)}


def _run(verb: str, options: argparse.Namespace, index: int, core: int, scans: Path) -> float:
    """Return the processor's seconds of one build's command on one core."""
    checkout = (HERE, options.other.resolve())[index]
    folder = scans.parent / str(index)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    words = [*VERB, *_words(verb, options, checkout, scans, folder / "out")]
    return run_alone(["taskset", "-c", str(core), *words], folder / "log.txt", folder=checkout).cpu_seconds


def _words(verb: str, options: argparse.Namespace, checkout: Path, scans: Path, out: Path) -> list[str]:
    bundle = str(checkout / "bundles" / "hippocampus_mri")
    if verb == "predict":
        return ["predict", bundle, str(scans), "-o", str(out), "--runtime", "pytorch"]
    length = ["--epochs", str(options.epochs), "--val_interval", str(options.epochs), "--precision", "float32"]
    return ["train", bundle, "--dataset_dir", str(options.dataset_dir), *length, "--ckpt_dir", str(out)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--dataset_dir", type=Path, required=True, help="the folder of Task04_Hippocampus")
    parser.add_argument("--verbs", nargs="+", choices=("train", "predict"), default=("train", "predict"))
    parser.add_argument("--rounds", type=int, default=5, help="how often each build is measured [5]")
    parser.add_argument("--epochs", type=int, default=2, help="of a training [2]")
    parser.add_argument("--output", type=Path, default=RESULTS / "verb_builds.json", help="JSON with the numbers")
    parser.set_defaults(device="cpu", threads=1)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
