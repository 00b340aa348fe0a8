"""Studies: train every combination of some settings, and measure each in the same way."""
