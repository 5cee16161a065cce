"""From a configuration to tracked runs: data, initial parameters, training, measurements, tracking.

The modules form floors; each imports only from floors below it or from its own (``tests/test_architecture.py``):

1. ``errors``, ``ranges``, ``names``; ``arithmetic``, ``activations``, ``losses``, ``initializers``, ``symmetry``
2. ``network``, ``optimizers``, ``optimum``; ``files``, ``sources``, ``data``
3. ``measurements``, ``training``
4. ``described``, ``config``, ``stacking``, ``composition``, ``sweep``
5. ``environment``, ``views``, ``tracking``, ``summary``
6. ``run``, with ``hydra_plugins`` above it
"""

__version__ = "0.1.0"
"""Read here and not from the metadata of an installation, which a checkout need not have."""
