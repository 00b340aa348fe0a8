"""Check someone else's bundle and list its code before any of it runs; then install it completely or not at all.

``command`` runs the verb. ``names`` and ``archive`` unpack the zip. ``checksums``, ``weights``, ``config_code``,
``logging_configs``, ``scripts`` and ``about`` examine its files, and ``starts`` their first bytes. ``memory`` limits
the memory for weights. ``reading`` reads configs as data. ``report`` and ``report_code`` write the report. No code of
the bundle is run, and none of its modules is imported.
"""
