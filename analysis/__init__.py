"""From tracked runs to tables, figures and a report. Reads only what MLflow holds."""
