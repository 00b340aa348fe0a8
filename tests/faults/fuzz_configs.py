"""Give damaged plans, datalists, studies, configs and overrides to the real verbs, many in one process.

    python -m tests.faults.fuzz_configs --tries 2000 --seed 0

prints how many tries of each target were refused and accepted, and every fault: a traceback, an undocumented exit
status, a message without the file, a changed or half-written file, or a try that takes too long.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import yaml

from pipeline.bundle import launch_run
from pipeline.bundle.overrides import known_ids
from pipeline.cli import main as run_verb

from .mutate_config import mutate_override, mutate_text

__all__ = ["TARGETS", "Fault", "Summary", "Workplace", "fuzz"]

_REPOSITORY = Path(__file__).resolve().parents[2]
_STATUSES = (0, 1, 2)  # documented in `pipeline.cli.main`; nothing here is interrupted or piped
_STUDY = {
    "name": "small",
    "question": "Which skip?",
    "baseline": "concat",
    "seeds": [0, 1],
    "budget": {"epochs": 2},
    "arms": [
        {
            "bundle": "shapes",
            "networks": [
                {"name": "vnet", "channels": [2, 4], "convs_per_level": [1, 1], "decoder_convs_per_level": [1]}
            ],
            "skips": ["concat", "sat", {"skip": ["concat", {"only": 0}], "label": "only 0"}],
            "overrides": {"patch": [16, 16, 16], "window": [32, 32, 16]},
        }
    ],
}


class TooLongError(BaseException):
    """A try that took longer than its limit; no `Exception`, so that no verb can catch it."""


@dataclass(frozen=True)
class Fault:
    """A try that did not end as documented."""

    target: str
    seed: int
    kind: str
    reason: str
    text: str

    def __str__(self) -> str:
        return f"{self.target}, seed {self.seed}, {self.kind}: {self.reason}\n{self.text}"


@dataclass
class Summary:
    """How many tries ended in which way, by target."""

    refused: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    accepted_kinds: list[str] = field(default_factory=list)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    faults: list[Fault] = field(default_factory=list)

    def table(self) -> str:
        """Return the table of all targets."""
        names = sorted({*self.refused, *self.accepted, *(fault.target for fault in self.faults)})
        rows = [f"{'target':22} {'tries':>6} {'refused':>8} {'accepted':>9} {'faults':>7} {'s':>6}"]
        for name in [*names, "all"]:
            chosen = names if name == "all" else [name]
            refused, accepted = (sum(one[key] for key in chosen) for one in (self.refused, self.accepted))
            faults = sum(fault.target in chosen for fault in self.faults)
            seconds = sum(self.seconds[key] for key in chosen)
            total = refused + accepted + faults
            rows.append(f"{name:22} {total:6} {refused:8} {accepted:9} {faults:7} {seconds:6.1f}")
        return "\n".join(rows)


class Workplace:
    """A small dataset, a bundle and a study, in a folder that every try starts from.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = folder / "shapes"
        self.data = folder / "data"
        self.out = folder / "out"
        self.study = folder / "study.yaml"
        self.bundle.mkdir(parents=True)
        source = _REPOSITORY / "bundles" / "synthetic_shapes"
        for name in ("plan.yaml", "LICENSE"):
            shutil.copy(source / name, self.bundle)
        for words in (
            ["sample", str(self.data), "--cases", "6", "--scans", "1"],
            ["sample", str(folder / "nnunet"), "--kind", "left_right", "--cases", "4", "--scans", "1"],
            ["render", str(self.bundle)],
            ["check", str(self.data / "dataset.json"), "-o", str(folder / "checked")],
        ):
            status, text, raised = _run_quietly(words, 600)
            if raised or status not in (0, 1):
                raise RuntimeError(f"{words}: {text}")
        shutil.copytree(self.data, self.bundle / "data")
        (self.bundle / "models").mkdir()
        (self.bundle / "models" / "model.pt").write_bytes(b"no weights: a prediction that comes so far is refused")
        self.weights = folder / "weights.pt"
        self.study.write_text(yaml.safe_dump(_STUDY, sort_keys=False), encoding="utf-8")
        cases = [f"case_{number:03}" for number in range(4)]
        splits = [{"train": cases[2:], "val": cases[:2]}, {"train": cases[:2], "val": cases[2:]}]
        (folder / "splits_final.json").write_text(json.dumps(splits, indent=1), encoding="utf-8")
        self.keys = {
            verb: sorted(key.replace("::", "#") for key in known_ids([self._read_config(verb)]))
            for verb in ("train", "evaluate", "inference")
        }

    def _read_config(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.bundle / "configs" / f"{name}.json").read_text(encoding="utf-8"))
        return content


