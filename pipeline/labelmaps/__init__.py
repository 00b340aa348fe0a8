"""Label maps: the label table and its colours, writing in the scan's grid, cleaning, statistics, views for pictures.

Imports nothing by itself: the transforms (`clean`, `save`) need PyTorch and MONAI, and what draws starts without them.
"""
