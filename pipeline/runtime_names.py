"""The runtimes that a user can name. Imports nothing, so that every room can use it."""

__all__ = ["PACKAGES", "RUNTIMES"]

# int8 is OpenVINO with the network that `lightskip quantize` made; it is never chosen by auto.
RUNTIMES = ("auto", "pytorch", "openvino", "int8")

PACKAGES = {"openvino": "openvino", "int8": "openvino"}
