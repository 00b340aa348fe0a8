import pytest

from pipeline.cohort.division import choose_count, name_shard
from pipeline.data.errors import InputError
from pipeline.prediction.shards import Shard


@pytest.mark.parametrize(
    ("scans", "jobs", "count"),
    [
        (1, 1, 1),
        (1, 8, 1),
        (10, 1, 1),
        # At least as many as jobs, and at most four rounds of 25 scans or more.
        (10, 4, 4),
        (49, 1, 1),
        (50, 1, 2),
        (200, 2, 8),
        (10_000, 2, 8),
        (10_000, 50, 200),
        (1_000, 50, 50),
        (10**6, 9_000, 9_999),
    ],
)
def test_the_default_number_of_shards(scans: int, jobs: int, count: int) -> None:
    assert choose_count(None, scans=scans, jobs=jobs) == count


@pytest.mark.parametrize("given", [0, -1, 4])
def test_a_number_that_does_not_fit_is_refused(given: int) -> None:
    with pytest.raises(InputError, match=f"found {given} for 3 scans; expected 1 to 3"):
        choose_count(given, scans=3, jobs=1)
    assert choose_count(3, scans=3, jobs=1) == 3


def test_names_sort_as_the_shards() -> None:
    assert [name_shard(Shard(number, 100)) for number in (3, 100)] == ["shard_003_of_100", "shard_100_of_100"]
