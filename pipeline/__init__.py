"""LightSkip: volumetric medical image segmentation with light, learnable skip connections, as MONAI bundles."""

__version__ = "0.1.0"
