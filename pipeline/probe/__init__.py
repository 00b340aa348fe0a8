"""Probes: what a trained network loses if a skip connection transfers less, and what its skips transfer, as images."""

from .probes import DEFAULT_PROBES
from .run import ProbeResult, probe_bundle

__all__ = ["DEFAULT_PROBES", "ProbeResult", "probe_bundle"]
