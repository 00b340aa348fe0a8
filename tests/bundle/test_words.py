import shlex
from pathlib import Path
from typing import Any

import fire
import pytest

from pipeline.bundle.words import as_text, as_words, parse_values, read_words, shorten_path
from pipeline.data.errors import InputError

WORDS = [
    ["--epochs", "20", "--skip", "concat", "--optimizer#lr", "1e-3"],
    ["--epochs=20", "--datalist=a=b.json", "--dataset-dir", "/data/liver"],
    ["--resume", "--fold", "1"],
    ["--fold", "-1", "--resume"],
    ["--skip", "['sat',{'maps': 4}]", "--patch", "[16, 16,16]", "--labels", "{organ: 1}"],
    ["--network_def", "$@network", "--lr", "@learning_rate", "--x", "%other.json#y"],
    ["--folder", "2026-11-20", "--name=-v", "--minutes", "None", "--amp", "True", "-fold", "2"],
    ["--fold", "1", "--fold", "2"],
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_reads_words_as_the_runner_does(words: list[str]) -> None:
    def run(**overrides: Any) -> dict[str, Any]:
        return overrides

    assert parse_values(read_words(words)) == fire.Fire(run, command=words, serialize=lambda _: "")


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_what_is_written_is_read_as_the_same_settings(words: list[str]) -> None:
    settings = read_words(words)
    assert read_words(shlex.split(as_text(as_words(settings)))) == settings


@pytest.mark.parametrize(
    ("word", "typed"),
    [
        ("concat", "concat"),
        ("a b", "'a b'"),
        ("['a.json','b.json']", "\"['a.json','b.json']\""),
        ("$'x'", "'$'\"'\"'x'\"'\"''"),
        ("--optimizer#lr", "--optimizer#lr"),
        ("#1", "'#1'"),
        ("", "''"),
    ],
)
def test_writes_words_as_a_shell_reads_them(word: str, typed: str) -> None:
    assert as_text([word]) == typed
    assert shlex.split(typed) == [word]


@pytest.mark.parametrize("words", [["20"], ["--epochs", "20", "30"], ["--epochs=20", "30"], ["-"]])
def test_a_word_without_a_key_is_an_error(words: list[str]) -> None:
    with pytest.raises(InputError, match=f"found '{words[-1]}' without a key"):
        read_words(words)


def test_paths_below_the_working_directory_are_shown_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shorten_path(tmp_path / "run" / "model.pt") == Path("run/model.pt")
    assert shorten_path(tmp_path.parent / "model.pt") == tmp_path.parent / "model.pt"
