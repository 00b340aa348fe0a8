"""What an export may leave out. Imports nothing, for the command line."""

from __future__ import annotations

__all__ = ["LEFT_OUT", "TO_FILL_IN"]

LEFT_OUT = {
    "ts": "models/model.ts (TorchScript)",
    "pt2": "models/model.pt2 (torch.export)",
    "onnx": "models/model.onnx",
    "datalist": "the names of the dataset's files: configs/datalist.json, docs/results",
    "zip": "the zip",
}
# The words where a person has to write something.
TO_FILL_IN = "TO FILL IN"
