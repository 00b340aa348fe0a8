import json
from collections.abc import Callable
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from pipeline.bundle.unpack.configs import Text, expressions_of, read_config, texts_of
from pipeline.bundle.unpack.judge import ACTING, CALLING, PLAIN, REACHING

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


def test_every_expression_is_found_where_monai_finds_it(tmp_path: Path) -> None:
    content = {
        "train": {"trainer": {"_target_": "SupervisedTrainer", "max_epochs": "$@epochs * 2"}},
        "run": ["$@train#trainer.run()", ["$1"]],
        "text": "costs 3 $",
    }
    found = listed(tmp_path, content)
    parser = ConfigParser(content)
    parser.parse()
    theirs = {
        key.replace("::", "#"): item.get_config()
        for key, item in parser.ref_resolver.items.items()
        if type(item).__name__ == "ConfigExpression"
    }
    assert {key: one.text.replace("#", "::") for key, one in found.items()} == theirs
    assert {key: one.level for key, one in found.items()} == {
        "train#trainer#max_epochs": PLAIN,
        "run#0": CALLING,
        "run#1#0": PLAIN,
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
    assert [text for _, _, text in texts_of(read_config(tmp_path / "a.yml"))] == ["$1"]


@pytest.mark.parametrize(
    ("target", "level", "listed_too"),
    [
        ("UNet", PLAIN, False),
        ("monai.networks.nets.UNet", PLAIN, False),
        ("torch.optim.Adam", PLAIN, False),
        ("ignite.handlers.ProgressBar", PLAIN, False),
        ("scripts.net.Net", REACHING, True),
        ("segmentation_models_pytorch.Unet", REACHING, True),
        ("torch.hub.load", ACTING, True),
        ("torch.os.system", ACTING, True),
        ("eval", ACTING, True),
        ("subprocess.run", ACTING, True),
        ("$@model.forward", PLAIN, True),
    ],
)
def test_classes_of_others_are_listed(tmp_path: Path, target: str, level: int, listed_too: bool) -> None:
    _written(tmp_path, json.dumps({"net": {"_target_": target}}))
    found, usual = expressions_of(tmp_path, ["train.json"], ["scripts"])
    assert (len(found), usual) == (int(listed_too), int(not listed_too))
    assert [one.level for one in found] == [level] * listed_too


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
    [("%/etc/other.json#a", ACTING), ("%../../x.yaml", ACTING), ("%configs/net.json#net", PLAIN), ("%run", None)],
)
def test_configs_that_are_taken_in(tmp_path: Path, macro: str, level: int | None) -> None:
    found = listed(tmp_path, {"a": macro})
    assert [(one.kind, one.level) for one in found.values()] == ([] if level is None else [("file", level)])


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
