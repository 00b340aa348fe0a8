"""Somebody else's bundle: looked at and listed before anything of it runs, and put in place whole or not at all.

``command`` does the verb's work; ``names`` and ``archive`` take the zip apart. ``checksums``, ``weights``, ``configs``,
``logging_configs``, ``scripts`` and ``about`` look at what was in it, ``starts`` at files' first bytes; ``memory``
limits what weights may take. ``reading`` and ``ids`` say what stands where in configs, ``targets`` and ``library`` what
classes do, ``judge`` and ``words`` what Python text does. ``report`` tells it. Nothing of the bundle is run and no
module of it imported.
"""
