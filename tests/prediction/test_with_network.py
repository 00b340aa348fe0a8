"""Which runtime a call takes: that of the output folder, or the one that all its processes share."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.distributed import HashStore

from pipeline.prediction import ranks as ranks_module
from pipeline.prediction import with_network as module
from pipeline.prediction.bundle_files import BundleFiles, Grid, read_bundle_files
from pipeline.prediction.inputs import ScanInput
from pipeline.prediction.ranks import Ranks
from pipeline.prediction.records import Records
from pipeline.prediction.report_file import make_settings
from pipeline.prediction.request import Request
from pipeline.prediction.result import Result
from pipeline.prediction.work import Work

Make = Callable[[int, int], Ranks]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Returns a process's view, by its number and how many there are; all share one store."""
    store = HashStore()
    monkeypatch.setattr(ranks_module, "rendezvous", lambda *_, **__: iter([(store,)]))
    monkeypatch.setattr(ranks_module, "_PAUSE", 0.001)

    def one(rank: int, count: int) -> Ranks:
        for key, value in {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank}.items():
            monkeypatch.setenv(key, str(value))
        return Ranks()

    return one


@pytest.fixture
def files(tiny_bundle: Path) -> BundleFiles:
    return read_bundle_files(tiny_bundle)


def begin(request: Request, files: BundleFiles, runtime: str) -> None:
    """Leave a finished scan in the output folder."""
    settings = make_settings(
        request,
        name=files.name,
        version=files.version,
        folder=files.folder,
        sha256=files.sha256,
        precision="float32",
        runtime=runtime,
    )
    records, outputs = Records(request.output, settings), request.outputs_for("a")
    records.begin("a", [], outputs)
    outputs.label_map.write_bytes(b"made")
    records.finish("a", outputs, {"status": "done"})


def test_all_processes_take_the_runtime_of_the_first(make: Make, files: BundleFiles, tmp_path: Path) -> None:
    # Each one's measurement may say something else, and one folder has label maps of one runtime.
    request = Request(files.folder, [], tmp_path)
    members = [make(rank, 3) for rank in range(3)]
    assert module._find_runtime(request, files, members[0]) is None
    for member, own in zip(members, ("openvino", "pytorch", "pytorch"), strict=True):
        member.publish("runtime", own)
    assert [module._find_runtime(request, files, member) for member in members[1:]] == ["openvino", "openvino"]


def test_a_folder_or_a_user_that_names_the_runtime_is_not_waited_for(
    make: Make, files: BundleFiles, tmp_path: Path
) -> None:
    member = make(1, 2)
    named = Request(files.folder, [], tmp_path, runtime="pytorch")
    assert module._find_runtime(named, files, member) is None
    request = Request(files.folder, [], tmp_path)
    begin(request, files, "openvino")
    for one in (make(0, 2), member, make(0, 1)):
        assert module._find_runtime(request, files, one) == "openvino"


@pytest.mark.parametrize("options", [{"overwrite": True}, {"fast": True}, {"output": "x.nii.gz"}])
def test_a_call_that_continues_nothing_chooses_anew(
    options: dict[str, Any], make: Make, files: BundleFiles, tmp_path: Path
) -> None:
    begin(Request(files.folder, [], tmp_path), files, "openvino")
    output = tmp_path / options.pop("output", "")
    assert module._find_runtime(Request(files.folder, [], output, **options), files, make(0, 1)) is None


def scans(count: int) -> tuple[ScanInput, ...]:
    return tuple(ScanInput(str(number), (f"{number}.nii",)) for number in range(count))


def test_windows_are_counted_for_what_is_left(make: Make, files: BundleFiles) -> None:
    assert files.grid == Grid((1.0,) * 3, (16,) * 3, 0.5)
    headers: Any = tuple(
        SimpleNamespace(spatial_shape=(length, 16, 16), spacing=(1.0, 1.0, 1.0)) for length in (16, 32)
    )
    done = (Result("0", (), "skipped"),)
    # One and three windows: two in the mean, for nine scans.
    work = Work(scans(10), done, headers)
    assert module._count_windows(files, work, make(0, 1)) == 18
    assert module._count_windows(files, work, make(1, 3)) == 6
    # One of three shards decides for all.
    names = tuple(str(number) for number in range(30))
    assert module._count_windows(files, Work(scans(10), done, headers, names), make(0, 1)) == 54
    assert module._count_windows(files, Work(scans(1), done, ()), make(0, 1)) == 0
    # Unknown numbers: of series, of a config that has to be evaluated, of a grid that has to be.
    assert module._count_windows(files, Work(scans(10), done, ()), make(0, 1)) is None
    assert module._count_windows(files, None, make(0, 1)) is None
    unknown = BundleFiles(files.folder, "", "", 1, None, "auto", (), (), grid=None)
    assert module._count_windows(unknown, work, make(0, 1)) is None
