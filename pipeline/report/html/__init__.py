"""HTML pages: the base template, the macros and the parts that every page is made of, and the pages' own templates.

A page is one file that loads nothing. Its Python code makes parts (`parts`), its template lays them out with the macros
of ``macros.html``, and `write_page` (`page`) writes it. Imports nothing by itself, like the package around it.
"""
