"""Datalists, the dataset check, and the errors that explain problems of users' files."""

from .case_names import names_by_file
from .cases import read_cases
from .check import check_cases, check_scans
from .dataset import annotated_in_datalist, names_in_datalist, subjects_in_datalist
from .errors import InputError, explain_errors
from .images.door import read_volume
from .make_datalist import make_datalist, write_json
from .scans import find_scans

__all__ = [
    "InputError",
    "annotated_in_datalist",
    "check_cases",
    "check_scans",
    "explain_errors",
    "find_scans",
    "make_datalist",
    "names_by_file",
    "names_in_datalist",
    "read_cases",
    "read_volume",
    "subjects_in_datalist",
    "write_json",
]
