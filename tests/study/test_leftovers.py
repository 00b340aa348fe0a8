"""Results that a changed study file does not ask for are named, with what changed."""

import json

from pipeline.study.expand import expand_study
from pipeline.study.leftovers import find_leftovers
from pipeline.study.read_study import read_study

from .conftest import changed, save


def explain(write, runs, output, content):
    """Return the words about the results of all runs after the study file has this content."""
    for run in runs:
        save(run, output)
    return [one.words.partition(": ")[2] for one in find_leftovers(output, expand_study(read_study(write(content))))]


def test_nothing_is_left_over_while_the_file_is_the_same(write, runs, tmp_path):
    assert explain(write, runs, tmp_path, changed("question", to="another")) == []


def test_a_budget_that_changed(write, runs, tmp_path):
    words = explain(write, runs, tmp_path, changed("budget", to={"epochs": 5}))
    assert words == ["budget was {'epochs': 2}, and is {'epochs': 5} now"] * 6


def test_seeds_and_arms_that_are_gone(write, runs, tmp_path):
    assert explain(write, runs, tmp_path, changed("seeds", to=[0])) == ["seed 1 is not in the study file"] * 3
    words = explain(write, runs, tmp_path, changed("arms", 0, "skips", to=["concat", "sat"]))
    assert words == ["skip only 0 is not in the study file"] * 2


def test_a_file_that_is_no_result(write, runs, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "other.json").write_text(json.dumps({"a": 1}))
    [words] = explain(write, [], tmp_path, changed("question", to="another"))
    assert "cannot be read" in words
