"""What is kept of a network for the next start: its key, its times, its converted form; and damage."""

import importlib.util
import os
import resource
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from pipeline.inference import runtime_cache as module
from pipeline.inference.runtime_cache import RuntimeCache, cache_folder, name_processor
from pipeline.inference.runtimes import OpenVINONetwork
from pipeline.networks import VNet

SHAPE = (1, 8, 8, 8)
needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino: pip install '.[runtime]'")


def make_network(seed: int = 0, channels: tuple[int, ...] = (2, 4), skip: str = "concat") -> VNet:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = VNet(3, in_channels=1, out_channels=2, channels=channels, kernel_size=3, skip=skip)
    return network.eval().requires_grad_(False)


def key_of(network: nn.Module, shape: tuple[int, ...] = SHAPE) -> str:
    return RuntimeCache(network, shape, Path("nowhere")).key


def write_model(cache: RuntimeCache, content: str = "model") -> None:
    """Keep files as OpenVINO writes them: the weights next to the path, with another ending."""

    def save(path: Path) -> None:
        path.write_text(content)
        path.with_suffix(".bin").write_text("weights")

    cache.keep_model(save)


# --- keys -------------------------------------------------------------------------------------------------------------


def test_the_same_network_has_the_same_key() -> None:
    network = make_network()
    assert key_of(network) == key_of(make_network())
    with torch.inference_mode():
        network(torch.zeros(1, *SHAPE))
    assert key_of(network) == key_of(make_network())


def test_other_weights_have_another_key() -> None:
    network = make_network()
    before = key_of(network)
    for values in network.state_dict().values():
        # The smallest change of one number.
        flat = values.view(-1)
        kept = flat[-1].clone()
        flat[-1] = torch.nextafter(kept, torch.tensor(10.0)) if flat.is_floating_point() else kept + 1
        assert key_of(network) != before
        flat[-1] = kept
    assert key_of(network) == before


def test_another_shape_or_network_has_another_key() -> None:
    network = make_network()
    keys = [key_of(network), key_of(network, (1, 8, 8, 16)), key_of(network, (1, 16, 8, 8))]
    keys += [key_of(make_network(channels=(4, 8))), key_of(make_network(skip="sum")), key_of(make_network(1))]
    assert len(set(keys)) == len(keys)


def test_the_same_weights_with_other_settings_have_another_key() -> None:
    # A settings change that no tensor shows.
    one, other = (nn.Sequential(nn.Conv3d(1, 2, 3), nn.LeakyReLU(slope)) for slope in (0.1, 0.2))
    other.load_state_dict(one.state_dict())
    assert key_of(one) != key_of(other)


def load(file: Path, text: str) -> ModuleType:
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("own_network", file)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    # Not from a file of bytecode, which has the same second.
    exec(compile(text, str(file), "exec"), loaded.__dict__)
    return loaded


def test_other_code_has_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from torch import nn\nclass Own(nn.Conv3d):\n    def forward(self, x):\n        return 2 * x\n"
    keys = []
    for code in (text, text.replace("2 * x", "3 * x"), text):
        own = load(tmp_path / "own_network.py", code)
        monkeypatch.setitem(sys.modules, "own_network", own)
        network = own.Own(1, 1, 1)
        network.load_state_dict({"weight": torch.ones(1, 1, 1, 1, 1), "bias": torch.zeros(1)})
        # Also where it is a part of another one.
        keys.append((key_of(network), key_of(nn.Sequential(network))))
    assert keys[0] == keys[2]
    assert keys[0][0] != keys[1][0]
    assert keys[0][1] != keys[1][1]


def test_other_versions_have_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network()
    keys = {key_of(network)}
    for changed in ("torch", "openvino"):
        own = module.version
        with monkeypatch.context() as patch:
            patch.setattr(
                module, "version", lambda name, own=own, changed=changed: "9" if name == changed else own(name)
            )
            keys.add(key_of(network))
    assert len(keys) == 3


def test_a_processor_has_one_name() -> None:
    assert name_processor() == name_processor()
    assert torch.backends.cpu.get_cpu_capability() in name_processor()


# --- the folder -------------------------------------------------------------------------------------------------------


