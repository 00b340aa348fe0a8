"""What one try of the fault suite found, and the file that keeps all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Try", "TryFile", "table"]


@dataclass(frozen=True)
class Try:
    """One try.

    Args:
        part: the part of the suite, such as ``kill``.
        what: the verb, or the format.
        number: its number in the part. With the seed of the suite it gives the same try again.
        detail: what was done, such as the moment of a kill.
        outcome: what happened, in few words: tries with the same words are counted together.
        fault: what should not have happened; empty if nothing.
    """

    part: str
    what: str
    number: int
    detail: str
    outcome: str
    fault: str = ""


class TryFile:
    """The tries of a run of the suite, one JSON object per line. A second run continues behind the last whole line.

    Args:
        file: the file; made if missing.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self.tries: list[Try] = []
        if file.is_file():
            whole = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"]
            self.tries = [Try(**json.loads(line)) for line in whole]
            file.write_text("".join(whole), encoding="utf-8")

    def done(self, part: str) -> set[int]:
        """Return the numbers of a part's tries that are in the file."""
        return {one.number for one in self.tries if one.part == part}

    def add(self, one: Try) -> None:
        """Append a try."""
        self.tries.append(one)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(one)) + "\n")


def table(tries: Iterable[Try]) -> str:
    """Return a table in Markdown: part, verb or format, number of tries, outcomes, faults."""
    rows: dict[tuple[str, str], list[Try]] = {}
    for one in tries:
        rows.setdefault((one.part, one.what), []).append(one)
    lines = ["| part | of | tries | what happened | faults |", "| --- | --- | --- | --- | --- |"]
    for (part, what), group in sorted(rows.items()):
        outcomes = Counter(one.outcome for one in group)
        said = ", ".join(f"{outcome} {count}" for outcome, count in outcomes.most_common())
        lines.append(f"| {part} | `{what}` | {len(group)} | {said} | {sum(bool(one.fault) for one in group)} |")
    return "\n".join(lines) + "\n"
