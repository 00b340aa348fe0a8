"""Pictures and reports: what a person looks at after a training or a prediction."""

from .figures import draw_curve, draw_segmentation

__all__ = ["draw_curve", "draw_segmentation"]
