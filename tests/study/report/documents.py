"""Check that a page nests its elements, loads nothing and names nothing twice, and that Markdown's tables are whole."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = {"meta", "img", "br", "input", "hr", "link", "path", "circle", "line", "rect"}
_LOADS = ("src", "href", "xlink:href", "action", "style")


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.wrong = [], [], [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        for key in _LOADS:
            value = given.get(key, "")
            if key == "href" and value.startswith("#"):
                self.links.append(value[1:])
            elif value and not value.startswith("data:"):
                self.wrong.append((tag, key, value))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in _VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(("end", tag))


def check_page(text):
    page = _Page()
    page.feed(text)
    assert page.wrong == []
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.links) <= set(page.ids)
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert "nan" not in re.sub(r"<[^>]*>|base64,[\w+/=]*", " ", text.split("</head>")[1]).lower().split()


def check_markdown(text):
    """Every table has a rule under its heads, and as many cells in each row; HTML is balanced."""
    fenced = re.split(r"^`{3,}.*$", text, flags=re.M)
    for block in re.split(r"\n\n+", "\n\n".join(fenced[::2])):
        lines = block.strip().splitlines()
        if lines and lines[0].startswith("|"):
            assert re.fullmatch(r"\|( -+:? \|)+", lines[1]), lines[1]
            cells = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
            assert len(set(cells)) == 1, block
            assert len(lines) > 2, block
    assert text.count("<details>") == text.count("</details>") == text.count("<summary>")
