"""Elementary functions whose last bits are the same on every processor.

``np.tanh``, ``np.exp`` and their kin are other programs on other processors, and differ in the last place. Addition,
subtraction, multiplication, division and the square root of one element are not: IEEE 754 fixes every bit of them.
So these functions use nothing else, besides comparisons, tables, and integer arithmetic on the bits of a float. Each
operation is one call of NumPy for a whole array, so no compiler can fuse two of them and round once instead of twice.

All but the logarithm follow one idea (Tang 1989): the argument is the nearest node of a grid plus a small remainder,
x = k + d, without error. The table knows the function at the node, and an addition theorem with a short polynomial
brings in d. Neighbouring pieces meet where they end, so a monotone function falls nowhere by more than the rounding of
its last operations, 5e-16 (``gaussian_cdf``: 1e-13).

Adding ``1.5 * 2**52`` grid units rounds x to its node, and the low bits of the sum are the number of the node.

| function | largest error | of |
|---|---|---|
| ``exp`` | 4e-16 + 2e-16 abs(x) | the value |
| ``log``, ``log1p`` | 3e-16 | the value |
| ``softplus``, ``sigmoid`` | 5e-16 + 2e-16 abs(x) | the value |
| ``tanh`` | 3e-16 | 1 |
| ``gaussian_cdf`` | 6e-12 | 1 |
"""

import numpy as np

from pipeline.numerics import tables
from pipeline.numerics.workspace import Array, blockwise, scratch_arrays

TO_INTEGER = 1.5 * 2.0**52
"""Its neighbours are 1 apart, so adding it rounds to a whole number."""
NORMAL, SMALLEST_NORMAL = 700.0, float(np.finfo(np.float64).tiny)
CDF_NODES = 128
EXP_BITS = 11
CDF_SATURATED = 9
LN2_HIGH, LN2_LOW = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
"""The float nearest to sqrt(1/2), as an integer."""
# Of log((1 + s) / (1 - s)) / s - 2 in s**2, minimax over abs(s) < 0.1716 (fdlibm's e_log.c, Sun Microsystems 1993).
LOG_COEFFICIENTS = (
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
    1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
)  # fmt: skip


def _bits(values: Array) -> Array:
    return values.view(np.int64)


def _number_of_first_node(grid: float, last: int) -> np.int64:
    """What the bits of ``x + grid`` are for the first node, number ``-last``."""
    return np.int64(_bits(np.array(grid)) - last)


def _split(values: Array, grid: float, node: Array, remainder: Array) -> None:
    """Writes values + grid into ``node``, whose low bits are the number of the nearest node, and the distance to it."""
    np.add(values, grid, out=node)
    np.subtract(node, grid, out=remainder)
    np.subtract(values, remainder, out=remainder)


@blockwise
def exp(values: Array, out: Array) -> None:
    """The exponential: 2**(n + j / 2048) times 2**d, with n and j from the bits of the node."""
    powers, (linear, square, cube) = tables.powers_of_two(EXP_BITS)
    is_normal = values.min(initial=0.0) >= -NORMAL and values.max(initial=0.0) <= NORMAL
    if not is_normal:
        # Beyond these bounds the result is 0 or infinity, as it is on them.
        values = np.clip(values, -746.0, 710.0)
    scaled, node, small, j = scratch_arrays(4, values)
    np.multiply(values, 1.0 / (LN2_HIGH + LN2_LOW), out=scaled)
    _split(scaled, TO_INTEGER / 2**EXP_BITS, node, small)
    np.bitwise_and(_bits(node), 2**EXP_BITS - 1, out=_bits(j))
    at_node, exponent = np.take(powers, _bits(j), out=scaled, mode="clip"), _bits(node)
    if is_normal:
        # Together n and j are the exponent and the first bits of the significand; the table makes up for the latter.
        exponent <<= 52 - EXP_BITS
        at_node_bits = _bits(at_node)
        at_node_bits += exponent
    else:
        at_node_bits = _bits(at_node)
        at_node_bits += _bits(j) << 52 - EXP_BITS
    polynomial = np.multiply(small, cube, out=j)
    polynomial += square
    polynomial *= small
    polynomial += linear
    polynomial *= small
    polynomial *= at_node
    np.add(polynomial, at_node, out=out)
    if not is_normal:
        # In two steps, of which only the second can leave the range: it rounds once.
        n = (exponent >> EXP_BITS & 4095 ^ 2048) - 2048
        for part in (n >> 1, n - (n >> 1)):
            out *= (part + 1023 << 52).view(np.float64)


