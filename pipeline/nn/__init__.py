"""Neural networks in NumPy, a stack of runs at a time: the run axis comes first in every array.

- ``arithmetic``: the exact matrix product and the one of BLAS; ``accurate``: one with all digits of float64
- ``activations``, ``losses``, ``initializers``, ``optimizers``: tables of functions, which the configuration names
- ``network``: ``Layer``, ``Architecture``, ``forward`` and ``backward``
- ``label_noise``: targets that each step draws anew
- ``problem``: ``Problem``, what the runs of a stack share: architecture, loss, data as operands
- ``teacher``: fresh examples in every step, labelled by a committee

A new initialiser or optimiser is a decorated function there and a YAML file in ``conf/``. The learning rate is applied
in ``optimizers``, one rule a function.
"""
