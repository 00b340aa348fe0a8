import json
from collections.abc import Callable
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from pipeline.bundle.unpack.configs import Text, expressions_of
from pipeline.bundle.unpack.judge import ACTING, CALLING, PLAIN, REACHING
from pipeline.bundle.unpack.reading import nodes_of, read_config

YAML = """\
imports: [$import glob]
base: &base {x: $1 + 1}
again: *base
net: {_target_: scripts.net.Net, depth: 3}
number: 12
digits: 012
"""


def listed(folder: Path, content: object, *, name: str = "train.json") -> dict[str, Text]:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return {one.id: one for one in expressions_of(folder, [name], ["scripts"])[0]}


def test_everything_that_runs_is_found_where_monai_finds_it(tmp_path: Path) -> None:
    content = {
        "train": {"trainer": {"_target_": "SupervisedTrainer", "max_epochs": "$@epochs * 2"}},
        "run": ["$@train#trainer.run()", ["$1"]],
        "text": "costs 3 $",
        "epochs": 2,
        "name": "os.system",
        "by_reference": {"_target_": "@name", "command": "id"},
        "by_expression": {"_target_": "$@name", "command": "id"},
        "made": {"_target_": "$'os.sys' + 'tem'", "command": "id"},
        "afar": {"command": "id"},
        "afar#_target_": "os.system",
        "list": [{"command": "id"}],
        "list::0::_target_": "os.system",
        "+added": {"_target_": "UNet"},
        "hidden": "$[1, 2][0#__import__('os').system('id') or 1\n]",
    }
    found = listed(tmp_path, content)
    parser = ConfigParser()
    with pytest.warns(UserWarning, match="Can't merge"):
        parser.read_config(tmp_path / "train.json")
    parser.parse()
    items = {key.replace("::", "#"): item for key, item in parser.ref_resolver.items.items()}
    theirs = {key: item.get_config() for key, item in items.items() if type(item).__name__ == "ConfigExpression"}
    components = {key for key, item in items.items() if type(item).__name__ == "ConfigComponent"}
    expressions = {key: one.text.replace("#", "::") for key, one in found.items() if one.text.startswith("$")}
    assert expressions == theirs
    assert components - {"train#trainer", "added"} == {
        key.removesuffix("#_target_") for key, one in found.items() if one.kind == "class"
    }
    assert {key: one.level for key, one in found.items()} == {
        "train#trainer#max_epochs": PLAIN,
        "run#0": CALLING,
        "run#1#0": PLAIN,
        "by_reference#_target_": ACTING,
        "by_expression#_target_": ACTING,
        "made#_target_": ACTING,
        "afar#_target_": ACTING,
        "list#0#_target_": ACTING,
        "hidden": ACTING,
    }


def test_a_key_that_stands_twice_hides_nothing(tmp_path: Path) -> None:
    found, _ = expressions_of(_written(tmp_path, '{"a": "$eval(x)", "a": 1}'), ["train.json"], [])
    assert [(one.id, one.text, one.level) for one in found] == [("a", "$eval(x)", ACTING)]


def _written(folder: Path, text: str, name: str = "train.json") -> Path:
    (folder / name).write_text(text)
    return folder


def test_yaml_is_read_as_text_and_its_aliases_once(tmp_path: Path) -> None:
    found = listed(tmp_path, YAML, name="train.yaml")
    assert {key: one.text for key, one in found.items()} == {
        "imports#0": "$import glob",
        "base#x": "$1 + 1",
        "net#_target_": "scripts.net.Net",
    }
    assert dict(read_config(tmp_path / "train.yaml"))["digits"] == "012"


