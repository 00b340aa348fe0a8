import pytest
from monai.bundle import ConfigParser

from pipeline.bundle.unpack.ids import absolute, reference_of


@pytest.mark.parametrize("text", ["@#x", "$@##x + @#y", "%##net", "@a#b", "plain # text", "$@###top"])
def test_relative_ids_become_monais(text: str) -> None:
    path = ("train", "trainer", "lr")
    assert absolute(text, path) == ConfigParser.resolve_relative_ids("::".join(path), text)


@pytest.mark.parametrize(
    ("text", "path"),
    [("@a::b", ("a", "b")), ("%a", ("a",)), ("%a.json", None), ("%a.json::b", None), ("@a + 1", None), ("a", None)],
)
def test_what_is_nothing_but_a_reference(text: str, path: tuple[str, ...] | None) -> None:
    assert reference_of(text) == path
