"""HTML pages: the base template, macros and parts that all pages share, and each page's template.

A page is one file that loads nothing. Its Python code makes parts (`parts`), its template lays them out with the macros
of ``macros.html``, and `write_page` (`page`) writes it. This file imports nothing, like the package around it.
"""
