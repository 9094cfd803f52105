"""The number format to compute in."""

from __future__ import annotations


def choose_precision(asked: str, accelerator: str) -> str:
    """The precision in Lightning's words.

    Args:
        asked: one of Lightning's, or "auto": bfloat16 where the hardware has it natively, float16 on
            older CUDA devices, else float32.
        accelerator: "cuda", "mps" or "cpu": where the run will be.
    """
    if asked != "auto":
        return asked
    import torch

    if accelerator == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if native else "16-mixed"
    if accelerator == "cpu" and cpu_has_bfloat16():
        return "bf16-mixed"
    return "32-true"


def cpu_has_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 natively (AVX512-BF16 or AMX)."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