def test_a_bomb_of_aliases_stays_small(tmp_path: Path) -> None:
    lines = ["a0: &a0 [$1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))]
    _written(tmp_path, "\n".join(lines), "a.yml")
    assert [one.value for one in nodes_of("a.yml", read_config(tmp_path / "a.yml")) if isinstance(one.value, str)] == [
        "$1"
    ]


def test_what_one_config_imports_another_uses(tmp_path: Path) -> None:
    _written(tmp_path, json.dumps({"imports": ["$from os import system as show"]}), "a.json")
    _written(tmp_path, json.dumps({"run": "$show('id')"}), "b.json")
    found, _ = expressions_of(tmp_path, ["a.json", "b.json"], [])
    assert [one.level for one in found] == [ACTING, ACTING]


@pytest.mark.parametrize(
    ("imports", "run"),
    [("$import os", "$@imports#0.system('id')"), ("$from os import remove", "$@imports::0('x')")],
)
def test_a_reference_means_what_stands_there(tmp_path: Path, imports: str, run: str) -> None:
    found = listed(tmp_path, {"imports": [imports], "run": run, "other": "$@run.remove('x')"})
    assert (found["run"].level, found["other"].level) == (ACTING, CALLING)


@pytest.mark.parametrize(
    ("macro", "level"),
    [
        ("%/etc/other.json#a", ACTING),
        ("%#/tmp/x.json", ACTING),
        ("%::/tmp/x.json::a", ACTING),
        ("%../../x.yaml", ACTING),
        ("%x.json#y.yaml", ACTING),
        ("%train.json#net", PLAIN),
        ("%configs/net.json#net", REACHING),
        ("%run", None),
    ],
)
def test_configs_that_are_taken_in(tmp_path: Path, macro: str, level: int | None) -> None:
    found = listed(tmp_path, {"a": macro})
    assert [(one.kind, one.level) for one in found.values()] == ([] if level is None else [("file", level)])


def test_a_reference_to_a_reference_means_what_stands_at_its_end(tmp_path: Path) -> None:
    found = listed(tmp_path, {"m": ["$import subprocess as s"], "a": "@m#0", "b": "%a", "c": "$@b.run('id')"})
    assert found["c"].level == ACTING
    found = listed(tmp_path, {"load": "$torch.load", "c": "$@load('x', weights_only=False)"})
    assert found["c"].level == ACTING


def test_references_in_a_circle_end(tmp_path: Path) -> None:
    first = {"a": {"_target_": "UNet"}, "b": "$@a", "c": {"_target_": "$@a"}, "d": {"_target_": "@b"}}
    _written(tmp_path, json.dumps(first), "a.json")
    _written(tmp_path, json.dumps({"a": "$@b.x", "b": "$@a.y"}), "b.json")
    found, _ = expressions_of(tmp_path, ["a.json", "b.json"], [])
    assert {one.id: one.level for one in found}["c#_target_"] == ACTING


def test_an_expression_that_is_a_reference_is_followed(tmp_path: Path) -> None:
    found = listed(tmp_path, {"a": "$from torch import load", "b": "$@a", "c": "$@b('x', weights_only=False)"})
    assert found["c"].level == ACTING


def test_what_stands_there_a_thousand_times_is_marked_in_time(tmp_path: Path) -> None:
    pairs = ", ".join(['"_target_": "UNet", "in": 1'] * 20_000)
    found, usual = expressions_of(_written(tmp_path, '{"net": {' + pairs + '}, "b": "@net"}'), ["train.json"], [])
    assert {one.level for one in found} == {ACTING}
    assert (len(found), usual) == (20_000, {})


def test_references_within_texts_are_read_as_monai_writes_them(tmp_path: Path) -> None:
    # MONAI puts its table into texts as well, and the quotes of the table end the text.
    assert listed(tmp_path, {"a": "$'@or'"})["a"].level == ACTING
    assert listed(tmp_path, {"a": {"b": "$@##x + @#c"}})["a#b"].level == PLAIN
    assert listed(tmp_path, {"a": "$list(__local_refs.values())[0]()"})["a"].level == ACTING


def test_a_comment_of_an_import_is_no_code(tmp_path: Path) -> None:
    assert listed(tmp_path, {"a": "$import glob # finds files"})["a"].level == PLAIN


def test_a_key_that_changes_what_is_not_found_is_marked(tmp_path: Path) -> None:
    yaml = "a: &a {_target_: open, file: x}\nb: *a\nb#mode: w\n"
    found = listed(tmp_path, yaml, name="a.yaml")
    assert found["a#_target_"].level == ACTING
    assert listed(tmp_path, {"c#0#x": "y"})["c#0#x"].level == ACTING


def test_what_is_too_long_to_be_shown_is_marked(tmp_path: Path) -> None:
    assert listed(tmp_path, {"a": "$" + "1 + " * 200 + "1"})["a"].level == REACHING


@pytest.mark.parametrize(
    "text",
    ["{", "[" * 100_000, "\ufeff{]", '{"a": "$' + "(" * 500 + '"}', '{"a": "$x y"}', f'{{"a": "${"1+" * 60_000}1"}}'],
)
def test_what_cannot_be_read_is_marked(tmp_path: Path, text: str) -> None:
    (found,) = expressions_of(_written(tmp_path, text), ["train.json"], [])[0]
    assert found.level == ACTING


def test_debugging_a_component_is_told(tmp_path: Path) -> None:
    assert listed(tmp_path, {"a": {"_target_": "UNet", "_mode_": "debug"}})["a#_mode_"].level == REACHING


def test_looking_runs_nothing(bundle: Callable[..., Path], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    run = f"$__import__('pathlib').Path('{mark}').touch()"
    tag = f"a: !!python/object/apply:pathlib.Path.touch [{mark}]"
    folder = bundle({"configs/a.json": json.dumps({"a": run}), "configs/b.yaml": f"a: {run}", "configs/c.yaml": tag})
    found, _ = expressions_of(folder, ["configs/a.json", "configs/b.yaml", "configs/c.yaml"], [])
    assert len(found) == 2
    assert not mark.exists()
