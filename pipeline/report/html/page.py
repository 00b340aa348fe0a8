"""Write a page, a Jinja2 template that extends ``base.html``, as one HTML file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ...files import whole_file
from ..text import printable
from .parts import Page

__all__ = ["read_asset", "write_page"]

# Letters that are written from right to left: Hebrew, Arabic, Syriac, Thaana, N'Ko and their presentation forms.
_RIGHT_TO_LEFT = re.compile(
    r"([\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]+(?:[\s_.-]*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]+)*)"
)


def write_page(
    path: str | os.PathLike[str],
    template: str,
    page: Page,
    *,
    style: str = "",
    script: str = "",
    later_scripts: Sequence[str] = (),
    **content: Any,
) -> None:
    """Write a page as one self-contained HTML file, piece by piece.

    Jinja2 escapes values and `printable` cleans them, so text from a dataset is never markup. The content security
    policy blocks all loading, and all styles and scripts except the page's.

    Args:
        path: the HTML file, written completely or not at all.
        template: name of the template, which extends ``base.html``.
        page: head and foot of the page, for the base template.
        style: the page's CSS, which follows ``base.css``. It is trusted: never put text from a dataset in it.
        script: the page's JavaScript, trusted too.
        later_scripts: JavaScript that the page's script may add later, such as a viewer. It is not written: the
            template has to contain it in a form of its own.
        content: further values for the template. Iterators are read while the file is written.

    Raises:
        OSError: If the file cannot be written.
        jinja2.TemplateError: If the template uses a missing value.
    """
    style = read_asset("base.css") + style
    # `base-uri` and `form-action` do not follow from `default-src`.
    policy = [
        "default-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "img-src data:",
        f"style-src '{_hash(style)}'",
    ]
    hashes = [f"'{_hash(one)}'" for one in (script, *later_scripts) if one]
    policy += [f"script-src {' '.join(hashes)}"] if hashes else []
    pieces = (
        _make_environment()
        .get_template(template)
        .generate(page=page, policy="; ".join(policy), style=Markup(style), script=Markup(script), **content)
    )
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(pieces)


def read_asset(name: str) -> str:
    """Return the text of a CSS or JavaScript file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["isolate"] = _isolate
    return environment


def _finalize(value: object) -> object:
    """Return a value as a template shows it. A macro's markup is not changed."""
    return value if isinstance(value, Markup) else printable(value)


def _isolate(value: object) -> Markup:
    """Return a sentence as markup, in which names from right to left do not turn what is next to them."""
    pieces = _RIGHT_TO_LEFT.split(printable(value))
    shown = [Markup("<bdi>{}</bdi>").format(piece) if odd % 2 else escape(piece) for odd, piece in enumerate(pieces)]
    return Markup("").join(shown)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
