"""Merged reports. `test_shards.py` compares them with those of one process."""

from typing import Any

from pipeline.prediction.merge import _name, merge_reports
from pipeline.prediction.shards import Shard


def report(*names: str, **more: Any) -> dict[str, Any]:
    return {
        "started": "2026-01-02T03:04:05+00:00",
        "versions": {"torch": "2.1", "numpy": "2.0"},
        "device": "cpu",
        "threads": 1,
        "runtime": "pytorch",
        "precision": "float32",
        "processes": 1,
        "interrupted": False,
        "peak_memory_bytes": 5,
        "memory_budget_bytes": None,
        "seconds": 1.5,
        "shard": {"number": 1},
        "scans": [{"name": name} for name in names],
        **more,
    }


EMPTY = report(device=None, runtime=None, precision=None, threads=None, versions={"torch": "1"}, seconds=0.25)


def test_times_are_added_and_the_largest_memory_counts() -> None:
    merged = merge_reports(
        [
            report("c", "a", seconds=2.0, peak_memory_bytes=7, threads=2),
            EMPTY,
            report("b", started="2026-01-02T03:00:00+00:00", memory_budget_bytes=9),
        ],
        ["a", "b", "c"],
    )
    assert merged == {
        "started": "2026-01-02T03:00:00+00:00",
        "versions": {"torch": "2.1", "numpy": "2.0"},
        "device": "cpu",
        "threads": 2,
        "runtime": "pytorch",
        "precision": "float32",
        "processes": 3,
        "interrupted": False,
        "peak_memory_bytes": 7,
        "memory_budget_bytes": 9,
        "seconds": 3.75,
        "scans": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
    }


def test_what_differs_between_machines_is_named() -> None:
    others = [
        report("a"),
        report("b", device="cuda:0", versions={"torch": "2.2", "numpy": "2.0", "openvino": "1"}),
        report("c"),
    ]
    merged = merge_reports(others, ["c", "b", "a"])
    assert merged["device"] == "cpu, cuda:0"
    assert merged["versions"] == {"torch": "2.1, 2.2", "numpy": "2.0", "openvino": "1"}
    assert [scan["name"] for scan in merged["scans"]] == ["c", "b", "a"]


def test_shards_that_all_computed_nothing() -> None:
    merged = merge_reports([EMPTY, EMPTY], [])
    assert (merged["device"], merged["runtime"], merged["threads"], merged["scans"]) == (None, None, None, [])
    assert merged["seconds"] == 0.5


def test_of_many_shards_the_first_are_named() -> None:
    shards = [Shard(number, 20) for number in range(1, 21)]
    assert _name(shards[:2]) == "1, 2"
    assert _name(shards) == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 10 more"
