"""Skip connections in words."""

from typing import Any

import pytest

from pipeline.bundle.skip_words import describe_skip, introduce_skip, list_skip_references


@pytest.mark.parametrize(
    ("skip", "words"),
    [
        ("SAT", "sat"),
        (["sat", {"maps": 4}], "sat"),
        (["concat", {"only": 0}], "concat at level 0 only"),
        (("concat", {"only": [0, 2]}), "concat at levels 0 and 2 only"),
        (["scse", {"all_but": [1], "reduction": 4}], "scse at all levels but 1"),
        (["scse", {"all_but": [0, 1, 3]}], "scse at all levels but 0, 1 and 3"),
        (["none", ["sat", {"maps": 2}], "concat"], "none, sat, concat, finest level first"),
    ],
)
def test_skips_in_words(skip: Any, words: str) -> None:
    assert describe_skip(skip) == words


@pytest.mark.parametrize(
    ("skip", "words"),
    [
        ("sat", "light skip connections after Select-Attend-Transfer"),
        (["at", ["sat", {}]], "light skip connections after Select-Attend-Transfer"),
        (["sat", {"only": 1}], "the skip connection sat at level 1 only"),
        ("concat", "the skip connection concat"),
        (["none", "sat"], "the skip connections none, sat, finest level first"),
    ],
)
def test_a_network_is_introduced_with_its_skips(skip: Any, words: str) -> None:
    assert introduce_skip(skip) == words


def test_documents_quote_names_and_cite_the_paper() -> None:
    assert introduce_skip("sum", markdown=True) == "the skip connection `sum`"
    assert introduce_skip("st", markdown=True).endswith("\n(Taghanaki et al., arXiv 1804.05181)")


def test_each_publication_is_listed_once() -> None:
    papers = list_skip_references(["at", "sat", "scse", "none", "cse", ["project_excite", {}], "scalar"])
    assert [paper[-10:] for paper in papers] == ["1804.05181", "1808.08127", "1906.04649", "2601.13208"]
    assert list_skip_references("concat") == list_skip_references(["none", "mine"]) == []
