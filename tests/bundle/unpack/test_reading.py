from pathlib import Path

import pytest
import yaml

from pipeline.bundle.unpack.reading import nodes_of, parts_of, read_config


@pytest.mark.parametrize(
    ("key", "parts"),
    [("a", ("a",)), ("a#b", ("a", "b")), ("+a::0#_target_", ("a", "0", "_target_"))],
)
def test_ids_are_split_at_both_marks(key: str, parts: tuple[str, ...]) -> None:
    assert parts_of(key) == parts


def test_what_yaml_merges_stands_where_it_ends(tmp_path: Path) -> None:
    text = "base: &b {_target_: open, mode: r}\nmore: &m {mode: a, file: x}\nnet: {<<: [*b, *m], mode: w}\n"
    (tmp_path / "a.yaml").write_text(text)
    content = dict(read_config(tmp_path / "a.yaml"))
    assert dict(content["net"]) == yaml.safe_load(text)["net"]
    assert {one.id for one in nodes_of("a.yaml", read_config(tmp_path / "a.yaml"))} >= {"net#_target_", "net#file"}


@pytest.mark.slow
def test_mappings_that_grow_by_merging_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{n}: 1" for n in range(2000)) + "}"]
    lines += [f"a{n}: &a{n} {{<<: *a{n - 1}}}" for n in range(1, 600)]
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="grow when they are merged"):
        read_config(tmp_path / "a.yaml")


def test_a_mapping_that_merges_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {<<: *a, x: 1}")
    assert [one.id for one in nodes_of("a.yaml", read_config(tmp_path / "a.yaml"))] == ["", "a", "a#x"]
