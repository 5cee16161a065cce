"""Numerical ground with the same bits on every processor, NumPy release and BLAS kernel.

IEEE 754 fixes the result of one addition, multiplication, division or square root, but no library's exp, sine, QR or
random normal. What is here is made of the former, one call of NumPy for an operation of a whole array, so that no
compiler can fuse two of them.

- ``elementary``: exp, log, tanh and their kin by ``tables``; ``functions``: those, and NumPy's
- ``piecewise``: fewer of their digits, as many as operands have, and faster
- ``angles``: sine and cosine, arc sine
- ``sums``: sums and means in one order
- ``draws``: uniform, normal, permutations from the raw words of a bit generator
- ``orthogonal``: orthonormal columns, triangular factors, singular values
- ``newton``: minima of convex functions
- ``workspace``: preallocated scratch memory, elementwise functions in blocks, and NumPy's settings for training
"""
