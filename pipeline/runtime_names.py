"""The runtimes that a user can name. Imports nothing, so that every room can use it."""

__all__ = ["RUNTIMES"]

RUNTIMES = ("auto", "pytorch", "openvino")
