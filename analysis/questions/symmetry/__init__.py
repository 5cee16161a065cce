"""The exercise sheet, answered part by part (``sheet.yaml``, ``sheet``) from the runs of any sweep; its figures."""
