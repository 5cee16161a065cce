"""The report as files.

page: HTML, from ``templates``. formulas: LaTeX as MathML. player: the slider's data. drawn: figures as files. index:
the page of all reports. publish: the copy in MLflow.
"""
