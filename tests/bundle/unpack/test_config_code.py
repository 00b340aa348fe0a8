import json
from collections.abc import Callable
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from pipeline.bundle.unpack.config_code import CodeText, list_config_code
from pipeline.bundle.unpack.reading import nodes_of, read_config

YAML = """\
imports: [$import glob]
base: &base {x: $1 + 1}
again: *base
net: {_target_: scripts.net.Net, depth: 3}
number: 12
digits: 012
"""


def write(folder: Path, content: object, name: str = "train.json") -> Path:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def list_texts(folder: Path, content: object, *, name: str = "train.json") -> dict[str, CodeText]:
    return {one.id: one for one in list_config_code(write(folder, content, name), [name])}


def test_everything_that_runs_is_found_where_monai_finds_it(tmp_path: Path) -> None:
    content = {
        "train": {"trainer": {"_target_": "SupervisedTrainer", "max_epochs": "$@epochs * 2"}},
        "run": ["$@train#trainer.run()", ["$1"]],
        "text": "costs 3 $",
        "epochs": 2,
        "name": "os.system",
        "by_reference": {"_target_": "@name", "command": "id"},
        "by_expression": {"_target_": "$@name", "command": "id"},
        "afar": {"command": "id"},
        "afar#_target_": "os.system",
        "list": [{"command": "id"}],
        "list::0::_target_": "os.system",
        "+added": {"_target_": "UNet"},
        "hidden": "$[1, 2][0#__import__('os').system('id') or 1\n]",
    }
    found = list_texts(tmp_path, content)
    parser = ConfigParser()
    with pytest.warns(UserWarning, match="Can't merge"):
        parser.read_config(tmp_path / "train.json")
    parser.parse()
    items = {key.replace("::", "#"): item for key, item in parser.ref_resolver.items.items()}
    theirs = {key: item.get_config() for key, item in items.items() if type(item).__name__ == "ConfigExpression"}
    components = {key for key, item in items.items() if type(item).__name__ == "ConfigComponent"}
    assert {key: one.text.replace("#", "::") for key, one in found.items() if one.text.startswith("$")} == theirs
    assert components == {key.removesuffix("#_target_") for key, one in found.items() if one.kind == "class"}


def test_a_key_that_stands_twice_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path, '{"a": "$eval(x)", "a": 1, "b": {"_target_": "print"}, "b": {"_target_": "UNet"}}')
    found = list_config_code(tmp_path, ["train.json"])
    assert [one.text for one in found] == ["$eval(x)", "print", "UNet"]


def test_yaml_is_read_as_text_and_its_aliases_once(tmp_path: Path) -> None:
    found = list_texts(tmp_path, YAML, name="train.yaml")
    assert {key: one.text for key, one in found.items()} == {
        "imports#0": "$import glob",
        "base#x": "$1 + 1",
        "net#_target_": "scripts.net.Net",
    }
    assert dict(read_config(tmp_path / "train.yaml"))["digits"] == "012"


def test_a_bomb_of_aliases_stays_small(tmp_path: Path) -> None:
    lines = ["a0: &a0 [$1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))]
    write(tmp_path, "\n".join(lines), "a.yml")
    assert [one.value for one in nodes_of("a.yml", read_config(tmp_path / "a.yml")) if isinstance(one.value, str)] == [
        "$1"
    ]


@pytest.mark.parametrize(
    ("macro", "kind"),
    [
        ("%/etc/other.json#a", "file"),
        ("%#/tmp/x.json", "file"),
        ("%::/tmp/x.JSON::a", "file"),
        ("%../../x.yaml", "file"),
        ("%x.json#y.yaml", "file"),
        ("%run", None),
        ("%run#x.json5", None),
        ("data/train.json", None),
    ],
)
def test_configs_that_a_macro_reads_are_listed(tmp_path: Path, macro: str, kind: str | None) -> None:
    assert [one.kind for one in list_texts(tmp_path, {"a": macro}).values()] == ([] if kind is None else [kind])


@pytest.mark.parametrize(
    ("content", "places"),
    [
        ({"a": {"_target_": "UNet", "_mode_": "debug"}}, {"a#_target_": "class", "a#_mode_": "mode"}),
        ({"a": {"_mode_": "callable"}}, {}),
        ({"a": {"_target_": ["x"]}}, {"a#_target_": "class"}),
        # MONAI imports what it finds no reader of its own for.
        ({"reader": "os.system"}, {"reader": "class"}),
        ({"reader": ["ITKReader", "os.system"], "b": 1}, {"reader#0": "class", "reader#1": "class"}),
        ({"writer": None, "writers": "a"}, {}),
    ],
)
def test_other_settings_that_run_something(tmp_path: Path, content: object, places: dict[str, str]) -> None:
    assert {key: one.kind for key, one in list_texts(tmp_path, content).items()} == places


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\ufeff{]"])
def test_a_config_that_cannot_be_read_is_listed_with_the_reason(tmp_path: Path, text: str) -> None:
    (found,) = list_config_code(write(tmp_path, text), ["train.json"])
    assert found.kind == "unreadable"
    assert found.text.startswith(("not JSON", "nested too deeply"))


def test_listing_runs_nothing(bundle: Callable[..., Path], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    run = f"$__import__('pathlib').Path('{mark}').touch()"
    tag = f"a: !!python/object/apply:pathlib.Path.touch [{mark}]"
    folder = bundle({"configs/a.json": json.dumps({"a": run}), "configs/b.yaml": f"a: {run}", "configs/c.yaml": tag})
    assert len(list_config_code(folder, ["configs/a.json", "configs/b.yaml", "configs/c.yaml"])) == 2
    assert not mark.exists()
