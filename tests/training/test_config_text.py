from copy import deepcopy
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from pipeline.training import code_text, config_text

CONFIG = {
    "imports": ["$import glob", "$from pipeline.training import config_text"],
    "size": 3,
    "range": "$[0, @upper]",
    "upper": 5,
    "unused": 1,
    "part": {
        "_target_": "Compose",
        "transforms": [{"_target_": "SpatialPadd", "keys": "image", "spatial_size": "@size"}, "@other#scale"],
    },
    "other": {"scale": {"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x.clip(*@range)"}, "unused": 1},
    "text": "$config_text('part', without='other#not')",
}


def text_of(overrides: dict[str, object] | None = None, *, text: str = CONFIG["text"]) -> str | None:
    parser = ConfigParser({**deepcopy(CONFIG), "text": text})
    for id, value in (overrides or {}).items():
        parser[id] = value
    return parser.get_parsed_content("text")


@pytest.mark.parametrize(
    ("id", "value", "counts"),
    [
        ("size", 4, True),
        ("part#transforms#0#keys", "label", True),
        ("part#lazy", True, True),
        ("part#transforms#1", "@part#transforms#0", True),
        ("other#scale#func", "$lambda x: x + @upper", True),
        ("range", "$[1, @upper]", True),
        ("upper", 6, True),  # a reference of a reference
        ("upper", 5.0, True),
        ("unused", 2, False),
        ("other#unused", 2, False),
    ],
)
def test_all_that_a_part_refers_to_counts(id: str, value: object, counts: bool) -> None:
    assert (text_of({id: value}) != text_of()) is counts
    assert text_of() == text_of()


def test_a_part_can_be_left_out() -> None:
    without = "$config_text('part', without='other')"
    assert text_of({"upper": 6}, text=without) == text_of(text=without)
    assert text_of({"size": 4}, text=without) != text_of(text=without)
    # A longer name is another part.
    assert text_of({"upper": 6}, text="$config_text('part', without='oth')") != text_of()


def test_without_a_config_there_is_no_text() -> None:
    assert config_text("part") is None
    assert text_of({"size": object()}) is None


def test_the_modules_that_are_imported_or_named_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    texts = []
    for content in ("A = 1\n", "A = 2\n"):
        for name in ("my_imported", "my_named"):
            for other in ("my_imported", "my_named"):
                (tmp_path / f"{other}.py").write_text(content if other == name else "")
            overrides = {
                "imports": [*CONFIG["imports"], "$import my_imported"],
                "part#transforms#1": {"_target_": "my_named.Clip", "_disabled_": True},
            }
            texts.append(text_of(overrides))
    assert len(set(texts)) == len(texts)
    assert text_of(overrides) == texts[-1]


def test_versions_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_text.library_text()
    assert f"lightskip {code_text.__version__}" in before
    monkeypatch.setattr(code_text, "__version__", "99")
    assert code_text.library_text() != before
