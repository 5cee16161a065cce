"""Curvature of the training objective: extreme eigenvalues of its Hessian.

- ``hessian``: the Hessian times a direction
- ``lanczos``: the extreme eigenvalues of what is known by its products
- ``stability``: the optional measurements ``stability`` and ``hessian``
"""

from pipeline.measures.curvature.stability import hessian, stability

__all__ = ["hessian", "stability"]
