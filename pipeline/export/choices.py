"""The parts that an export may leave out. Imports nothing, so that the command line starts quickly."""

from __future__ import annotations

__all__ = ["OPTIONAL_PARTS", "TO_FILL_IN"]

OPTIONAL_PARTS = {
    "ts": "models/model.ts (TorchScript)",
    "pt2": "models/model.pt2 (torch.export)",
    "onnx": "models/model.onnx",
    "datalist": "the names of the dataset's files: configs/datalist.json, docs/results",
    "zip": "the zip",
}
# The placeholder for text that a person has to write.
TO_FILL_IN = "TO FILL IN"
