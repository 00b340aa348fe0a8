"""Copies of the fault suite's workspace, and what each verb does in one that nothing disturbs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .compare_results import compare_folders, find_damage
from .started_verbs import Ended, run_verb
from .verb_table import DisturbedVerb, make_workspace

__all__ = ["Workspace"]


@dataclass
class Workspace:
    """The inputs of all verbs, and their undisturbed results.

    Args:
        folder: where it is made. It is made once, and used again by later runs of the suite.
    """

    folder: Path

    def __post_init__(self) -> None:
        self.inputs = self.folder / "inputs"
        # Apart from the user's.
        os.environ["LIGHTSKIP_DATA"] = str(self.folder / "user")
        os.environ["LIGHTSKIP_CACHE"] = str(self.folder / "cache")
        self._ends: dict[str, Ended] = {}
        if not (self.folder / "made").is_file():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            make_workspace(self.inputs, self.folder / "log.txt")
            (self.folder / "made").touch()

    def copy(self, verb: DisturbedVerb) -> Path:
        """Return a new copy of the inputs, prepared for a verb, in place of the last one.

        It is always in the same place, because results have paths in them.
        """
        copy = self.folder / "at_work"
        if copy.is_mount():
            # The disk of a try that was killed itself.
            subprocess.run(["umount", "-l", str(copy)], check=True, capture_output=True)
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.inputs, copy, symlinks=True)
        verb.prepare(copy)
        return copy

    def undisturbed(self, verb: DisturbedVerb) -> Ended:
        """Return how the verb ends when nothing disturbs it; its results are in `expected`.

        Raises:
            RuntimeError: it fails.
        """
        if verb.name not in self._ends:
            copy = self.copy(verb)
            ended = run_verb(verb.words, copy, self.folder / "log.txt")
            if ended.status not in verb.status:
                raise RuntimeError(f"lightskip {' '.join(verb.words)}: exit status {ended.status}\n{ended.text}")
            expected = self.folder / self.result_name(verb)
            shutil.rmtree(expected, ignore_errors=True)
            copy.rename(expected)
            self._ends[verb.name] = ended
        return self._ends[verb.name]

    def differences(self, verb: DisturbedVerb, copy: Path) -> list[str]:
        """Return how the verb's results in a copy differ from the undisturbed ones."""
        self.undisturbed(verb)
        expected = self.folder / self.result_name(verb)
        return [
            difference
            for result in verb.results
            for difference in compare_folders(expected / result, copy / result, leave_out=verb.leave_out)
        ]

    def damage(self, verb: DisturbedVerb, copy: Path) -> list[str]:
        """Return the verb's results in a copy that are cut off."""
        return [file for result in verb.results for file in find_damage(copy / result)]

    @staticmethod
    def result_name(verb: DisturbedVerb) -> str:
        """Return the name of the folder with a verb's undisturbed results."""
        return "expected_" + "".join(letter if letter.isalnum() else "_" for letter in verb.name)
