"""The fuzzer of files: the same tries each time, whole samples are read, and damage ends in one message."""

import random
from pathlib import Path

import pytest

from .fuzz_files import GOOD, count_outcomes, format_table, run_tries, run_whole
from .mutate_file import FORMATS, make_samples, mutate


@pytest.mark.parametrize("form", FORMATS)
def test_a_sample_without_damage_is_read(tmp_path: Path, form: str) -> None:
    assert run_whole(make_samples()[form], tmp_path)[0] == "read"


def test_the_same_numbers_give_the_same_damage() -> None:
    content = make_samples()["nii.gz"]["a.nii.gz"]
    first, second = ([mutate(content, random.Random(number)) for number in range(40)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 30


def test_damaged_files_of_all_formats_are_read_or_refused_in_one_message() -> None:
    results = list(run_tries(range(5 * len(FORMATS)), seed=0, limited=False))
    assert [one for one in results if one["outcome"] not in GOOD] == []
    counts = count_outcomes(results)
    assert {form: count.total() for form, count in counts.items()} == dict.fromkeys(FORMATS, 5)
    assert format_table(counts).splitlines()[-1].startswith("| all | 90 | ")
