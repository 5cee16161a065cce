"""The report as files.

page: HTML, from ``templates``. formulas: LaTeX as MathML. player: the slider's data. animation: the same
as a GIF. drawn: figures as files. index: the page of all reports. compare: two reports side by side. publish: the copy
in MLflow. rendering: templates, and how texts are set in them.
"""
