from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.training.identity import check_identity, to_json_values

CASES = [f"hippocampus_{number:03d}" for number in range(50)]
FIRST = {"fold": 0, "seed": 1, "skip": "sat", "labels": {"background": 0, "organ": 1}, "cases": CASES}


def test_the_same_passes():
    check_identity(Path("last.pt"), to_json_values(FIRST), to_json_values({**FIRST, "cases": tuple(CASES)}))


@pytest.mark.parametrize(
    ("changes", "found", "expected"),
    [
        ({"fold": 3}, "with fold 0;", "fold 3,"),
        ({"seed": 2, "skip": "at"}, "with seed 1;", "seed 2,"),  # the first that differs
        ({"skip": ["sat", {"select": "hard"}]}, "with skip 'sat';", "skip ['sat', {'select': 'hard'}],"),
        ({"labels": {"organ": 1}}, "{'background': 0, 'organ': 1}", "labels {'organ': 1},"),
        ({"cases": CASES[1:]}, "(1 entry differs, the first 'hippocampus_000')", "without 'hippocampus_000',"),
        ({"cases": [*CASES, "x"]}, "(1 entry differs: 'x' is missing)", "cases with 'x',"),
        ({"cases": [*CASES[2:], "x"]}, "(3 entries differ, the first 'hippocampus_000')", "without 'hippocampus_000',"),
        ({"cases": [*CASES[:3], *CASES[:2:-1]]}, "in another order, from entry 4;", "in the same order,"),
        ({"extra": 1}, "with extra 'nothing';", "extra 1,"),
    ],
)  # fmt: skip
def test_the_first_difference_is_named(changes, found, expected):
    with pytest.raises(InputError) as error:
        check_identity(Path("last.pt"), to_json_values(FIRST), to_json_values({**FIRST, **changes}))
    before, _, after = str(error.value).partition("; expected ")
    assert found in f"{before};"
    assert expected in after
    assert "hippocampus_010" not in str(error.value), "not the whole list"


def test_what_the_first_run_had_and_this_one_lacks_is_named():
    with pytest.raises(InputError, match="with fold 0; expected fold 'nothing'"):
        check_identity(Path("last.pt"), {"fold": 0}, {})


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_json_values({"device": object()})