def test_the_folder_is_the_user_s_or_the_named_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for key in ("LIGHTSKIP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(key, raising=False)
    assert cache_folder() == tmp_path / ".cache" / "lightskip"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/lightskip")
    monkeypatch.setenv("LIGHTSKIP_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"
    cache = RuntimeCache(make_network(), SHAPE)
    assert cache.folder == tmp_path / "own" / "networks" / cache.key
    # Nothing is made for a question.
    assert cache.find_model() is None
    assert cache.read_times("this processor") == {}
    assert not (tmp_path / "own").exists()


# --- times ------------------------------------------------------------------------------------------------------------


def test_times_are_kept_by_what_they_depend_on(tmp_path: Path) -> None:
    cache = RuntimeCache(make_network(), SHAPE, tmp_path)
    cache.write_times("one", {"pytorch": 0.1234567, "openvino": 2})
    cache.write_times("other", {"pytorch": 3.0})
    again = RuntimeCache(make_network(), SHAPE, tmp_path)
    assert again.read_times("one") == {"pytorch": 0.1235, "openvino": 2}
    assert again.read_times("other") == {"pytorch": 3.0}
    assert again.read_times("a third") == {}
    again.write_times("one", {"pytorch": 5.0})
    assert again.read_times("one") == {"pytorch": 5.0}
    assert RuntimeCache(make_network(1), SHAPE, tmp_path).read_times("one") == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"one": 3}', '{"one": {"pytorch": "fast"}}', "\x80"])
def test_damaged_times_are_none_and_are_replaced(text: str, tmp_path: Path) -> None:
    cache = RuntimeCache(make_network(), SHAPE, tmp_path)
    cache.write_times("one", {"pytorch": 1.0})
    (cache.folder / "times.json").write_text(text, encoding="latin-1")
    assert cache.read_times("one") == {}
    cache.write_times("one", {"pytorch": 2.0})
    assert cache.read_times("one") == {"pytorch": 2.0}


# --- the converted network --------------------------------------------------------------------------------------------


def test_a_kept_network_is_found(tmp_path: Path) -> None:
    cache = RuntimeCache(make_network(), SHAPE, tmp_path)
    assert cache.find_model() is None
    write_model(cache)
    found = RuntimeCache(make_network(), SHAPE, tmp_path).find_model()
    assert found == cache.folder / "model.xml"
    assert found.read_text() == "model"
    assert found.with_suffix(".bin").read_text() == "weights"
    assert sorted(file.name for file in cache.folder.iterdir()) == ["model.bin", "model.json", "model.xml"]
    assert RuntimeCache(make_network(1), SHAPE, tmp_path).find_model() is None


@pytest.mark.parametrize("name", ["model.xml", "model.bin"])
@pytest.mark.parametrize("how", ["changed", "cut", "missing"])
def test_a_damaged_file_is_reported_and_not_used(
    name: str, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = RuntimeCache(make_network(), SHAPE, tmp_path)
    write_model(cache)
    file = cache.folder / name
    content = file.read_bytes()
    file.write_bytes({"changed": b"x" + content[1:], "cut": content[:-1], "missing": b""}[how])
    if how == "missing":
        file.unlink()
    assert cache.find_model() is None
    (message,) = caplog.messages
    assert str(cache.folder) in message
    assert "converted again" in message
    write_model(cache)
    assert cache.find_model() == cache.folder / "model.xml"


def test_what_a_killed_process_left_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = RuntimeCache(make_network(), SHAPE, tmp_path)
    write_model(cache)
    # The checksums are written last.
    (cache.folder / "model.json").unlink()
    assert cache.find_model() is None
    (cache.folder / "model.json").write_text("{}")
    assert cache.find_model() is None
    assert caplog.messages == []


def test_a_folder_that_cannot_be_written_to_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("LIGHTSKIP_CACHE", str(tmp_path / "file"))
    for seed in range(2):
        cache = RuntimeCache(make_network(seed), SHAPE)
        write_model(cache)
        cache.write_times("one", {"pytorch": 1.0})
        assert cache.find_model() is None
        assert cache.read_times("one") == {}
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path / 'file'}: found a folder that cannot be written to (")
    assert "LIGHTSKIP_CACHE" in message
    assert (tmp_path / "file").read_text() == "mine"


@needs_openvino
def test_on_a_full_disk_the_network_runs_and_nothing_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    network, x = make_network(), torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Less than the weights have.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        there = OpenVINONetwork(network, shape=SHAPE, cache=RuntimeCache(network, SHAPE, tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    torch.testing.assert_close(there(x), network(x), rtol=1e-4, atol=1e-4)
    assert "cannot be written to" in caplog.text
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_the_networks_that_were_used_last_are_kept(tmp_path: Path) -> None:
    network = make_network()
    # The largest number of networks, used one after the other: the first one longest ago.
    shapes = [(1, 8, 8, 8 + number) for number in range(20)]
    caches = [RuntimeCache(network, shape, tmp_path) for shape in shapes]
    for number, cache in enumerate(caches):
        write_model(cache)
        cache.write_times("one", {"pytorch": 1.0})
        os.utime(cache.folder, (number, number))
    assert len(list((tmp_path / "networks").iterdir())) == 20
    # The first one is used now, so the second one is the oldest.
    assert caches[0].find_model() is not None
    write_model(RuntimeCache(network, (1, 16, 16, 16), tmp_path))
    assert not caches[1].folder.exists()
    assert all(cache.folder.exists() for cache in (caches[0], *caches[2:]))
    assert len(list((tmp_path / "networks").iterdir())) == 20


@needs_openvino
def test_a_network_from_the_cache_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pipeline.inference import runtimes  # noqa: PLC0415

    converted = []
    trace = runtimes.trace_network

    def spied(network: nn.Module, example: torch.Tensor) -> object:
        converted.append(1)
        return trace(network, example)

    monkeypatch.setattr(runtimes, "trace_network", spied)
    network = make_network(skip="sat")
    x = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    expected = network(x)

    def run() -> torch.Tensor:
        found: torch.Tensor = OpenVINONetwork(network, shape=SHAPE, cache=RuntimeCache(network, SHAPE, tmp_path))(x)
        return found

    first, second = run(), run()
    assert len(converted) == 1
    assert torch.equal(first, second)
    torch.testing.assert_close(first, expected, rtol=1e-4, atol=1e-4)
    (weights,) = tmp_path.rglob("model.bin")
    weights.write_bytes(b"damaged")
    assert torch.equal(run(), first)
    assert len(converted) == 2
    assert len(caplog.messages) == 1
    run()
    assert len(converted) == 2


def test_the_home_of_an_unknown_user_is_a_folder_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTSKIP_CACHE", "~nobody-of-this-name/cache")
    assert cache_folder() == Path("~nobody-of-this-name/cache")
