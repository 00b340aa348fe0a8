"""Damage the text of a config at random: YAML, JSON, and overrides. The same seed damages it in the same way.

Every function is pure. `KINDS` names the kinds of damage; `mutate_text` applies one of them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml

__all__ = ["KINDS", "OVERRIDE_VALUES", "mutate_override", "mutate_text"]

_NUMBERS = (
    "-1", "0", "-0.0", "1.5", "1e999", "-1e308", "1e-320", "9223372036854775808", "1" + "0" * 400, "7" * 5000,
    "0x1F", "1_000", "007", "1:30",
)  # fmt: skip
_YAML_NUMBERS = (".inf", "-.inf", ".nan", "!!float x", "!!int x", "2020-13-41", "2020-10-10", "12:61:00")
_JSON_NUMBERS = ("NaN", "Infinity", "-Infinity", "1e", "+1", ".5")
_TAGS = (
    "!!int x", "!!bool maybe", "!!float y", "!!timestamp z", "!!binary ?", "!!set x", "!!omap x", "!!pairs x",
    "!!python/name:os.getcwd", "!!python/object/apply:os.getcwd []", "!plan labels", "!unknown x", "!<tag:a> x", "!",
    "!!merge x", "!!value x", "!!map x", "!!seq x", "!!str [a]",
)  # fmt: skip
_CONTROL = ("\x00", "\x07", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ufeff", "\ud7ff", "\t", "\r")
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, 1e300, "", "x", "..", "/", "a" * 300, "\x00", "é\n", "$1/0", "@nothing",
    "%nothing", "=1+1", [], [[]], [None], [1, "a"], [-1, -1, -1], {}, {"": None}, {"a": {"b": []}}, "0", "nan", "[x]",
    ["a"] * 100, {"_target_": "nothing.at.all"}, {"[a]": 1},
)  # fmt: skip
OVERRIDE_VALUES = (
    "-1", "0", "1.5", "1e999", "nan", "inf", "-inf", "None", "True", "false", "", "x", "[", "]", "{", "[]", "{}", "[1",
    "[-1,-1,-1]", "[0,0,0]", "['a']", "{'a':1}", "1" + "0" * 400, "7" * 5000, "[" * 300 + "]" * 300, "\x1b[31m", "é",
    "$1/0", "@nothing", "%nothing", "'", '"', "a" * 300, "..", "/", "1,2", "0x10", "1_0", "--", "\\", "\n", "{'a':",
)  # fmt: skip
"""Texts of overrides: numbers out of any range, other types, half expressions."""


def mutate_text(text: str, *, seed: int, kind: str | None = None) -> tuple[str, bytes]:
    """Return the kind of damage and the damaged text.

    Args:
        text: YAML in block style, or indented JSON.
        seed: decides the kind, the place and the values.
        kind: a key of `KINDS`; a random one by default.

    Returns:
        The kind, and the bytes of the damaged file.
    """
    draw = random.Random(seed)
    chosen = kind or draw.choice(list(KINDS))
    changed = KINDS[chosen](text, draw)
    # Signs that have no bytes are as much damage as others.
    return chosen, changed if isinstance(changed, bytes) else changed.encode("utf-8", "surrogatepass")


def mutate_override(keys: Sequence[str], *, seed: int) -> tuple[str, str]:
    """Return an override of a config: a key of these, perhaps mistyped, and a value that is probably wrong."""
    draw = random.Random(seed)
    key = draw.choice(keys)
    if draw.random() < 0.1:
        place = draw.randrange(len(key))
        key = key[:place] + draw.choice(("#", "::", "x", "", "[", "=", "\x07", "_")) + key[place + 1 :]
    return key, draw.choice(OVERRIDE_VALUES)


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _pick(lines: list[str], draw: random.Random) -> int:
    return draw.randrange(len(lines))


def _delete_lines(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    first = _pick(lines, draw)
    del lines[first : first + draw.choice((1, 1, 2, 5))]
    return "".join(lines)


def _repeat_lines(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    first = _pick(lines, draw)
    block = lines[first : first + draw.choice((1, 1, 3))]
    return "".join([*lines[:first], *block, *lines[first:]])


def _swap_lines(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    one, other = _pick(lines, draw), _pick(lines, draw)
    lines[one], lines[other] = lines[other], lines[one]
    return "".join(lines)


def _indent_line(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    place = _pick(lines, draw)
    lines[place] = draw.choice((" ", "   ", "\t")) + lines[place]
    return "".join(lines)


def _replace_value(text: str, draw: random.Random, values: Sequence[str]) -> str:
    """Replace the value of a random `key: value` line, and keep JSON's comma."""
    found = list(re.finditer(r"^([ \t]*(?:- )?[^\s:#{[][^:\n]*:[ \t]+)([^\n]*?)(,?)$", text, re.MULTILINE))
    if not found:
        return text + draw.choice(values)
    match = draw.choice(found)
    return text[: match.start(2)] + draw.choice(values) + text[match.end(2) :]


