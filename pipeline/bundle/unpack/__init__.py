"""Somebody else's bundle: looked at and listed before anything of it runs, and put in place whole or not at all.

``command`` does the verb's work; ``names``, ``sizes`` and ``archive`` take the zip apart; ``checksums``, ``weights``,
``configs``, ``scripts`` and ``about`` look at what was in it, ``judge`` at Python text; ``report`` tells it. Nothing of
the bundle is run and no module of it imported.
"""
