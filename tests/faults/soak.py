"""Run the fault suite: ``python -m tests.faults.soak``, `make soak` (an hour) or `make soak-quick` (minutes).

A run continues where an earlier one with the same output ended. The exit status is 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .fill_disk import can_mount, fill_and_continue
from .kill_verbs import kill_and_continue
from .lost_processes import LOSSES, lose_process
from .many_scans import segment_many
from .set_clock_back import set_clock_back
from .started_verbs import load_packages
from .tries import Try, TryFile, table
from .verb_table import QUICK_VERBS, VERBS, DisturbedVerb
from .workspace import Workspace

__all__ = ["main"]


@dataclass(frozen=True)
class Amounts:
    """How many tries of each part a run has."""

    kills: int
    disks: int
    clocks: int
    scans: int
    files: int
    configs: int
    verbs: Sequence[DisturbedVerb]


WHOLE = Amounts(kills=200, disks=100, clocks=len(VERBS), scans=2000, files=5000, configs=2000, verbs=VERBS)
QUICK = Amounts(kills=8, disks=5, clocks=2, scans=120, files=150, configs=100, verbs=QUICK_VERBS)
_PER_PROCESS = 500
PARTS = ("kill", "disk full", "clock set back", "lost process", "many scans", "files", "configs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts in order; print each fault when it is found, and the table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("build/soak"), help="folder of the workspace and the tries"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same tries")
    parser.add_argument("--quick", action="store_true", help="few tries of the quick verbs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="only these")
    options = parser.parse_args(arguments)
    begin = time.monotonic()
    load_packages()
    output = options.output.absolute()
    tries = TryFile(output / f"tries_{'quick' if options.quick else 'whole'}_{options.seed}.jsonl")
    workspace = Workspace(output / "workspace")
    amounts = QUICK if options.quick else WHOLE
    for part in options.parts:
        _run_part(part, workspace, tries, amounts, options.seed)
    print(table(tries.tries))
    faults = [one for one in tries.tries if one.fault]
    for one in faults:
        print(f"FAULT {one.part} {one.what} {one.number} ({one.detail}): {one.fault}")
    print(f"{len(tries.tries)} tries, {len(faults)} with faults, {(time.monotonic() - begin) / 60:.1f} minutes")
    (output / "table.md").write_text(table(tries.tries), encoding="utf-8")
    return int(bool(faults))


def _run_part(part: str, workspace: Workspace, tries: TryFile, amounts: Amounts, seed: int) -> None:
    done = tries.done(part)
    disturb: dict[str, tuple[int, Callable[[Workspace, DisturbedVerb, int, int], Try]]] = {
        "kill": (amounts.kills, kill_and_continue),
        "disk full": (amounts.disks, fill_and_continue),
        "clock set back": (amounts.clocks, set_clock_back),
    }
    if part == "disk full" and not can_mount():
        print("disk full: not tried, because this process may not mount a file system of its own")
        return
    if part in disturb:
        count, try_once = disturb[part]
        for number in range(count):
            if number not in done:
                _add(tries, try_once(workspace, amounts.verbs[number % len(amounts.verbs)], number, seed))
    elif part == "lost process":
        for number, name in enumerate(LOSSES):
            if number not in done:
                _add(tries, lose_process(workspace, name, number))
    elif part == "many scans":
        if not done:
            _add(tries, segment_many(workspace, amounts.scans, seed))
    else:
        _fuzz(part, workspace, tries, amounts, seed)


def _fuzz(part: str, workspace: Workspace, tries: TryFile, amounts: Amounts, seed: int) -> None:
    """Run a fuzzer in parts: each in a process of its own, because what it reads may end a process."""
    module, count = ("fuzz_files", amounts.files) if part == "files" else ("fuzz_configs", amounts.configs)
    done, output = tries.done(part), workspace.folder.parent
    for number, first in enumerate(range(0, count, _PER_PROCESS)):
        if number not in done:
            size = min(_PER_PROCESS, count - first)
            _add(tries, _run_fuzzer(part, module, number, size, 1000 * seed + first, output))


def _add(tries: TryFile, one: Try) -> None:
    tries.add(one)
    print(f"{one.part}: {one.what} {one.number}, {one.detail}: {one.fault or one.outcome}", flush=True)


def _run_fuzzer(part: str, module: str, number: int, count: int, seed: int, output: Path) -> Try:
    command = [sys.executable, "-m", f"tests.faults.{module}", "--tries", str(count), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    (output / f"{module}_{number}.txt").write_text(said, encoding="utf-8")
    fault = f"status {done.returncode}: {said[-300:]}" if done.returncode else ""
    return Try(part, f"{count} tries", number, f"seed {seed}", "refused or read" if not fault else "faults", fault)


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        # Libraries read it when they are imported, and their threads would not be there in a forked process.
        os.environ["OMP_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "tests.faults.soak", *sys.argv[1:]])
    sys.exit(main())