def _change_number(text: str, draw: random.Random) -> str:
    return _replace_value(text, draw, _NUMBERS + (_JSON_NUMBERS if _is_json(text) else _YAML_NUMBERS))


def _insert_tag(text: str, draw: random.Random) -> str:
    return _replace_value(text, draw, _TAGS)


def _insert_signs(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text) + 1)
    return (
        text[:place]
        + draw.choice(("[", "]", "{", "}", '"', "'", ":", ",", "#", "&", "*", "|", ">", "%", "@", "`"))
        + text[place:]
    )


def _insert_control(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text) + 1)
    return text[:place] + draw.choice(_CONTROL) + text[place:]


def _nest_deeply(text: str, draw: random.Random) -> str:
    depth = draw.choice((60, 1000, 3000))
    return _replace_value(text, draw, ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth))


def _add_aliases(text: str, draw: random.Random) -> str:
    bomb = "[&a [x, x, x, x, x, x, x, x, x]" + "".join(
        f", &{chr(98 + level)} [{', '.join(['*' + chr(97 + level)] * 9)}]" for level in range(8)
    )
    merged = "{<<: [&a {a: 1}, &b {<<: [*a, *a], b: 2}], <<: *b}"
    values = (
        "&a [*a]",
        "&a {a: *a}",
        "&a {*a : 1}",
        "*nothing",
        bomb + "]",
        merged,
        "&a x",
        "{<<: x}",
        "{<<: &m {<<: *m}}",
    )
    return _replace_value(text, draw, values)


def _truncate(text: str, draw: random.Random) -> str:
    return text[: draw.randrange(len(text))]


def _encode_otherwise(text: str, draw: random.Random) -> bytes:
    place = draw.randrange(len(text))
    return draw.choice(
        (
            text.encode("utf-16"),
            text.encode("utf-32"),
            b"\xff\xfe" + text.encode(),
            (text[:place] + "é" + text[place:]).encode("latin-1", "replace"),
            text[:place].encode() + bytes([draw.randrange(128, 256)]) + text[place:].encode(),
            b"\x1f\x8b\x08\x00" + text.encode()[:200],
        )
    )


def _replace_all(text: str, draw: random.Random) -> str:
    return draw.choice(
        ("", " ", "\n\n", "null", "1", "[]", "{}", '"x"', "- a\n- b\n", "[" * 3000, "7" * 5000, "---\n---\n")
    )


def _rename_key(text: str, draw: random.Random) -> str:
    found = list(re.finditer(r'^[ \t]*(?:- )?("?)([A-Za-z_]\w*)\1:', text, re.MULTILINE))
    if not found:
        return text
    match = draw.choice(found)
    key = match[2]
    names = [
        f"{key}x",
        key[1:],
        key.upper(),
        f"{key}[0]",
        f"[{key}]",
        f"[{key}",
        "1",
        "null",
        "true",
        "",
        "1.5",
        "é",
        "a" * 300,
    ]
    names += [] if _is_json(text) else ["? [a, b]", "2020-01-01", "!!int x", "<<", "{a: b}", "~"]
    return text[: match.start(2)] + draw.choice(names) + text[match.end(2) :]


def _change_node(text: str, draw: random.Random) -> str:
    """Change one value, key or item of the content, and write it again: the syntax stays right."""
    content = _load(text)
    places = list(_places(content))
    if not places:
        return text
    within, key = draw.choice(places)
    change = draw.choice(("value", "value", "value", "delete", "rename", "again"))
    if change == "value":
        within[key] = draw.choice(_VALUES)
    elif change == "delete":
        del within[key]
    elif isinstance(within, dict):
        within[f"{key}_" if change == "rename" else draw.choice(("", "[x]", "1", "a" * 300))] = within[key]
        if change == "rename":
            del within[key]
    else:
        within.append(within[key])
    return json.dumps(content, indent=2) if _is_json(text) else yaml.safe_dump(content, sort_keys=False)


def _change_nodes(text: str, draw: random.Random) -> str:
    for _ in range(draw.randrange(2, 6)):
        text = _change_node(text, draw)
    return text


def _load(text: str) -> Any:
    return json.loads(text) if _is_json(text) else yaml.safe_load(text)


def _places(content: Any) -> Any:
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(pairs):
        yield content, key
        yield from _places(value)


KINDS: dict[str, Callable[[str, random.Random], str | bytes]] = {
    "delete lines": _delete_lines,
    "repeat lines": _repeat_lines,
    "swap lines": _swap_lines,
    "indent a line": _indent_line,
    "change a number": _change_number,
    "insert a tag": _insert_tag,
    "insert signs": _insert_signs,
    "insert control characters": _insert_control,
    "nest deeply": _nest_deeply,
    "add aliases": _add_aliases,
    "truncate": _truncate,
    "encode otherwise": _encode_otherwise,
    "replace all": _replace_all,
    "rename a key": _rename_key,
    "change a value": _change_node,
    "change values": _change_nodes,
}
"""What damages a text, by name."""
