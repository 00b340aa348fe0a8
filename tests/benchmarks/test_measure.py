import json

import measure
import pytest
from measure import Spread, paired_ratio, rounds_in_time, seconds, table, write_json


def test_spread_of_a_hand_computed_list():
    # Quartiles of 1, 2, 3, 4, 10 lie on the second and the fourth value.
    assert Spread.of([10.0, 1.0, 3.0, 2.0, 4.0]) == Spread(3.0, 2.0, 4.0, 5)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0, 1)


def test_ratio_is_taken_within_a_round():
    # The machine is ten times slower in the second round; one network takes half of the other's time all the same.
    assert paired_ratio([1.0, 10.0, 1.0], [2.0, 20.0, 2.0]) == Spread(0.5, 0.5, 0.5, 3)


def test_every_round_calls_everything_once_in_an_order_of_the_seed():
    def orders(seed):
        calls = []
        works = {name: lambda name=name: calls.append(name) or 0.0 for name in "abcde"}
        made = list(rounds_in_time(works, minutes=0, at_least=3, seed=seed))
        assert [set(one) for one in made] == [set("abcde")] * 3
        return [calls[i : i + 5] for i in (0, 5, 10)]

    first = orders(0)
    assert [sorted(order) for order in first] == [list("abcde")] * 3
    assert first[0] != first[1]
    assert orders(0) == first


def test_rounds_go_on_until_the_time_is_over():
    rounds = rounds_in_time({"a": lambda: 0.0}, minutes=1, at_least=1, seed=0)
    assert [next(rounds) for _ in range(50)] == [{"a": 0.0}] * 50
    assert len(list(rounds_in_time({"a": lambda: 0.0}, minutes=0, at_least=2, seed=0))) == 2


def test_the_first_call_is_not_timed(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setitem(measure.CLOCKS, "wall", lambda: next(clock) / 10)
    calls = []
    # The clock goes on by 0.1 s at each look, so each call takes 0.1 s.
    assert seconds(lambda: calls.append(1), "cpu", repeats=4) == pytest.approx(0.1)
    assert len(calls) == 5


def test_table_aligns():
    assert table(["a", "bb"], [["long", "1"]]) == "a     bb\n----  --\nlong   1"


def test_json_holds_spreads_as_objects(tmp_path):
    write_json(tmp_path / "new" / "r.json", {"x": [Spread(1.0, 0.5, 2.0, 4)], "size": (1, 2)})
    expected = {"x": [{"median": 1.0, "low": 0.5, "high": 2.0, "count": 4}], "size": [1, 2]}
    assert json.loads((tmp_path / "new" / "r.json").read_text()) == expected