@dataclass(frozen=True)
class Target:
    """A file to damage, and the words of a verb that reads it.

    Attributes:
        file: the file, relative to the workplace; empty if only the words are damaged.
        words: return the words after `lightskip`.
        weight: how often it is tried.
        before: makes what the verb reads from the damaged file, such as a zip.
    """

    file: str
    words: Callable[[Workplace], Sequence[str]]
    weight: float = 1
    before: Callable[[Workplace], Any] = lambda _: None


def _bundle_words(verb: str, *more: str) -> Callable[[Workplace], Sequence[str]]:
    return lambda place: [verb, str(place.bundle), *more]


def _zip_bundle(place: Workplace) -> None:
    place.out.mkdir()
    with zipfile.ZipFile(place.out / "bundle.zip", "w") as archive:
        for file in sorted((place.bundle / "configs").iterdir()):
            archive.write(file, f"shapes/configs/{file.name}")
        archive.write(place.bundle / "LICENSE", "shapes/LICENSE")


def _import_words(place: Workplace) -> Sequence[str]:
    return ["import", str(place.out / "bundle.zip"), "--yes", "-o", str(place.out / "imported")]


def _start(verb: str, place: Workplace) -> Sequence[str]:
    """Return the words of a training or an evaluation that starts; `_idle_engines` keeps it from computing."""
    words = [str(place.bundle), "--logging_file", "False", "--device", "cpu"]
    if verb == "train":
        return [
            verb,
            *words,
            "--ckpt_dir",
            str(place.out / "run"),
            "--cache_dir",
            str(place.folder.parent / "prepared"),
        ]
    more = ("--checkpoint", str(place.weights), "--output_dir", str(place.out / "results"), "--runtime", "pytorch")
    return [verb, *words, *more]


def _predict(place: Workplace, *more: str) -> Sequence[str]:
    return ["predict", str(place.bundle), str(place.data / "imagesTs"), "-o", str(place.out / "seg"), *more]


TARGETS: dict[str, Target] = {
    "render plan": Target("shapes/plan.yaml", _bundle_words("render"), 8),
    "render --check plan": Target("shapes/plan.yaml", _bundle_words("render", "--check"), 2),
    "check datalist": Target(
        "data/dataset.json",
        lambda place: ["check", str(place.data / "dataset.json"), "-o", str(place.out / "checked"), "--workers", "1"],
        3,
    ),
    "plan datalist": Target(
        "data/dataset.json",
        lambda place: [
            "plan",
            str(place.data / "dataset.json"),
            "--name",
            "b",
            "-o",
            str(place.out / "b"),
            "--check",
            str(place.folder / "checked"),
        ],
        0.1,
    ),
    "plan check.json": Target(
        "checked/check.json",
        lambda place: [
            "plan",
            str(place.data / "dataset.json"),
            "--name",
            "b",
            "-o",
            str(place.out / "b"),
            "--check",
            str(place.folder / "checked"),
        ],
        0.1,
    ),
    "datalist": Target(
        "data/dataset.json", lambda place: ["datalist", str(place.data), "-o", str(place.out / "list.json")], 3
    ),
    "datalist --splits": Target(
        "splits_final.json",
        lambda place: [
            "datalist",
            str(place.folder / "nnunet"),
            "-o",
            str(place.out / "list.json"),
            "--splits",
            str(place.folder / "splits_final.json"),
        ],
        2,
    ),
    "datalist nnU-Net": Target(
        "nnunet/dataset.json",
        lambda place: ["datalist", str(place.folder / "nnunet"), "-o", str(place.out / "list.json")],
        1,
    ),
    "study": Target(
        "study.yaml", lambda place: ["study", str(place.study), "-o", str(place.out / "study"), "--dry-run"], 4
    ),
    "train config": Target("shapes/configs/train.json", _bundle_words("train", "--dry-run"), 3),
    "evaluate datalist": Target(
        "shapes/data/dataset.json",
        lambda place: _start("evaluate", place),
        1,
    ),
    "evaluate config": Target(
        "shapes/configs/evaluate.json",
        lambda place: _start("evaluate", place),
        3,
    ),
    "predict config": Target("shapes/configs/inference.json", _predict, 3),
    "predict metadata": Target("shapes/configs/metadata.json", _predict, 2),
    "predict datalist": Target(
        "data/dataset.json",
        lambda place: ["predict", str(place.bundle), str(place.data / "dataset.json"), "-o", str(place.out / "seg")],
        2,
    ),
    "import config": Target("shapes/configs/inference.json", _import_words, 2, _zip_bundle),
    "import metadata": Target("shapes/configs/metadata.json", _import_words, 2, _zip_bundle),
    "train --KEY VALUE": Target("", _bundle_words("train", "--dry-run"), 5),
    "train --KEY VALUE, started": Target("", lambda place: _start("train", place), 2),
    "train config, started": Target("shapes/configs/train.json", lambda place: _start("train", place), 2),
    "evaluate --KEY VALUE": Target("", lambda place: _start("evaluate", place), 3),
    "predict --set": Target("", _predict, 3),
}
"""What is damaged, by name."""


