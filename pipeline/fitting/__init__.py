"""`lightskip fit`: from a dataset to a trained, measured bundle and its page, by running the other verbs in turn."""
