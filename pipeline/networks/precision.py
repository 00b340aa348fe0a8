"""Find out which number formats a processor computes in."""

import torch

__all__ = ["cpu_has_bfloat16"]


def cpu_has_bfloat16() -> bool:
    """Return whether the CPU multiplies in bfloat16 itself (AVX512-BF16, AMX, or ARM's), not by converting to float32.

    The processor must have the instructions, and oneDNN must be allowed to use them: ``ONEDNN_MAX_CPU_ISA`` limits it.
    """
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if not any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16")):
        return False
    allowed = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return allowed is None or bool(allowed())
