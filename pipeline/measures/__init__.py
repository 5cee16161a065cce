"""Optional measurements, which ``measures`` in the configuration names; importing this package registers all of them.

A measurement is a function in a module of this package::

    @measure
    def weight_norm(moment: Moment) -> dict[str, Array]: ...

It gets all that may be known of a stack at one moment, and gives metric key -> (R,), one number per run.
"""

from importlib import import_module
from pkgutil import iter_modules

from pipeline.measures.registry import MEASURES, Moment, optional_measurements

__all__ = ["MEASURES", "Moment", "optional_measurements"]

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
