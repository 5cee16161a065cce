"""Data sets: examples of a source, split into a training and a test part, with a digest.

- ``sources``: the registry of data sets, bundled, drawn or read from files; a new one is a decorated function there
- ``dataset``: ``load_dataset`` splits, standardises and hashes them; ``Dataset``
- ``examples``: ``Examples``, what a source gives
- ``csv_file``, ``idx_file``: readers of the user's tables and of MNIST's format
- ``cells``: numbers, classes and missing values in the cells of a table
- ``opened_file``: files opened, unpacked and bounded by memory

From outside: ``load_dataset`` and ``Dataset`` (through ``training.datasets``, which keeps them), ``SOURCES``.
"""