def _save_weights(bundle: Path, file: Path) -> None:
    """Write new weights of a bundle's network."""
    import torch  # noqa: PLC0415 - most targets need none of it

    from pipeline.bundle.launch import prepare  # noqa: PLC0415

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        workflow = prepare("train", bundle, ["--device", "cpu"]).workflow(logging_file=False)
        torch.save(workflow.parser.get_parsed_content("network").state_dict(), file)
        workflow.finalize()


@contextlib.contextmanager
def _idle_engines() -> Iterator[None]:
    """Keep MONAI's engines from computing: everything around them is made, but nothing trained or measured.

    So an evaluation writes no results, and is not asked for them at its end.
    """
    from monai.engines.workflow import Workflow  # noqa: PLC0415 - imports PyTorch

    with (
        mock.patch.object(Workflow, "run", return_value=None),
        mock.patch.object(launch_run, "require_results", return_value=None),
    ):
        yield


def fuzz(
    place: Workplace,
    *,
    tries: int,
    seed: int,
    limit: float = 60,
    targets: Sequence[str] = (),
    say: Callable[[Fault], Any] = lambda _: None,
) -> Summary:
    """Damage files at random and run verbs on them.

    Args:
        place: the workplace; every try leaves it as it found it.
        tries: number of runs.
        seed: of the first try; each following one has the next number.
        limit: the time (s) after which a try counts as hanging.
        targets: keys of `TARGETS`; all by default.
        say: called with each fault as soon as it is found.
    """
    summary = Summary()
    names = list(targets or TARGETS)
    weights = [TARGETS[name].weight for name in names]
    if any("train" in name or "evaluate" in name for name in names) and not place.weights.is_file():
        # Before a try damages the config.
        _save_weights(place.bundle, place.weights)
    with _idle_engines():
        for number in range(seed, seed + tries):
            name = random.Random(f"{number} target").choices(names, weights)[0]
            started = time.monotonic()
            fault = _try_once(place, name, number, limit, summary)
            summary.seconds[name] += time.monotonic() - started
            if fault is not None:
                summary.faults.append(fault)
                say(fault)
    return summary


def _try_once(place: Workplace, name: str, seed: int, limit: float, summary: Summary) -> Fault | None:
    target = TARGETS[name]
    shutil.rmtree(place.out, ignore_errors=True)
    words = [word.replace("{bundle}", str(place.bundle)) for word in target.words(place)]
    with contextlib.ExitStack() as stack:
        if target.file:
            file = place.folder / target.file
            # A layout names the folder if the file says nothing wrong, but something else than the folder.
            named: Sequence[str] = (file.name, str(file.parent))
            kind, content = mutate_text(file.read_text(encoding="utf-8"), seed=seed)
            stack.enter_context(_replaced(file, content))
        else:
            verb = {"predict": "inference"}.get(words[0], words[0])
            key, value = mutate_override(place.keys[verb], seed=seed)
            words += ["--set", f"{key}={value}"] if words[0] == "predict" else [f"--{key}={value}"]
            kind, named = f"{key}={value[:40]!r}", ("",)
        target.before(place)
        before = _list_files(place)
        status, text, raised = _run_quietly(words, limit)
        reason = raised or _judge(status, text, named)
        after = _list_files(place)
        # A training or an evaluation that has started may have begun its own folder.
        begun = {file for file in after if Path(file).is_relative_to(place.out / "run")}
        changed = sorted(dict(set(before.items()) ^ set(after.items())).keys() - begun)
        if not reason and status == 2 and changed:
            reason = f"files changed: {changed[:4]}"
        if not reason and (left := [file for file in after if file not in before and Path(file).name.startswith(".")]):
            reason = f"files left behind: {left}"
    # What a verb has rendered must not stay for the next try. The file is whole again by now.
    _restore(place, before, after)
    if reason:
        return Fault(name, seed, kind, reason, text)
    (summary.refused if status == 2 else summary.accepted)[name] += 1
    if status != 2:
        summary.accepted_kinds.append(f"{name}, seed {seed}, {kind}")
    return None


