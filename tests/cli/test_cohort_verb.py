import argparse
from typing import Any

import pytest

from pipeline.cli import _parser
from pipeline.cli.cohort_verb import _words


def parse(*words: str) -> argparse.Namespace:
    return _parser().parse_args(words)


def of_predict(options: argparse.Namespace) -> dict[str, Any]:
    left_out = ("verb", "run", "stdin", "merge", "shard", "shards", "jobs", "profile", "dry_run", "passed")
    return {key: value for key, value in vars(options).items() if key not in left_out}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--format", "nrrd", "--probabilities", "--uncertainty", "--statistics", "--preview", "--overwrite"),
        ("--checkpoint", "a file.pt", "b.pt", "--tta", "--fast", "--no-postprocessing", "--device", "cuda:1"),
        ("--training", "one", "two"),
        ("--folds", "0", "3", "--runtime", "pytorch"),
        ("--set", "precision=float32", "inferer#overlap=0.25", "--set", "a='b c'", "x=[1, None]", "y=1e-3x"),
    ],
)
def test_the_options_of_predict_reach_it_unchanged(words: tuple[str, ...]) -> None:
    cohort = parse("cohort", "bundle", "scans", "-o", "out", "-j", "2", *words)
    passed = list(_words(cohort.passed, cohort))
    assert of_predict(parse("predict", "bundle", "scans", "-o", "out", *passed)) == of_predict(cohort)
    assert bool(passed) == bool(words)


def test_threads_and_memory_are_shared_out_instead() -> None:
    cohort = parse("cohort", "bundle", "scans", "-o", "out", "--threads", "4", "--memory", "4GB", "--tta")
    assert list(_words(cohort.passed, cohort)) == ["--tta"]
