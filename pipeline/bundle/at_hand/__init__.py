"""The bundles at hand: those that LightSkip ships, those in the working directory, those that were imported."""
