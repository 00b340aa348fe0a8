"""Remedies for a job of ``lightskip predict --stdin``: they name the keys of its line instead of the command's options.

Errors of scans and outputs are the same for a job as on the command line, except for what a user can do.
"""

from __future__ import annotations

__all__ = ["name_keys"]

_REMEDY = "What to do: "
# Words of remedies for the command line, and for a job; the longest come first, since each is replaced once.
_WORDS = (
    ("name another one: -o OUT", 'name another one in "output"'),
    ("name a folder: -o OUT", 'name a folder in "output"'),
    ("write into another folder: -o OUT", 'name another folder in "output"'),
    (
        "write into another folder, or replace it with --overwrite",
        'name another path in "output", or add "overwrite": true',
    ),
    ("name another one with -o", 'name another one in "output"'),
    ("name one output file with -o", 'name one file in "output"'),
    ("correct the name, or the format", 'correct the name in "output", or start the command with another --format'),
    (
        "name the scans in a datalist",
        'name its files in "scan", one per channel',
    ),
    (
        "give the folder that directly contains the scans, or name them in a datalist",
        'name one scan in "scan": a file, or the folder of a DICOM series',
    ),
    (
        "join the files of one scan by commas, in the order of the channels; put spaces between scans",
        'name one file per channel in "scan", in the order of the channels',
    ),
    (
        "name it, or move it into a folder of its own",
        'name it in "scan", or move it into a folder of its own',
    ),
    ("name the folder that holds the scans", 'name the scan itself in "scan"'),
    ("leave the quotes out, so that the shell replaces the pattern by the files' names", 'name one file in "scan"'),
)


def name_keys(message: str) -> str:
    """Return an error's message with a remedy for a job.

    Args:
        message: the message of an InputError, as the command prints it.
    """
    before, remedy, after = message.rpartition(_REMEDY)
    for option, key in _WORDS:
        after = after.replace(option, key)
    return before + remedy + after
