"""What shards have in common, without computing anything."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.data.errors import InputError
from pipeline.prediction import shard_plan
from pipeline.prediction.outputs import Wanted
from pipeline.prediction.request import Request
from pipeline.prediction.shard_plan import ShardPlan
from pipeline.prediction.shards import Shard
from pipeline.prediction.with_network import _agree

SETTINGS = {"bundle": "tiny", "tta": False, "weights": ["abc"], "settings": {}}
CHOSEN = {"precision": "float32", "runtime": "pytorch"}


def request(folder: Path, number: int = 1, count: int = 2, **options: Any) -> Request:
    return Request(Path("bundle"), [], folder, shard=Shard(number, count), **options)


def join(folder: Path, *names: str, **options: Any) -> ShardPlan:
    return ShardPlan.join(request(folder, **options), SETTINGS, names or ("a", "b"))


def finish(plan: ShardPlan, number: int, **more: Any) -> None:
    shard = plan.shards[number - 1]
    content = {"shard": plan.mark(shard), "interrupted": False, **more}
    (plan.output / shard.report_name).write_text(json.dumps(content))


def test_shards_of_one_division_have_one_plan(tmp_path: Path) -> None:
    first = join(tmp_path, "b", "a")
    # The order of the words may differ between machines.
    second = join(tmp_path, "a", "b", number=2)
    assert first.key == second.key
    assert ShardPlan.find(tmp_path).content["scans"] == ["b", "a"]
    assert [str(shard) for shard in first.shards] == ["1/2", "2/2"]


def test_runtime_and_precision_are_those_of_the_first(tmp_path: Path) -> None:
    first, second = join(tmp_path), join(tmp_path, number=2)
    assert second.choice() == {}
    assert first.agree(CHOSEN) == CHOSEN
    assert second.agree({"precision": "float32", "runtime": "openvino"}) == CHOSEN
    second.require(CHOSEN)
    with pytest.raises(InputError, match=r"runtime pytorch \(now openvino\)"):
        second.require({"precision": "float32", "runtime": "openvino"})


def test_a_choice_that_cannot_be_read_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_plan, "_PAUSE", 0)
    plan = join(tmp_path)
    plan._file("choice").write_text("{")
    with pytest.raises(InputError, match="no runtime and precision"):
        plan.agree(CHOSEN)
    plan._file("plan").write_text("{}")
    with pytest.raises(InputError, match="no shards"):
        ShardPlan.find(tmp_path)


def predictor(runtime: str) -> Any:
    return SimpleNamespace(bundle=SimpleNamespace(precision="float32", runtime=SimpleNamespace(runtime=runtime)))


def test_a_shard_that_measured_at_the_same_time_follows_the_first(tmp_path: Path) -> None:
    plan, asked = join(tmp_path), []

    def load(only: str | None) -> Any:
        asked.append(only)
        return predictor("pytorch")

    assert _agree(request(tmp_path), plan, predictor("pytorch"), load).bundle.runtime.runtime == "pytorch"
    assert asked == []
    found = _agree(request(tmp_path, 2), join(tmp_path, number=2), predictor("openvino"), load)
    assert (found.bundle.runtime.runtime, asked) == ("pytorch", ["pytorch"])
    with pytest.raises(InputError, match="runtime pytorch"):
        _agree(request(tmp_path, 2), plan, predictor("openvino"), lambda _: predictor("openvino"))


def test_a_shard_is_unfinished_without_its_own_whole_report(tmp_path: Path) -> None:
    plan = join(tmp_path)
    plan.agree(CHOSEN)
    assert [str(shard) for shard in plan.unfinished()] == ["1/2", "2/2"]
    finish(plan, 1)
    finish(plan, 2, interrupted=True)
    assert [str(shard) for shard in plan.unfinished()] == ["2/2"]
    finish(plan, 2, shard={**plan.mark(plan.shards[1]), "plan": "of another"})
    assert plan.report(plan.shards[1]) is None
    finish(plan, 2)
    assert plan.unfinished() == []
    join(tmp_path, number=2)
    assert [str(shard) for shard in plan.unfinished()] == ["2/2"]


@pytest.mark.parametrize(
    ("names", "options", "found"),
    [
        ((), {"count": 3}, r"2 shards \(now 3\)"),
        (("a", "c"), {}, r"2 scans \(now 2; new: c; missing: b\)"),
        ((), {"wanted": Wanted(preview=True)}, r"preview False \(now True\)"),
        ((), {"runtime": "openvino"}, r"runtime auto \(now openvino\)"),
    ],
)
@pytest.mark.parametrize("by", ["choice", "report"])
def test_another_division_is_refused_once_one_has_begun(
    names: tuple[str, ...], options: dict[str, Any], found: str, by: str, tmp_path: Path
) -> None:
    other = join(tmp_path, *names, **options)
    # Nothing was done in this one, so that it is replaced.
    plan = join(tmp_path)
    assert not other._file("plan").exists()
    if by == "choice":
        plan.agree(CHOSEN)
    else:
        finish(plan, 2)
    with pytest.raises(InputError, match=found):
        join(tmp_path, *names, **options)
    assert ShardPlan.find(tmp_path).key == plan.key
    replaced = join(tmp_path, *names, **options, overwrite=True)
    assert ShardPlan.find(tmp_path).key == replaced.key
    assert replaced.choice() == {}
    assert not (tmp_path / Shard(2, 2).report_name).exists()


def test_a_plan_that_others_replaced_meanwhile_is_given_up(tmp_path: Path) -> None:
    first = join(tmp_path)
    second = join(tmp_path, count=5)
    with pytest.raises(InputError, match=r"5 shards \(now 2\)"):
        first.agree(CHOSEN)
    assert first.choice() == {}
    assert second.agree(CHOSEN) == CHOSEN
    with pytest.raises(InputError, match="replaced meanwhile"):
        ShardPlan.find(tmp_path, key=first.key)


def test_two_divisions_that_start_at_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = join(tmp_path, count=3)
    # The other one's plan came after this one had looked.
    monkeypatch.setattr(ShardPlan, "_replace_others", lambda *_, **__: None)
    with pytest.raises(InputError, match=r"3 shards \(now 2\)"):
        join(tmp_path)
    assert [plan.key for plan in ShardPlan._all(tmp_path)] == [other.key]


def test_a_report_of_unknown_origin_stays(tmp_path: Path) -> None:
    file = tmp_path / "report.shard_01_of_02.json"
    file.write_text("mine")
    with pytest.raises(InputError, match="without a record"):
        join(tmp_path)
    assert file.read_text() == "mine"


def test_a_request_without_a_shard_has_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no plan"):
        ShardPlan.join(Request(Path("bundle"), [], tmp_path), SETTINGS, ["a"])
    with pytest.raises(InputError, match="no shards"):
        ShardPlan.find(tmp_path)
