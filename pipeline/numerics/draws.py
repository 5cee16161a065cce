"""Random draws that no release of NumPy can change.

NumPy keeps the stream of a bit generator for ever, but not what its distributions and permutations make of it (NEP
19). So the raw words are taken from the bit generator and everything else is made of them here, from operations with
the same bits on every processor.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.numerics import elementary
from pipeline.numerics.workspace import Array


class Draws:
    """A stream of random draws: 64-bit words of PCG64 (O'Neill 2014).

    Args:
        seed: where the stream starts; streams of spawned seeds are independent.

    >>> draws = Draws(np.random.SeedSequence(0))
    >>> draws.uniform((3,)).round(6).tolist()
    [0.636962, 0.269787, 0.040974]
    """

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._generator = np.random.PCG64(seed)

    @classmethod
    def spawned(cls, seed: int, count: int) -> Iterator["Draws"]:
        """So many independent streams of one seed."""
        return (cls(child) for child in np.random.SeedSequence(seed).spawn(count))

    def _words(self, shape: tuple[int, ...]) -> Array:
        return np.asarray(self._generator.random_raw(shape))

    def uniform(self, shape: tuple[int, ...]) -> Array:
        """Uniform on (0, 1): the middle of one of ``2**52`` equal parts, so neither end is ever drawn."""
        parts = (self._words(shape) >> np.uint64(12)).astype(np.float64)
        parts += 0.5
        parts *= 2.0**-52
        return parts

    def normal(self, shape: tuple[int, ...]) -> Array:
        """Standard normal: the quantile of a uniform draw."""
        return normal_quantile(self.uniform(shape))

    def permutation(self, count: int) -> Array:
        """The numbers 0 ... count - 1 in random order: the order of as many random words."""
        return np.argsort(self._words((count,)), kind="stable")


def normal_draws(streams: Sequence[Draws], shape: tuple[int, ...]) -> tuple[Array, list[int]]:
    """Standard normal draws of many streams; those of equal streams are computed once, for they cost most.

    Returns:
        (different, *shape); and of each stream its place among them.
    """
    different: dict[bytes, Array] = {}
    keys = []
    for stream in streams:
        drawn = stream.uniform(shape)
        keys.append(drawn.tobytes())
        if keys[-1] not in different:
            different[keys[-1]] = normal_quantile(drawn)
    places = {key: place for place, key in enumerate(different)}
    return np.stack(list(different.values())), [places[key] for key in keys]


# Coefficients of numerators and denominators, lowest order first (Wichura 1988, AS 241, PPND16).
_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_SHOULDERS = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_TAILS = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def normal_quantile(probabilities: Array) -> Array:
    """The standard normal quantiles of probabilities in (0, 1), with a relative error of 1e-15 (Wichura 1988)."""
    distance = probabilities - 0.5
    result = _quotient(_CENTRE, 0.180625 - distance * distance) * distance
    outside = np.abs(distance) > 0.425
    nearest_end = np.minimum(probabilities[outside], 1.0 - probabilities[outside])
    root = np.sqrt(-elementary.log(nearest_end))
    size = np.where(root <= 5.0, _quotient(_SHOULDERS, root - 1.6), _quotient(_TAILS, root - 5.0))
    result[outside] = np.where(distance[outside] < 0.0, -size, size)
    return result


def _quotient(coefficients: tuple[tuple[float, ...], tuple[float, ...]], values: Array) -> Array:
    numerator, denominator = (np.full_like(values, polynomial[-1]) for polynomial in coefficients)
    for result, polynomial in zip((numerator, denominator), coefficients, strict=True):
        for coefficient in polynomial[-2::-1]:
            result *= values
            result += coefficient
    numerator /= denominator
    return numerator
