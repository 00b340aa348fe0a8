"""Steps that only leave the files of the real ones, and a run that uses them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.fitting.fit import fit
from pipeline.fitting.options import FitOptions

FOLDS = 3


class FakeVerbs:
    """Leaves the files that the verbs leave, and remembers their words.

    `stop_at` is the number of the step that is interrupted, `fail_at` of the one that fails.
    """

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.problems = 0
        self.stop_at: int | None = None
        self.fail_at: int | None = None

    def __call__(self, words: Sequence[str], *, locks: Sequence[int] = ()) -> int:
        assert len(locks) <= 1
        self.calls.append(list(words))
        if self.fail_at == len(self.calls):
            return 2
        kind, stops = words[0], self.stop_at == len(self.calls)
        status = getattr(self, f"_{kind}")(list(words[1:]), stops)
        if stops:
            raise KeyboardInterrupt
        return int(status or 0)

    @property
    def kinds(self) -> list[str]:
        return [words[0] for words in self.calls]

    def _datalist(self, words: list[str], stops: bool) -> None:
        if not stops:
            items = [{"image": f"i{n}.nii", "label": f"l{n}.nii", "fold": n % FOLDS} for n in range(6)]
            write(Path(after("-o", words)), json.dumps({"name": "My data 2", "training": items}))

    def _check(self, words: list[str], stops: bool) -> int:
        if not stops:
            write(Path(after("-o", words)) / "check.json", json.dumps({"summary": {"problems": self.problems}}))
        return int(self.problems > 0)

    def _plan(self, words: list[str], stops: bool) -> None:
        if not stops:
            write(Path(after("-o", words)) / after("--folder", words) / "plan.yaml", "name: x\n")

    def _train(self, words: list[str], stops: bool) -> None:
        folder = Path(words[0]) / "runs" / f"fold_{after('--fold', words)}"
        for name in ("model.pt", "last.pt"):
            write(folder / name, "")
        write(folder / "history.csv", "epoch,elapsed_seconds\n1,3.5\n")
        known = {"finished": not stops, "fold": folder.name[5:], "trained_cases": 6}
        write(folder / "training.json", json.dumps(known))

    def _evaluate(self, words: list[str], stops: bool) -> None:
        assert not (Path(after("--output_dir", words)) / "summary.json").exists()
        if not stops:
            write(Path(after("--output_dir", words)) / "summary.json", "{}")

    def _compare(self, words: list[str], stops: bool) -> None:
        if not stops:
            means = {"mean of labels": {"dice": {"mean": 0.5, "interval": [0.4, 0.6]}}}
            content = {"statistics": {"x": means}, "cases": [{}] * 6}
            write(Path(after("-o", words)) / "summary.json", json.dumps(content))

    def _report(self, words: list[str], stops: bool) -> None:
        if not stops:
            write(Path(after("-o", words)), "<html>")


def after(flag: str, words: Sequence[str]) -> str:
    return words[list(words).index(flag) + 1]


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


Start = Callable[..., SimpleNamespace]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Function that starts a run in ``run`` with the given options, and returns its status, text and verbs."""
    monkeypatch.chdir(tmp_path)

    def run(verbs: FakeVerbs | None = None, **options: Any) -> SimpleNamespace:
        verbs = verbs or FakeVerbs()
        lines: list[str] = []
        given = {"source": Path("data"), "output": Path("run"), **options}
        try:
            status = fit(FitOptions(**given), say=lines.append, runner=verbs)
        except KeyboardInterrupt:
            status = 130
        return SimpleNamespace(status=status, text="\n".join(lines), kinds=verbs.kinds, calls=verbs.calls)

    return run
