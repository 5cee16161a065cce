"""What is measured of a stack: standard metrics, symmetry, and optional measurements named by ``measures``.

Importing this package registers every measurement in its modules.

- ``registry``: ``StackSnapshot``, the decorator ``measure``, ``measurements``; when RESULT_VERSION must be raised
- ``standard``: losses, accuracies, gradient norm, symmetry and distance to the optimum, of every run
- ``symmetry``: distances among hidden units, distinct units, spreads
- ``reference_optimum``: the optimum of logistic and linear regression, by ``newton``
- ``weights``, ``layer_moments``, ``predictions``, ``separator``, ``curvature``: optional measurements

From outside: ``MEASURES``, ``StackSnapshot``, ``measurements``, ``metric_count``, ``has_metrics``;
``reference_optimum``.
"""

from importlib import import_module
from pkgutil import iter_modules

from pipeline.measures.registry import MEASURES, STANDARD, StackSnapshot, has_metrics, measurements, metric_count

__all__ = ["MEASURES", "STANDARD", "StackSnapshot", "has_metrics", "measurements", "metric_count"]

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
