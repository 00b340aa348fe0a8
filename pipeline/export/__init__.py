"""A bundle of ours made to stand alone. Stands on data, networks, inference and bundle."""
