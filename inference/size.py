"""How large a model is, by its files alone.

    size_of(folder)   ->   Transformer(layers=32, width=4096, counted=6.5e9)

No weight is loaded: the head of a safetensors file says the shapes of its tensors.
"""

import json
import math
import struct
from pathlib import Path

from eval.fits.costs import Transformer


def size_of(folder: Path) -> Transformer | None:
    """Return the shape of the model in a folder: parameters are those of all tensors but embeddings, if its safetensors are here.

    An embedding is a matrix with a row for each token of the vocabulary. None if there is no config that says layers and width.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    config = config.get("text_config", config)
    layers, width = (
        config.get(ours, config.get(other)) for ours, other in (("num_hidden_layers", "n_layer"), ("hidden_size", "n_embd"))
    )
    if not (isinstance(layers, int) and isinstance(width, int)):
        return None
    shapes = [shape for file in _weights(folder) for shape in _shapes(file)]
    counted = sum(math.prod(shape) for shape in shapes if shape[:1] != [config.get("vocab_size")])
    return Transformer(layers, width, float(counted) or None)


def _weights(folder: Path) -> list[Path]:
    """Return the safetensors files of a model; none if one is missing."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    files = [folder / name for name in sorted(set(json.loads(index.read_bytes())["weight_map"].values()))]
    return files if all(file.is_file() for file in files) else []


def _shapes(file: Path) -> list[list[int]]:
    """Return the shapes of the tensors in a file, from its header: its length in 8 bytes, then JSON."""
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(length))
    return [tensor["shape"] for name, tensor in header.items() if name != "__metadata__"]
