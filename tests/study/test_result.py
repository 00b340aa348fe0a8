"""Results are small JSON files, rounded, whole or not at all."""

import json
import math

import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.study.result import LaterResultError, find_missing, read_result, round_numbers, write_result
from pipeline.study.schema import Measure, Membranes, Robustness

from .conftest import make_result, save


def test_numbers_have_six_digits_and_no_nan():
    value = {"a": [1.23456789, math.nan, math.inf], "b": (np.float64(1e-9 / 3), np.int64(3)), "c": True, "d": 12345678}
    assert round_numbers(value) == {"a": [1.23457, None, None], "b": [3.33333e-10, 3], "c": True, "d": 12345678}


def test_a_result_is_read_as_it_was_written(tmp_path, runs):
    content = make_result(runs[0])
    write_result(tmp_path / "runs" / "a.json", content)
    assert read_result(tmp_path / "runs" / "a.json") == json.loads(json.dumps(content))
    assert len((tmp_path / "runs" / "a.json").read_text().splitlines()) == len(content) + 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"format": 1}',
        "\0",
        '{"format": 1, "state": "done", "settings": 3}',
        '{"format": 1, "state": "done", "settings": {}, "cases": []}',
        '{"format": 1, "state": "done", "settings": {}}',
        "[" * 100_000,
        "<<<<<<< HEAD",
    ],
)
def test_what_is_no_result_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="cannot be read as the result of a run"):
        read_result(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("cases", {"names": ["a"]}, "no 'labels'"),
        ("cases", {"names": ["a", "a"], "labels": ["x"]}, "same name"),
        ("curve", [3], "cannot be read"),
        ("cost", {"parameters": "many"}, "parameters 'many': expected a number"),
        ("weight_changes", {"layers": ["a"], "epochs": [1], "values": [[1, 2]]}, r"shape \(1, 2\): expected \(1, 1\)"),
        ("probes", 3, "cannot be read"),
        ("robustness", {"perturbations": [{}]}, "no 'name'"),
        ("reason", None, "reason is NoneType"),
        ("state", "half", "state 'half'"),
    ],
)
def test_numbers_that_do_not_fit_each_other_are_damage(tmp_path, runs, part, value, words):
    write_result(tmp_path / "a.json", {**make_result(runs[0]), part: value})
    with pytest.raises(InputError, match=words):
        read_result(tmp_path / "a.json")


def test_a_result_of_a_later_version_is_not_called_damaged(tmp_path, runs):
    write_result(tmp_path / "a.json", {**make_result(runs[0]), "format": 2, "cases": "in another form"})
    with pytest.raises(LaterResultError, match=r"format 2; expected format 1 or less\. What to do: update LightSkip"):
        read_result(tmp_path / "a.json")


def test_missing_parts(runs):
    content = make_result(runs[0])
    assert find_missing(content, Measure()) == []
    assert find_missing({**content, "state": "diverged"}, Measure(robustness=True)) == []
    del content["cost"]
    assert find_missing(content, Measure(probes=True)) == ["cost", "probes"]


def test_a_part_with_other_settings_is_missing(runs):
    part = {"cases": ["a", "b"], "perturbations": [{"name": "noise"}, {"name": "blur"}]}
    content = make_result(runs[0], robustness=part, membranes={"samples": 8}, probes=[])
    assert find_missing(content, Measure(robustness=True, probes=True, membranes=True)) == []
    assert find_missing(content, Measure(robustness=Robustness(cases=2, perturbations=["blur"]))) == []
    assert find_missing(content, Measure(robustness=Robustness(cases=3))) == ["robustness"]
    assert find_missing(content, Measure(robustness=Robustness(cases=1, perturbations=["gamma"]))) == ["robustness"]
    assert find_missing(content, Measure(membranes=Membranes(samples=8))) == []
    assert find_missing(content, Measure(membranes=Membranes(samples=1))) == ["membranes"]


def test_a_saved_result_is_found_by_its_name(tmp_path, runs):
    assert save(runs[0], tmp_path) == tmp_path / "runs" / f"{runs[0].id}.json"
