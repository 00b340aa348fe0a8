"""Pictures and reports of a check, a training or a prediction.

This file imports nothing: `curve` and `picture` need matplotlib, which is optional, and the page of a check does not.
"""
