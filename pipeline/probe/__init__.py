"""Probes: what a trained network loses if a skip connection transfers less, and what its skips transfer, as images."""

from .run import ProbeResult, probe_bundle

__all__ = ["ProbeResult", "probe_bundle"]
