import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from pipeline.report.html.page import read_asset, write_page
from pipeline.report.html.parts import Card, Page, Row, Table, Tile, embed_picture

EVIL = "</style><script>alert(1)</script>\" onload='x' {{ 7 * 7 }}\x1b[2J"
# As it stands in the file: entities for all that could be markup, an escape for what steers a terminal.
EVIL_WRITTEN = "&lt;/style&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#34; onload=&#39;x&#39; {{ 7 * 7 }}\\x1b[2J"
PAGE = Page(kind="study", name="liver", facts=["3D", "CT"], provenance={"Made": "today"}, note="The same: study.csv.")


def test_a_page_is_the_base_with_head_heading_and_foot(tmp_path: Path) -> None:
    write_page(tmp_path / "new" / "study.html", "base.html", PAGE)
    text = (tmp_path / "new" / "study.html").read_text(encoding="utf-8")
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">\n')
    for part in (
        "<title>Study: liver</title>",
        '<p class="eyebrow">LightSkip study</p>',
        "<h1><bdi>liver</bdi></h1>",
        '<p class="meta">3D · CT</p>',
        "<div><dt>Made</dt><dd>today</dd></div>",
        "<p>The same: study.csv.</p>",
    ):
        assert part in text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["study.html"]


@pytest.mark.parametrize("script", ["", "'use strict';\n"])
def test_only_the_pages_own_style_and_script_may_run(tmp_path: Path, script: str) -> None:
    write_page(tmp_path / "page.html", "base.html", PAGE, style="b > i { color: red }\n", script=script)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    allowed = {"style": read_asset("base.css") + "b > i { color: red }\n"} | ({"script": script} if script else {})
    expected = ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "img-src data:"]
    for tag, content in allowed.items():
        assert f"<{tag}>{content}</{tag}>" in text
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        expected.append(f"{tag}-src 'sha256-{digest}'")
    assert policy.replace("&#39;", "'") == "; ".join(expected)
    assert text.count("<script>") == bool(script)


def test_text_is_escaped_wherever_it_stands(tmp_path: Path) -> None:
    page = Page(kind="study", name=EVIL, facts=[EVIL], provenance={EVIL: EVIL}, note=EVIL)
    write_page(tmp_path / "page.html", "base.html", page)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    # Title, heading, fact, title and text of the provenance, note.
    assert text.count(EVIL_WRITTEN) == 6
    assert "<script>" not in text


def test_names_from_right_to_left_do_not_turn_a_sentence(tmp_path: Path) -> None:
    page = Page(
        kind="study", name="x", facts=[], provenance={"Set": "\u0645\u0631: 1 map of \u05d3_\u05d2_b <i>"}, note=""
    )
    write_page(tmp_path / "page.html", "base.html", page)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<dd><bdi>\u0645\u0631</bdi>: 1 map of <bdi>\u05d3_\u05d2</bdi>_b &lt;i&gt;</dd>" in text


def test_parts_escape_what_they_are_made_of(tmp_path: Path) -> None:
    picture = embed_picture(b"\x89PNG\r\n\x1a\n...", EVIL)
    card = Card("a", EVIL, EVIL, picture, facts=[EVIL], measures=[], more=EVIL, data={"words": EVIL})
    table = Table(EVIL, [EVIL], [Row(EVIL, [EVIL], note=EVIL, swatch=EVIL)])
    write_page(
        tmp_path / "page.html",
        "check_page.html",
        PAGE,
        verdict=(EVIL, EVIL),
        tiles=[Tile(EVIL, EVIL, EVIL, EVIL)],
        sections=[],
        counts=[table],
        measures=[],
        number=EVIL,
        choices={key: [(EVIL, EVIL)] for key in ("severity", "part", "sort")},
        legend=[(EVIL, EVIL)],
        cards=[card],
    )
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    # 2 of the note, 4 of the tile, 8 of the table with its heading and the title of a column, 1 number, 6 of choices,
    # 2 of the legend, 6 of the card with the text of its picture.
    assert text.count(EVIL_WRITTEN) == 29
    assert "<script>" not in text


def test_a_value_that_a_template_lacks_is_an_error_and_leaves_the_old_page(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("old")
    with pytest.raises(UndefinedError, match="verdict"):
        write_page(tmp_path / "page.html", "check_page.html", PAGE)
    assert (tmp_path / "page.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_cards_are_written_while_they_are_made(tmp_path: Path) -> None:
    sizes = []

    def cards() -> Iterator[Card]:
        for number in range(50):
            [file] = tmp_path.iterdir()
            sizes.append(file.stat().st_size)
            yield Card(f"case-{number}", "x" * 20_000, "clean")

    content = {"verdict": ("good", ""), "tiles": [], "sections": [], "counts": [], "measures": [], "legend": []}
    choices = {key: [("", "all")] for key in ("severity", "part", "sort")}
    write_page(tmp_path / "page.html", "check_page.html", PAGE, number="50", choices=choices, cards=cards(), **content)
    # Before the last card is made, all but what waits to be written is in the file.
    assert sizes[-1] > 40 * 20_000


@pytest.mark.parametrize(
    ("start", "form"), [(b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"RIFF....WEBP", "webp")]
)
def test_a_picture_is_embedded_as_it_is(start: bytes, form: str) -> None:
    picture = embed_picture(start + b"content", "a slice")
    assert picture is not None
    head, _, data = picture.source.partition(",")
    assert head == f"data:image/{form};base64"
    assert base64.b64decode(data, validate=True) == start + b"content"
    assert picture.text == "a slice"


@pytest.mark.parametrize("content", [None, b"", b"<svg onload=alert(1)>"])
def test_what_is_no_picture_is_not_embedded(content: bytes | None) -> None:
    assert embed_picture(content, "a slice") is None
