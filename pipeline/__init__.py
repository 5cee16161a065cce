"""From a configuration to tracked runs: data, initial parameters, training, measurements, tracking.

The modules form floors; each imports only from floors below it (``tests/test_architecture.py``):

1. ``errors``, ``ranges``, ``metrics`` (names), ``arithmetic``, ``activations``, ``losses``, ``initializers``, ``symmetry``
2. ``network``, ``optimizers``, ``sources``, ``files``, ``data``
3. ``training``, ``optimum``
4. ``config``, ``stacking``
5. ``tracking``
6. ``run`` (and ``hydra_plugins`` above it)
"""
