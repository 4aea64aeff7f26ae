"""What GPUs can do at most, from their makers' data sheets: dense bf16 matrix products, in FLOP/s, and memory, in bytes.

    device_of("NVIDIA A100-SXM4-80GB")   ->   A100 80GB: 312e12 FLOP/s, 80 GB

A data sheet that gives the figure "with sparsity" is halved.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """One GPU. `peak`: FLOP/s of dense bf16; `memory`: bytes; `source`: the maker's paper that says so."""

    name: str
    peak: float
    memory: float
    source: str


DEVICES = (  # the first whose words are all in a name is meant, so the closer description stands first
    Device("B200", 2250e12, 180e9, "NVIDIA HGX B200 data sheet"),
    Device("H200", 989e12, 141e9, "NVIDIA H200 Tensor Core GPU data sheet"),
    Device("H100 PCIe", 756e12, 80e9, "NVIDIA H100 Tensor Core GPU data sheet, PCIe"),
    Device("H100", 989e12, 80e9, "NVIDIA H100 Tensor Core GPU data sheet, SXM"),
    Device("A100 80GB", 312e12, 80e9, "NVIDIA A100 Tensor Core GPU data sheet"),
    Device("A100", 312e12, 40e9, "NVIDIA A100 Tensor Core GPU data sheet"),
    Device("L40S", 362e12, 48e9, "NVIDIA L40S data sheet"),
    Device("L4", 121e12, 24e9, "NVIDIA L4 Tensor Core GPU data sheet"),
    Device("A10", 125e12, 24e9, "NVIDIA A10 Tensor Core GPU data sheet"),
    Device("RTX 4090", 165e12, 24e9, "NVIDIA Ada GPU architecture white paper, fp32 accumulate"),
    Device("RTX 3090", 71e12, 24e9, "NVIDIA Ampere GA102 GPU architecture white paper, fp32 accumulate"),
    Device("MI300X", 1307e12, 192e9, "AMD Instinct MI300X data sheet"),
)


def device_of(text: str) -> Device | None:
    """Return the GPU that a name means, as people write it or as its driver gives it; None if it is not listed."""
    words = _words(text)
    return next((device for device in DEVICES if _words(device.name) <= words), None)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))
