"""Which GPU a name means."""

import pytest

from eval.fits.devices import DEVICES, device_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", "A100 80GB"),
        ("NVIDIA A100-PCIE-40GB", "A100"),
        ("a100 80gb", "A100 80GB"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("2 x NVIDIA H200", "H200"),
        ("vllm 0.32.0, torch 2.13.0, NVIDIA GeForce RTX 4090, bfloat16", "RTX 4090"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L40", None),
        ("cpu, 2 threads", None),
    ],
)
def test_a_name_means_the_gpu_whose_words_are_all_in_it(text: str, name: str | None) -> None:
    found = device_of(text)
    assert (found and found.name) == name


def test_every_device_is_found_by_its_own_name_and_says_its_source() -> None:
    for device in DEVICES:
        assert device_of(device.name) is device
        assert device.source
        assert 50e12 < device.peak < 5e15
        assert 20e9 < device.memory < 300e9