def _judge(status: Any, text: str, named: Sequence[str]) -> str:
    """Return what is wrong with an end; an empty text if nothing is.

    Args:
        status: the exit status.
        text: what was printed.
        named: the file's name, its folder: a refusal names one of them.
    """
    message = text[text.find("error:") :] if "error:" in text else ""
    if status not in _STATUSES:
        return f"exit status {status!r}"
    if "Traceback (most recent call last)" in text:
        return "a traceback"
    if status != 2:
        return ""
    # A prediction that accepts all files is refused at last because of its weights.
    is_named = "model.pt" in message or any(word in message for word in named)
    faults = {
        "a refusal without a message": not message,
        f"a message that does not name {named[0]}": not is_named,
        "a message of more than 6,000 characters": len(message) > 6000,
        "a message with control characters": any(ord(sign) < 32 and sign not in "\n\t" for sign in message),
    }
    return next((words for words, found in faults.items() if found), "")


@contextlib.contextmanager
def _replaced(file: Path, content: bytes) -> Iterator[None]:
    before = file.read_bytes()
    file.write_bytes(content)
    try:
        yield
    finally:
        file.write_bytes(before)


def _list_files(place: Workplace) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file."""
    found = {}
    for folder, _, names in os.walk(place.folder):
        for name in names:
            stat = (Path(folder) / name).stat()
            found[str(Path(folder) / name)] = (stat.st_size, stat.st_mtime_ns)
    return found


def _restore(place: Workplace, before: dict[str, Any], after: dict[str, Any]) -> None:
    for file in after:
        if file not in before and not Path(file).is_relative_to(place.out):
            Path(file).unlink()
    if any(before.get(file) != after.get(file) for file in before if "/configs/" in file):
        _run_quietly(["render", str(place.bundle)], 600)


def _run_quietly(words: Sequence[str], limit: float) -> tuple[Any, str, str]:
    """Run a verb; return its exit status, what it wrote, and why it failed: a traceback, or too much time."""
    written = io.StringIO()

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise TooLongError

    earlier = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    status: Any = None
    raised = ""
    try:
        with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            status = run_verb(list(words))
    except SystemExit as ended:
        status = ended.code
    except TooLongError:
        raised = f"more than {limit:g} s:\n{''.join(traceback.format_exc().splitlines(keepends=True)[-12:])}"
    except BaseException:
        lines = traceback.format_exc().splitlines(keepends=True)
        raised = f"a traceback:\n{''.join(lines[-14:])[-1800:]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    return status, written.getvalue(), raised


def _print(fault: Fault) -> None:
    sys.stdout.write(f"{fault}\n\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tries, print the table and the faults; return 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the first try; the others follow it")
    parser.add_argument("--limit", type=float, default=60, help="seconds after which a try counts as hanging")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=[], help="what is damaged (default: all)")
    parser.add_argument("--accepted", action="store_true", help="also list what was accepted")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LIGHTSKIP_DATA"] = f"{folder}/user"
        os.environ["LIGHTSKIP_CACHE"] = f"{folder}/cache"
        place = Workplace(Path(folder) / "place")
        os.chdir(place.folder)
        found = fuzz(
            place, tries=options.tries, seed=options.seed, limit=options.limit, targets=options.targets, say=_print
        )
        lines = [*(found.accepted_kinds if options.accepted else ()), found.table()]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        os.chdir(_REPOSITORY)
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
