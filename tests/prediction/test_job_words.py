"""Remedies of jobs."""

import re
from pathlib import Path

import pytest

import pipeline
from pipeline.prediction.job_words import _WORDS, name_keys


def test_only_the_remedy_is_changed() -> None:
    message = "/data/-o OUT/--overwrite: found a file. What to do: write into another folder: -o OUT."
    assert name_keys(message) == (
        '/data/-o OUT/--overwrite: found a file. What to do: name another folder in "output".'
    )


def test_other_messages_stay_as_they_are() -> None:
    for message in ("a bug", "x: found y; expected z. What to do: add --memory SIZE."):
        assert name_keys(message) == message


@pytest.mark.parametrize("option", [option for option, _ in _WORDS])
def test_the_replaced_words_are_those_of_an_error(option: str) -> None:
    # Otherwise a change of the error's words would bring the option back.
    root = Path(pipeline.__file__).parent
    texts = [file.read_text() for room in ("prediction", "data") for file in (root / room).rglob("*.py")]
    joined = [re.sub(r'"\s*\n\s*f?"', "", text) for text in texts if "_WORDS = (" not in text]
    assert any(option in text for text in joined)
