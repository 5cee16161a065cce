"""The report as files: page (HTML), index (the page of all reports), publish (the copy in MLflow), templates."""
