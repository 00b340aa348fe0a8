"""Studies: which skip connection, on which network and dataset, with seeds, one budget, and intervals."""
