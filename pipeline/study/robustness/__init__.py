"""Robustness: the Dice of a trained network on scans with graded perturbations."""

from .measure import measure_robustness
from .perturbations import PERTURBATIONS, Perturbation, choose_perturbations
from .picture import draw_perturbations

__all__ = ["PERTURBATIONS", "Perturbation", "choose_perturbations", "draw_perturbations", "measure_robustness"]