@blockwise
def log(values: Array, out: Array) -> None:
    """The natural logarithm: -inf of 0, NaN of negative numbers.

    x = 2**n (1 + f) with 1 + f between sqrt(1/2) and sqrt(2); with s = f / (2 + f), log(1 + f) is f - s f plus s times
    a polynomial in s**2, arranged as in fdlibm.
    """
    f, n, ratio, square, polynomial = scratch_arrays(5, values)
    is_normal = values.min(initial=1.0) >= SMALLEST_NORMAL and values.max(initial=1.0) < np.inf
    np.multiply(values, 1.0 if is_normal else np.where(values < SMALLEST_NORMAL, 2.0**54, 1.0), out=f)
    exponent = np.subtract(_bits(f), ROOT_HALF_BITS, out=_bits(n))
    exponent >>= 52
    f_bits = _bits(f)
    f_bits -= np.left_shift(exponent, 52, out=_bits(square))
    f -= 1.0
    np.copyto(n, exponent, casting="unsafe")
    if not is_normal:
        n -= np.where(values < SMALLEST_NORMAL, 54.0, 0.0)
    np.divide(f, np.add(f, 2.0, out=ratio), out=ratio)
    np.multiply(ratio, ratio, out=square)
    polynomial.fill(LOG_COEFFICIENTS[-1])
    for coefficient in LOG_COEFFICIENTS[-2::-1]:
        polynomial *= square
        polynomial += coefficient
    polynomial *= square
    half_square = np.multiply(f, f, out=square)
    half_square *= 0.5
    polynomial += half_square
    polynomial *= ratio
    polynomial += np.multiply(n, LN2_LOW, out=ratio)
    polynomial -= half_square
    polynomial += f
    n *= LN2_HIGH
    if is_normal:
        np.add(n, polynomial, out=out)
    else:
        limits = np.where(values == 0.0, -np.inf, np.where(values > 0.0, values, np.nan))
        out[...] = np.where((values > 0.0) & (values < np.inf), n + polynomial, limits)


def _add_log1p(values: Array, out: Array) -> None:
    """Adds log(1 + x): the logarithm of the rounded sum, and to first order what the sum has lost."""
    total = 1.0 + values
    lost = total - 1.0
    np.subtract(values, lost, out=lost)
    lost /= total
    if not np.isfinite(lost.sum()):
        lost[~np.isfinite(lost)] = 0.0
    lost += log(total, out=total)
    out += lost


@blockwise
def log1p(values: Array, out: Array) -> None:
    """log(1 + x), to the last digits also where x is small."""
    argument = values.copy()
    out.fill(0.0)
    _add_log1p(argument, out)


@blockwise
def softplus(values: Array, out: Array) -> None:
    """log(1 + exp(z)) = max(z, 0) + log(1 + exp(-abs(z)))."""
    falling = np.abs(values)
    np.negative(falling, out=falling)
    exp(falling, out=falling)
    np.maximum(values, 0.0, out=out)
    _add_log1p(falling, out)


@blockwise
def tanh(values: Array, out: Array) -> None:
    """(1 - exp(-2 abs(x))) / (1 + exp(-2 abs(x))) with the sign of x."""
    falling = np.abs(values)
    falling *= -2.0
    exp(falling, out=falling)
    rest = 1.0 - falling
    falling += 1.0
    np.copysign(np.divide(rest, falling, out=rest), values, out=out)


@blockwise
def sigmoid(values: Array, out: Array) -> None:
    """1 / (1 + exp(-z)), and where z is negative exp(z) / (1 + exp(z))."""
    falling = np.abs(values)
    np.negative(falling, out=falling)
    exp(falling, out=falling)
    numerator = np.where(values < 0.0, falling, 1.0)
    falling += 1.0
    np.divide(numerator, falling, out=out)


@blockwise
def gaussian_cdf(values: Array, out: Array) -> None:
    """The distribution function of the standard normal; exactly 0 and 1 beyond -9 and 9.

    At k + d it is the value at k plus the density there times d - k d**2 / 2 + (k**2 - 1) d**3 / 6.
    """
    node, small, polynomial = scratch_arrays(3, values)
    values = np.clip(values, -CDF_SATURATED, CDF_SATURATED)
    last, grid = CDF_SATURATED * CDF_NODES, TO_INTEGER / CDF_NODES
    _split(values, grid, node, small)
    k = values - small
    number = np.subtract(_bits(node), _number_of_first_node(grid, last), out=_bits(node))
    at_node, density = (np.take(table, number, mode="clip") for table in tables.gaussian(CDF_NODES, last))
    np.multiply(k, k, out=polynomial)
    polynomial -= 1.0
    polynomial *= small
    polynomial /= 3.0
    polynomial -= k
    polynomial *= small
    polynomial *= 0.5
    polynomial += 1.0
    polynomial *= small
    polynomial *= density
    np.add(polynomial, at_node, out=out)
