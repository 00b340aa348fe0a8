"""A plan is data: no text in it becomes an expression of the configs."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from monai.bundle import ReferenceResolver

from pipeline.bundle.evaluated_text import find_evaluated, find_nameless, is_evaluated
from pipeline.bundle.render import render
from pipeline.data.errors import InputError

PLAN = yaml.safe_load((Path(__file__).parents[2] / "bundles" / "synthetic_shapes" / "plan.yaml").read_text())
PAYLOAD = "$__import__('pathlib').Path('marker').touch()"
CALL = {"_target_": "os.system", "command": "touch marker"}


def leaves(value, keys=()):
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if entries is None:
        yield keys
        return
    for key, entry in entries:
        yield from leaves(entry, (*keys, key))


def changed(keys, value):
    plan = deepcopy(PLAN)
    place = plan
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return plan


CASES = {
    **{".".join(map(str, keys)): changed(keys, PAYLOAD) for keys in leaves(PLAN)},
    "act called": changed(("network", "act", 1, "negative_slope"), CALL),
    "skip option": changed(("skip",), {"skip": ["sat", {"select": PAYLOAD}]}),
    "skip called": changed(("skip",), {"skip": ["sat", {"select": CALL}]}),
    "label": changed(("labels",), {"background": 0, PAYLOAD: 1, "b": 2, "c": 3}),
    "macro": changed(("labels",), {"background": 0, "%/etc/x.json::a": 1, "b": 2, "c": 3}),
    "region": changed(("regions",), {PAYLOAD: ["ellipsoid"], "b": ["shell", "tube"]})
    | {"region_order": {PAYLOAD: "ellipsoid", "b": "shell"}},
    "own network": changed(("network",), {"name": "my.Network", "width": PAYLOAD}),
    "import": changed(("imports",), ["os; import x"]),
}


@pytest.mark.parametrize("name", CASES)
def test_no_text_of_a_plan_is_evaluated(name, tmp_path):
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(CASES[name], sort_keys=False))
    with pytest.raises(InputError):
        render(tmp_path)


def test_the_folder_of_the_scans_is_a_text_whatever_it_is_called(tmp_path):
    folder = "a' + __import__('os').getcwd() + '@bundle_root$"
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(changed(("data", "folder"), folder)))
    expression = json.loads(render(tmp_path)["configs/train.json"])["dataset_dir"]
    text = expression.removeprefix("$").replace("@bundle_root", repr("/b"), 1)
    import pathlib  # noqa: F401, PLC0415 - the expression's own

    assert eval(text) == f"/b/{folder}"


@pytest.mark.parametrize("text", ["$1", "@a", "%a", "_target_", "_disabled_", "$\n", "%"])
def test_texts_that_configs_evaluate(text):
    assert is_evaluated(text)
    assert [keys for keys, _ in find_evaluated({"a": [1, {"b": text}], text: None})] == [("a", "1", "b"), (text,)]


@pytest.mark.parametrize("text", ["", "a$", "a@b.org", "5 %", "target", "_targets_"])
def test_other_texts(text):
    assert not is_evaluated(text)
    assert not list(find_evaluated({text: text, "a": [text, 3, None, True]}))


@pytest.mark.parametrize(
    ("text", "is_nameless"),
    [
        ("@", True),
        ("$@", True),
        ("$@a @ @b", True),
        ("$print(@)", True),
        ("@a::0::b", False),
        ("$@a + @b", False),
        # No expression: only a text that is a reference as a whole counts.
        ("x @ y", False),
    ],
)
def test_monai_evaluates_the_whole_config_for_an_at_without_a_name(text: str, is_nameless: bool) -> None:
    config = {"a": 1, "b": 2, "c": {"d": ["plain", text]}}
    assert find_nameless(config) == ("c::d::1" if is_nameless else None)
    assert ("" in ReferenceResolver.match_refs_pattern(text)) >= is_nameless
