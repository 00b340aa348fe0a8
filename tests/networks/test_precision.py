import pytest
import torch

from pipeline.networks.precision import cpu_has_bfloat16


@pytest.mark.parametrize(
    ("capabilities", "allowed", "expected"),
    [
        ({"avx512_bf16": True}, True, True),
        ({"bf16": True}, True, True),
        # oneDNN also accepts bfloat16 where it has to convert it to float32.
        ({"avx2": True, "avx512_bf16": False}, True, False),
        # The processor has it, and ONEDNN_MAX_CPU_ISA forbids it.
        ({"avx512_bf16": True, "amx_bf16": True}, False, False),
        ({}, False, False),
    ],
)
def test_bfloat16_needs_the_processor_and_the_library(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], allowed: bool, expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: allowed)
    assert cpu_has_bfloat16() is expected
