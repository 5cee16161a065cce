"""What figures share, those of questions too.

drawing: ``Drawing``, ``NotShownError`` and the registry (``figure``). style: colours, legends, axes. words: labels of
runs and metrics. pairs: runs that differ in nothing but their initialisation. narrow: figures for phones.
canvas: the marks of a diagram.
"""
