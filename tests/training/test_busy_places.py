"""What a loading process worked on is known after it was killed."""

import copy
import multiprocessing
import os
import pickle
import signal
import sys
from types import SimpleNamespace

import pytest

from pipeline.training import busy_places
from pipeline.training.busy_places import BusyPlaces


def die_at(busy, worker, place):
    busy_places.get_worker_info = lambda: SimpleNamespace(id=worker)
    busy.begin(7)
    busy.end()
    busy.begin(place)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="needs processes that are forked")
def test_the_place_outlives_the_process():
    busy = BusyPlaces()
    for worker, place in ((0, 0), (3, 11)):
        process = multiprocessing.get_context("fork").Process(target=die_at, args=(busy, worker, place))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert busy.list() == [0, 11]


def test_the_main_process_and_copies_keep_nothing():
    busy = BusyPlaces()
    busy.begin(3)
    assert busy.list() == []
    for other in (copy.copy(busy), copy.deepcopy(busy), pickle.loads(pickle.dumps(busy))):
        other.begin(3)
        assert other.list() == []
