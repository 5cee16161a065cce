"""From tracked runs to tables, figures and a report. Reads only what MLflow holds.

Public: ``python -m analysis.report`` and ``python -m analysis.audit``. A room imports only from those below it:

report, audit   the command lines: claims, figures and a page; or whether a store is whole
retrain         tracked runs trained anew, every bit compared; alone here in importing the trainer
questions       the prepared questions, one folder each
page            the report as HTML, the page of all reports, the copy in MLflow
figures         the general figures; in ``kit`` what all figures share
claims          statements, their verdicts, and the registry of answers
statistics      intervals over seeds, fitted lines, breaking times
tracked         the tracking store, read into tables
theory          predictions that need no run
arguments       options of the command lines, whose mistakes are one line
errors, wording the user's mistake; numbers, counts and commands in words
"""

import pipeline  # noqa: F401  (It says how MLflow behaves, before anything loads it.)
