"""Every problem of a study file is named with its key and line."""

import hashlib

import pytest

from pipeline.data.errors import InputError
from pipeline.study.read_study import read_study

from .conftest import STUDY, changed


def test_a_file_with_all_its_parts(write):
    file = write()
    found = read_study(file)
    assert found.study.seeds == [0, 1]
    assert found.study.folds == [0]
    assert found.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    [network] = found.study.arms[0].networks
    assert (network.name, network.label, network.arguments["channels"]) == ("vnet", None, [2, 4])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed("seeds", to=None), "seeds is missing"),
        (changed("seeds", to=[]), "seeds"),
        (changed("seeds", to=[1, 1]), "seeds must have each number once"),
        (changed("seeds", to=[-1]), "seeds.0"),
        (changed("budget", to={}), "give one of the two"),
        (changed("budget", to={"epochs": 2, "minutes": 3.0}), "give one of the two"),
        (changed("budget", to={"epochs": 0}), "budget.epochs"),
        (changed("budget", to={"minutes": "long"}), "budget.minutes"),
        (changed("buget", to={"epochs": 1}), "buget is not a key here; did you mean budget?"),
        (changed("arms", to=[]), "arms"),
        (changed("arms", 0, "skip", to=["concat"]), "arms.0.skip is not a key here; did you mean skips?"),
        (changed("arms", 0, "skips", to=[]), "arms.0.skips"),
        (changed("measure", to={"robustness": {"case": 3}}), "case is not a key here; did you mean cases?"),
        (changed("measure", to={"membranes": {"samples": 0}}), "samples"),
        (changed("precision", to="float8"), "precision"),
        (changed("threads", to=0), "threads"),
        (changed("name", to="two words"), "name must be a name of letters"),
        (changed("arms", 0, "networks", to=[{"label": "x"}]), "name is missing"),
        (changed("Budget", to={"epochs": 1}), "Budget is not a key here; did you mean budget?"),
        (changed("seeds", to=[2**32]), "seeds.0"),
        (changed("seeds", to=3), "seeds should be a list, such as [a, b] (found 3)"),
        (changed("arms", 0, "networks", to=[3]), "networks.0 should be a name, or a mapping: `key: value` (found 3)"),
        (changed("measure", to="all"), "measure should be a mapping: `key: value` (found 'all')"),
    ],
)
def test_a_problem_is_named_with_its_line(write, content, words):
    with pytest.raises(InputError) as error:
        read_study(write(content))
    assert words in str(error.value)
    assert "line " in str(error.value)


def test_all_problems_at_once(write):
    content = changed("seeds", to=None) | {"threads": 0}
    with pytest.raises(InputError, match="2 problems"):
        read_study(write(content))


def test_a_file_that_is_not_there_or_no_mapping(tmp_path):
    with pytest.raises(InputError):
        read_study(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(InputError):
        read_study(tmp_path / "list.yaml")


def test_true_takes_the_defaults(write):
    found = read_study(write(STUDY | {"measure": {"robustness": True, "probes": True}})).study.measure
    assert found.robustness is True
    assert not found.membranes


@pytest.mark.parametrize(
    "content",
    [
        changed("arms", 0, "networks", to=[None]),
        changed("arms", 0, "networks", 0, "label", to=""),
        changed("arms", 0, "skips", to=["concat", {"skip": "sat", "sparsity": -1}]),
    ],
)
def test_a_problem_is_named_once_and_in_words_of_the_file(write, content):
    with pytest.raises(InputError, match="found 1 problem;") as error:
        read_study(write(content))
    assert "constrained" not in str(error.value)
    assert "arguments" not in str(error.value)
