"""Data sets: examples of a source, split into a training and a test part, with a digest.

- ``sources``: the data sets, bundled, drawn or read from files; a new one is a decorated function there
- ``dataset``: ``load_dataset`` splits, prepares, standardises and hashes them; ``Dataset``
- ``examples``: ``Examples``, what a source gives; the registry of sources; filling in and encoding
- ``table_files``: CSV and Parquet files read with pandas; ``save_frame`` for a table that a program holds
- ``dialect``: what is found out from the beginning of a CSV file
- ``table``, ``columns``: which columns of a table are trained on, and what they hold
- ``array_files``: MNIST's format and NumPy archives
- ``opened_file``: files opened, unpacked and bounded by memory

From outside: ``load_dataset`` and ``Dataset`` (through ``training.datasets``, which keeps them), ``SOURCES``.
"""
