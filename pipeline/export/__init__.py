"""Export a LightSkip bundle as one that runs without LightSkip. Imports data, networks, inference and bundle."""
