"""Label maps: the label table and its colours, writing in the scan's grid, cleaning, statistics, views for pictures.

This file imports nothing: `clean` and `save` need PyTorch and MONAI, and drawing must start without them.
"""
