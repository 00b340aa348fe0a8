"""Prediction: scans in, label maps and what belongs to them out, with a bundle's own inference config."""
