"""What the shards of an output folder have in common: their number, the scans, the options and the runtime.

Shards run on different machines and share nothing but the folder. No file is locked: a file that only one of them may
write is made by a link, which fails if the name exists. Needs neither torch nor MONAI.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, Self

from ..data.errors import InputError
from ..data.json_file import load_json
from ..files import write_once
from .records import RECORDS, Records, refuse_existing
from .request import Request
from .shards import Shard

__all__ = ["ShardPlan"]

_FOLDER = "shards"
_KEYS = {"count", "scans", "settings", "runtime", "wanted"}
_MAX_LOOKS = 50
_MAX_NAMED = 3
_PAUSE = 0.1  # seconds between two looks at a file


class ShardPlan:
    """The plan of an output folder's shards.

    Args:
        output: the output folder.
        content: ``count``, ``scans`` (names, in the order of the inputs), ``settings`` (see `make_settings`),
            ``runtime`` (the option) and ``wanted``, as JSON types.
    """

    def __init__(self, output: Path, content: Mapping[str, Any]) -> None:
        self.output = output
        self.content: dict[str, Any] = json.loads(json.dumps(content))
        compared = {**self.content, "scans": sorted(self.content["scans"])}
        self.key = hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()[:16]

    @classmethod
    def find(cls, output: Path, *, key: str | None = None) -> Self:
        """Return the plan of a folder in which shards were started; with a key, the plan that has it.

        Raises:
            InputError: there is none.
        """
        plans = [plan for plan in cls._all(output) if key in (None, plan.key)]
        if not plans:
            raise InputError(
                output,
                found="no shards" if key is None else "shards that others have replaced meanwhile",
                expected="a folder that lightskip predict --shard wrote",
                remedy="name the folder of the shards: -o OUT",
            )
        return next((plan for plan in plans if plan.is_begun()), plans[0])

    @classmethod
    def of(cls, request: Request, settings: Mapping[str, Any], names: Sequence[str]) -> Self:
        """Return the plan of a request, without a look at the folder; see `open`."""
        shard = request.shard
        if shard is None:
            raise ValueError("a request without a shard has no plan")
        common = {key: value for key, value in settings.items() if key not in ("precision", "runtime")}
        content = {
            "count": shard.count,
            "scans": list(names),
            "settings": common,
            "runtime": request.runtime,
            "wanted": asdict(request.wanted),
        }
        return cls(request.output, content)

    @classmethod
    def join(cls, request: Request, settings: Mapping[str, Any], names: Sequence[str]) -> Self:
        """Return the plan of a request as `open` does, and remove an earlier report of its shard.

        The shard is unfinished from now on.
        """
        plan = cls.open(request, settings, names)
        if request.shard is not None:
            (request.output / request.shard.report_name).unlink(missing_ok=True)
        return plan

    @classmethod
    def open(cls, request: Request, settings: Mapping[str, Any], names: Sequence[str]) -> Self:
        """Return the plan of a request, after a check that the folder's other shards have the same.

        Args:
            request: the options, with a shard.
            settings: see `make_settings`; runtime and precision are left out.
            names: names of all scans, those of other shards included.

        Raises:
            InputError: the folder has shards of another number, of other scans, or made with other options.
        """
        plan = cls.of(request, settings, names)
        if request.shard is not None and not Records.exist_in(request.output) and not request.overwrite:
            refuse_existing([request.output / request.shard.report_name])
        plan._replace_others(overwrite=request.overwrite)
        made = write_once(plan._file("plan"), json.dumps(plan.content, indent=2) + "\n")
        others = [] if request.overwrite else plan._others()
        if others:
            # Another one was started at the same time.
            if made:
                plan._file("plan").unlink(missing_ok=True)
            plan._refuse(others[0])
        return plan

    @property
    def shards(self) -> list[Shard]:
        """All shards."""
        count = self.content["count"]
        return [Shard(number, count) for number in range(1, count + 1)]

    def mark(self, shard: Shard) -> dict[str, Any]:
        """Return the entry of a shard's report that shows which plan it belongs to."""
        return {"number": shard.number, "count": shard.count, "all_scans": len(self.content["scans"]), "plan": self.key}

    def report(self, shard: Shard) -> dict[str, Any] | None:
        """Return the report of a shard; None if it has not finished."""
        found = _read(self.output / shard.report_name)
        known = found is not None and found.get("shard") == self.mark(shard) and found.get("interrupted") is False
        return found if known else None

    def unfinished(self) -> list[Shard]:
        """Return the shards that have not finished."""
        return [shard for shard in self.shards if self.report(shard) is None]

    def choice(self) -> dict[str, str]:
        """Return runtime and precision that the first shard chose; nothing if none has chosen."""
        return _read(self._file("choice")) or {}

    def agree(self, chosen: Mapping[str, str]) -> dict[str, str]:
        """Return runtime and precision of all shards: the choice of the first that calls this.

        Raises:
            InputError: other shards have replaced this one's plan meanwhile, or the choice cannot be read.
        """
        write_once(self._file("choice"), json.dumps(dict(chosen)) + "\n")
        if not self._file("plan").is_file():
            self._file("choice").unlink(missing_ok=True)
            self._refuse(next(iter(self._others()), self))
        # A shared folder may show another machine's file before its content.
        for _ in range(_MAX_LOOKS):
            if chosen.keys() <= (found := self.choice()).keys():
                return found
            time.sleep(_PAUSE)
        raise InputError(
            self._file("choice"),
            found="no runtime and precision",
            expected="those that the first shard chose",
            remedy="start this shard again; if that does not help, write into another folder",
        )

    def require(self, chosen: Mapping[str, str]) -> None:
        """Raise InputError if runtime or precision differ from those of the other shards."""
        agreed = self.choice()
        changes = [f"{key} {agreed[key]} (now {chosen.get(key)})" for key in agreed if agreed[key] != chosen.get(key)]
        if changes:
            raise InputError(
                self.output,
                found=f"shards made with {', '.join(changes)}",
                expected="the same for all shards, since they round differently",
                remedy="run this shard on a machine like the others', or write into another folder with what all "
                "machines have, such as --set precision=float32 --runtime pytorch",
            )

    def is_begun(self) -> bool:
        """Return whether a shard of this plan has computed or finished something."""
        return self._file("choice").is_file() or any(self.report(shard) is not None for shard in self.shards)

    def require_alone(self, *, overwrite: bool = False) -> None:
        """Raise InputError if the folder has another plan that was begun and is not to be overwritten."""
        for other in self._others():
            if other.is_begun() and not overwrite:
                self._refuse(other)

    def _replace_others(self, *, overwrite: bool) -> None:
        """Remove other plans of the folder; see `require_alone`."""
        self.require_alone(overwrite=overwrite)
        for other in self._others():
            reports = [other.output / shard.report_name for shard in other.shards if other.report(shard) is not None]
            for file in (other._file("plan"), other._file("choice"), *reports):
                file.unlink(missing_ok=True)

    def _refuse(self, other: ShardPlan) -> NoReturn:
        before, now = other.content, self.content
        changes = []
        if before["count"] != now["count"]:
            changes.append(f"{before['count']} shards (now {now['count']})")
        if sorted(before["scans"]) != sorted(now["scans"]):
            changes.append(f"{len(before['scans'])} scans ({_tell_apart(before['scans'], now['scans'])})")
        first = {**before["settings"], **before["wanted"], "runtime": before["runtime"]}
        second = {**now["settings"], **now["wanted"], "runtime": now["runtime"]}
        changes += [
            f"{key} {first.get(key)} (now {value})"[:120] for key, value in second.items() if first.get(key) != value
        ]
        raise InputError(
            self.output,
            found=f"shards of another division, made with {', '.join(changes) or 'the same, but replaced meanwhile'}",
            expected="shards of one number, with the same scans and options",
            remedy="start this one as the others; or write into another folder; or replace all with --overwrite; or "
            "leave --shard out, which continues with the same settings",
        )

    def _others(self) -> list[Self]:
        return [plan for plan in self._all(self.output) if plan.key != self.key]

    def _file(self, what: str) -> Path:
        return self.output / RECORDS / _FOLDER / f"{what}_{self.key}.json"

    @classmethod
    def _all(cls, output: Path) -> list[Self]:
        found = (_read(file) for file in sorted((output / RECORDS / _FOLDER).glob("plan_*.json")))
        return [cls(output, content) for content in found if content is not None and content.keys() >= _KEYS]


def _tell_apart(before: Sequence[str], now: Sequence[str]) -> str:
    """Return how many scans there are now, and names of those that only one of the two lists has."""
    parts = [f"now {len(now)}"]
    for word, names in (("new", sorted({*now} - {*before})), ("missing", sorted({*before} - {*now}))):
        if names:
            more = f" and {len(names) - _MAX_NAMED} more" * (len(names) > _MAX_NAMED)
            parts.append(f"{word}: {', '.join(names[:_MAX_NAMED])}{more}")
    return "; ".join(parts)


def _read(file: Path) -> dict[str, Any] | None:
    """Return a file's JSON object; None if there is none."""
    try:
        content = load_json(file)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
