"""Pictures and reports: what a person looks at after a check, a training or a prediction.

Imports nothing by itself: `figures` needs matplotlib, which is an extra, and the page of a check does not.
"""
