"""The report of a study: what its runs show, as a page, as Markdown and as files for programs."""

from .write import write_study_report

__all__ = ["write_study_report"]
