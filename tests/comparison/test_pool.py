import os
import re
import signal
import time

import pytest

from pipeline.comparison import pool
from pipeline.comparison.pool import Pool, count_jobs
from pipeline.data.errors import InputError


def test_there_are_no_more_processes_than_cases(monkeypatch):
    assert count_jobs(4, 3) == 3
    assert count_jobs(1, 100) == 1
    monkeypatch.setattr(pool.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert [count_jobs(None, cases) for cases in (0, 7, 16, 1000)] == [1, 1, 2, 8]
    with pytest.raises(InputError, match="--jobs: found 0"):
        count_jobs(0, 3)


def test_results_are_in_order_whatever_the_number_of_processes():
    with Pool(1, progress=False) as one, Pool(2, progress=False) as two:
        assert one.map(abs, [-3, 2, -1], title="x") == two.map(abs, [-3, 2, -1], title="x") == [3, 2, 1]
        assert os.getpid() not in two.map(process, [0, 0], title="x")


def test_an_error_ends_the_processes_that_still_work():
    # Otherwise this test takes as long as the other process sleeps.
    with pytest.raises(ZeroDivisionError), Pool(2, progress=False) as two:
        two.map(divide, [0, 1], title="x")


def test_a_process_that_is_killed_is_one_message_that_names_its_cases():
    with pytest.raises(InputError) as raised, Pool(2, progress=False) as two:
        two.map(end_at_three, [1, 2, 3], title="Measuring", name="case_{}".format)
    assert re.search(r"ended by the system while it was measuring one of cases? .*case_3", raised.value.found)
    assert "--jobs 1" in raised.value.remedy


def end_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)


def process(_):
    return os.getpid()


def divide(number):
    if number:
        time.sleep(600)
    return 1 / number
