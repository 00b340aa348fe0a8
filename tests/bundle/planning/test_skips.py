"""The skip connections that a plan is asked for."""

from typing import Any

import pytest
import yaml

from pipeline.bundle.network_check import build_on_meta
from pipeline.bundle.planning.skips import choose_skip
from pipeline.bundle.planning.write import plan_text
from pipeline.bundle.schema import InlineSkip
from pipeline.data.errors import InputError
from pipeline.networks import Skip

VNET = {"name": "vnet", "channels": [4, 8, 8, 8], "kernel_size": 3, "norm": "instance"}


def choice(text: str) -> Any:
    planned = choose_skip(text)
    return planned.choice(build_on_meta(VNET | {"skip": planned.argument}))


def test_a_file_of_the_recipes_is_named() -> None:
    assert choice("sat4").value == "sat4"
    assert "0.002 Dice" in choice("sat4").reason
    assert choose_skip("sat4").argument == ["sat", {"maps": 4, "gate": "linear", "merge": "sum"}]
    assert (choice("concat").value, choice("concat").reason) == ("concat", "set by --skip")


@pytest.mark.parametrize(
    ("text", "argument", "sparsity"),
    [
        ("SUM", "sum", 0.0),
        ("['sat', {'maps': 2}]", ["sat", {"maps": 2}], 1e-4),
        ("['st', {'select': 'hard'}]", ["st", {"select": "hard"}], 1e-2),
        ("('none', 'at', 'concat')", ["none", "at", "concat"], 0.0),
        ("['none', 'sat', ['sat', {'select': 'hard'}]]", ["none", "sat", ["sat", {"select": "hard"}]], 1e-2),
    ],
)
def test_a_name_or_a_list_stands_in_the_plan_with_the_sparsity_of_its_kind(
    text: str, argument: Any, sparsity: float
) -> None:
    made = choice(text)
    assert made.value == {"skip": argument, "sparsity": sparsity}
    assert made.reason.endswith("set by --skip")
    InlineSkip.model_validate(yaml.safe_load(plan_text({"skip": made}, heading="A plan."))["skip"])


@pytest.mark.parametrize("name", [name.lower() for name in Skip.names])
def test_every_registered_skip_is_taken_by_its_name(name: str) -> None:
    assert choose_skip(name).text == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("satt", "did you mean sat"),
        ("sat44", "did you mean sat4"),
        ("7", "expected one of at, "),
        ("['satt', {'maps': 2}]", "did you mean 'sat'"),
        ("['sat', {'map': 2}]", "'map'"),
        ("['sat', {'select': 'medium'}]", "'soft' or 'hard'"),
        ("['sat', {'maps': 0}]", "at least 1"),
        ("['none', 3]", "3 is neither a name nor"),
    ],
)
def test_anything_else_is_an_error_with_the_nearest_name(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        choose_skip(text)
    assert raised.value.where == "--skip"


@pytest.mark.parametrize(
    ("text", "two", "four"),
    [
        ("SUM", "sum", "sum"),
        ("['sat', 'none', 'concat']", ["sat", "none"], ["sat", "none", "concat", "concat"]),
        ("['concat', {'only': 3}]", "none", ["concat", {"only": [3]}]),
        ("['concat', {'only': [0, 3]}]", ["concat", {"only": [0]}], ["concat", {"only": [0, 3]}]),
        ("['sat', {'all_but': 2, 'maps': 2}]", ["sat", {"maps": 2}], ["sat", {"all_but": [2], "maps": 2}]),
    ],
)
def test_the_search_for_a_size_takes_any_number_of_levels(text: str, two: Any, four: Any) -> None:
    assert choose_skip(text).fitted(2) == two
    assert choose_skip(text).fitted(4) == four
