"""Checks and lists somebody else's bundle before anything of it runs, and puts it in place whole or not at all.

``command`` does the verb's work; ``names`` and ``archive`` take the zip apart. ``checksums``, ``weights``,
``config_code``, ``logging_configs``, ``scripts`` and ``about`` examine its files, ``starts`` their first bytes;
``memory`` limits what weights may take. ``reading`` reads configs as data. ``report`` and ``report_code`` write the
report. Nothing of the bundle is run and no module of it imported.
"""
