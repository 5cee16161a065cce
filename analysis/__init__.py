"""From tracked runs to tables, figures and a report. Reads only what MLflow holds."""

import pipeline  # noqa: F401  (It says how MLflow behaves, before anything loads it.)
