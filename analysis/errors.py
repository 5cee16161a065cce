"""The exception that the command lines print as one line."""


class ReportError(Exception):
    """Something that the user can mend: what is missing, and what to do next."""
