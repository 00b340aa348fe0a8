import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer
from torch import Tensor, nn

from pipeline.data.errors import InputError
from pipeline.inference import PrecisionInferer, PrecisionSlidingWindowInferer, choose_precision, inferers


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv3d(1, 2, 3, padding=1)


@pytest.fixture
def volume() -> Tensor:
    return torch.randn(1, 1, 20, 12, 9, generator=torch.Generator().manual_seed(1))


def test_auto_takes_bfloat16_where_the_cpu_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(inferers, "cpu_has_bfloat16", lambda has=has: has)
        assert choose_precision("cpu") == expected


@pytest.mark.parametrize(("ampere", "expected"), [(True, "bfloat16"), (False, "float16")])
def test_auto_on_a_gpu(monkeypatch: pytest.MonkeyPatch, ampere: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: ampere)
    assert choose_precision("cuda:0") == expected


def test_a_precision_insisted_on_is_kept() -> None:
    assert choose_precision("cpu", "float32") == "float32"
    assert choose_precision("cuda:0", "float16") == "float16"
    with pytest.raises(InputError, match="auto, bfloat16, float16, float32"):
        choose_precision("cpu", "bf16")


def test_a_cpu_does_not_compute_in_float16() -> None:
    with pytest.raises(InputError, match=r"float16 on a CPU.*; expected auto, bfloat16 or float32"):
        choose_precision("cpu", "float16")


@pytest.mark.parametrize("inferer", [PrecisionInferer, PrecisionSlidingWindowInferer])
@pytest.mark.parametrize("precision", ["auto", "bf16", ""])
def test_an_inferer_takes_a_format_only(inferer: type, precision: str) -> None:
    options = {"roi_size": (8, 8, 8)} if inferer is PrecisionSlidingWindowInferer else {}
    assert inferer("float16", **options).precision == "float16"
    with pytest.raises(InputError, match=f"found '{precision}'; expected one of bfloat16, float16, float32"):
        inferer(precision, **options)


def test_float32_is_monais_own_inferer(network: nn.Module, volume: Tensor) -> None:
    assert torch.equal(PrecisionInferer("float32")(volume, network), SimpleInferer()(volume, network))
    options = {"roi_size": (8, 8, 8), "overlap": 0.5, "mode": "gaussian"}
    expected = SlidingWindowInferer(**options)(volume, network)
    assert torch.equal(PrecisionSlidingWindowInferer("float32", **options)(volume, network), expected)


@pytest.mark.parametrize("inferer", [PrecisionInferer, PrecisionSlidingWindowInferer])
def test_bfloat16_computes_in_it_and_returns_float32(inferer: type, network: nn.Module, volume: Tensor) -> None:
    seen: list[torch.dtype] = []
    network.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    options = {"roi_size": (8, 8, 8)} if inferer is PrecisionSlidingWindowInferer else {}
    expected = inferer("float32", **options)(volume, network)
    seen.clear()
    result = inferer("bfloat16", **options)(volume, network)
    assert set(seen) == {torch.bfloat16}
    assert result.dtype == torch.float32
    # bfloat16 has 8 bits of mantissa: relative steps of 2^-8.
    torch.testing.assert_close(result, expected, atol=0.05, rtol=2**-6)


def test_deep_supervision_keeps_its_list(volume: Tensor) -> None:
    def two_outputs(x: Tensor) -> list[Tensor]:
        return [x.bfloat16(), x[..., ::2].bfloat16()]

    fine, coarse = PrecisionInferer("bfloat16")(volume, two_outputs)
    assert fine.dtype == coarse.dtype == torch.float32
    assert coarse.shape == volume[..., ::2].shape
