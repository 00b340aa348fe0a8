"""Read thousands of damaged files with the readers of `lightskip check` and `predict`, and count what happened.

Each try must end in one message or in an image that can be read, and leave no half file. Tries run in child processes
with limits of memory and time, since a damaged file may crash a library: the next child goes on after that try.

    python -m tests.faults.fuzz_files --tries 5000 --seed 0 --output tries.jsonl

The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .mutate_file import FORMATS, make_samples, write_mutated

__all__ = ["count_outcomes", "format_table", "run_tries", "run_try", "run_whole"]

OUTCOMES = ("refused", "read", "traceback", "bad message", "half file", "memory", "hang", "crash")
GOOD = ("refused", "read")
_BATCH = 100  # tries of a child, which takes seconds to start
_MAX_MEMORY = 6 << 30  # bytes of addresses, of which libraries take up to two
_MAX_SECONDS = 60  # of a try, on a busy machine
_MAX_MESSAGE = 2000  # characters
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}|Traceback|\[\[|\n")


class _Hang(BaseException):
    """A try takes too long."""


def run_try(number: int, seed: int, samples: dict[str, dict[str, bytes]], folder: Path) -> dict[str, Any]:
    """Return the outcome of a try, with the format and what was said.

    Args:
        number: of the try, which chooses the format and, with the seed, the damage.
        seed: of all tries.
        samples: as `make_samples` returns them.
        folder: an empty folder for its files, removed afterwards.
    """
    form = list(samples)[number % len(samples)]
    path = write_mutated(samples[form], folder / "in", random.Random(f"{seed} {number}"))
    try:
        outcome, said = _read(path, folder)
    except MemoryError as error:
        outcome, said = "memory", f"{error}\n{traceback.format_exc(limit=-3)}"
    except _Hang:
        outcome, said = "hang", traceback.format_exc(limit=-6)
    except Exception:
        outcome, said = "traceback", traceback.format_exc(limit=-6)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"number": number, "format": form, "outcome": outcome, "said": said}


def run_whole(sample: Mapping[str, bytes], folder: Path) -> tuple[str, str]:
    """Return the outcome of a scan without damage."""
    path = write_mutated(sample, folder / "in", random.Random(0), whole=True)
    return _read(path, folder)


def _read(path: Path, folder: Path) -> tuple[str, str]:
    from pipeline.data.errors import InputError  # noqa: PLC0415 - slow, and not needed by the parent

    out = folder / "out"
    out.mkdir()
    try:
        said = _unpack(path, out) if path.suffix == ".zip" else _check_and_write(path, out)
    except InputError as error:
        text = str(error)
        if _ADDRESS.search(text) or len(text) > _MAX_MESSAGE or not text.isprintable():
            return "bad message", text
        left = [file.name for file in out.rglob("*") if file.is_file()]
        return ("half file", f"{left} after: {text}") if left else ("refused", text)
    hidden = [file.name for file in out.rglob(".*") if file.name != ".unpacked.json"]
    return ("half file", f"{hidden}") if hidden else ("read", said)


def _unpack(path: Path, out: Path) -> str:
    from pipeline.data.layouts.zipped import unpack_dataset  # noqa: PLC0415

    unpack_dataset(path, out / "data")
    return "unpacked"


def _check_and_write(path: Path, out: Path) -> str:
    """Check a scan as before a prediction, read it as a bundle does, and write a label map in its grid."""
    import numpy as np  # noqa: PLC0415

    from pipeline.data.check import check_scans  # noqa: PLC0415
    from pipeline.data.images.door import read_header, read_volume  # noqa: PLC0415
    from pipeline.labelmaps.nifti import read_scan_grid  # noqa: PLC0415
    from pipeline.labelmaps.save import save_label_map  # noqa: PLC0415

    header = read_header(path)
    axes = header.axes if header.format in ("picture", "tiff") else 3
    check_scans([{"image": str(path)}], spatial_dims=axes, workers=1, progress=False, channels=max(header.channels, 1))
    volume = read_volume(str(path))
    labels = np.zeros(volume.voxels.shape[: volume.header.axes], np.uint8)
    for ending in (".nii.gz", ".nrrd"):
        affine = volume.affine
        if volume.header.forms is not None and (own := read_scan_grid(path)[2]) is not None:
            affine = own
        target = out / f"a{ending}"
        save_label_map(labels, target, scan=path, affine=affine)
        if read_volume(str(target)).voxels.shape[: labels.ndim] != labels.shape:
            msg = "a label map of another shape"
            raise AssertionError(msg)
    return f"{volume.voxels.shape} {volume.stored}"


def run_tries(numbers: Iterable[int], *, seed: int, limited: bool = True) -> Iterator[dict[str, Any]]:
    """Yield the outcomes of tries in this process; with limits of memory and time if `limited`."""
    samples = make_samples()
    with tempfile.TemporaryDirectory() as folder:
        # Imports take seconds, and must not be interrupted.
        for form in ("nii", "nrrd", "dicom"):
            run_whole(samples[form], Path(folder) / form)
    if limited:
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, _stop)
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            if limited:
                signal.alarm(_MAX_SECONDS)
            outcome = run_try(number, seed, samples, Path(folder) / str(number))
            signal.alarm(0)
            yield outcome


def _stop(*_: object) -> None:
    raise _Hang


def count_outcomes(results: Iterable[dict[str, Any]]) -> dict[str, Counter[str]]:
    """Return the number of tries with each outcome, by format."""
    counts = {form: Counter[str]() for form in FORMATS}
    for one in results:
        counts[one["format"]][one["outcome"]] += 1
    return counts


def format_table(counts: dict[str, Counter[str]]) -> str:
    """Return a table of the outcomes, by format."""
    shown = [name for name in OUTCOMES if name in GOOD or any(count[name] for count in counts.values())]
    lines = [["format", "tries", *shown]]
    lines += [[form, str(count.total()), *(str(count[name]) for name in shown)] for form, count in counts.items()]
    every = sum(counts.values(), Counter[str]())
    lines.append(["all", str(every.total()), *(str(every[name]) for name in shown)])
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], ["---"] * len(lines[0]), *lines[1:]])


def _run_children(numbers: list[int], seed: int, output: Path) -> None:
    """Run tries in child processes, and add their outcomes to a file; one that ends its child is a crash."""
    while numbers:
        words = [
            sys.executable,
            "-m",
            "tests.faults.fuzz_files",
            "--child",
            "--seed",
            str(seed),
            "--output",
            str(output),
        ]
        words += ["--numbers", *map(str, numbers[:_BATCH])]
        limit = _MAX_SECONDS * 3 + _BATCH * 5
        child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        try:
            _, said = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            child.kill()
            _, said = child.communicate()
        done = {one["number"] for one in _read_results(output)}
        left = [number for number in numbers if number not in done]
        if child.returncode and left and left[0] in numbers[:_BATCH]:
            outcome = "hang" if child.returncode == -signal.SIGKILL else "crash"
            form = FORMATS[left[0] % len(FORMATS)]
            _add(output, {"number": left[0], "format": form, "outcome": outcome, "said": said[-1500:]})
            left = left[1:]
        numbers = left


def _read_results(output: Path) -> list[dict[str, Any]]:
    lines = output.read_text("utf-8").splitlines() if output.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _add(output: Path, result: dict[str, Any]) -> None:
    with output.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(result) + "\n")


def main() -> int:
    """Run the tries of the command line that are not done yet, and print the table and the faults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=1000, metavar="N", help="number of tries (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the damage (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("fuzz_files.jsonl"), help="outcomes so far (%(default)s)")
    parser.add_argument("--numbers", type=int, nargs="+", help="only these tries, such as one that failed")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        for one in run_tries(options.numbers, seed=options.seed):
            _add(options.output, one)
        return 0
    numbers = options.numbers or range(options.tries)
    done = set() if options.numbers else {one["number"] for one in _read_results(options.output)}
    _run_children([number for number in numbers if number not in done], options.seed, options.output)
    by_number = {one["number"]: one for one in _read_results(options.output)}
    results = [by_number[number] for number in numbers if number in by_number]
    sys.stdout.write(f"{format_table(count_outcomes(results))}\n")
    faults = [one for one in results if one["outcome"] not in GOOD]
    for one in faults:
        sys.stdout.write(f"\n{one['outcome']}: try {one['number']}, {one['format']}\n{one['said']}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
