"""The exception that the report's command line turns into one line."""


class ReportError(Exception):
    """Something that the user can mend: what is missing, and what to do next."""
