"""Weight initialisers: a registry of schemes, each a function of a random generator and one layer.

Every scheme draws for one run at a time; runs are stacked afterwards, so that no fan can be computed over the run
axis. Schemes that only scale a standard draw use the same draw for the same seed, which makes comparisons paired.
Biases start at zero, equal within a layer as the theory of symmetric starts asks, unless ``init.bias_scale`` says
otherwise; they are drawn elsewhere, from a generator of their own.

The keyword-only parameters of a scheme are the keys that its YAML file sets; their annotations are the allowed
ranges.

>>> layer = Layer(fan_in=2, fan_out=4, activation="tanh", number=1, depth=2)
>>> constant(Draws(np.random.SeedSequence(0)), layer, value=0.5)
array([[0.5, 0.5, 0.5, 0.5],
       [0.5, 0.5, 0.5, 0.5]])
>>> duplicated(Draws(np.random.SeedSequence(0)), layer, copies=2, gain=1.0).round(2)
array([[ 0.2 ,  0.2 , -0.35, -0.35],
       [-1.  , -1.  , -1.23, -1.23]])
"""

from collections.abc import Callable

import numpy as np

from pipeline.errors import InputError, shown
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import Array
from pipeline.nn.network import Layer
from pipeline.numerics.draws import Draws
from pipeline.numerics.orthogonal import orthonormal
from pipeline.ranges import Count, NonNegative, Number, Positive

Initializer = Callable[..., Array]
INITIALIZERS: dict[str, Initializer] = {}


def initializer(scheme: Initializer) -> Initializer:
    """Registers a scheme under its function name.

    A scheme is called as ``scheme(generator, layer, **hyperparameters)`` and returns (fan_in, fan_out) float64.
    """
    INITIALIZERS[scheme.__name__] = scheme
    return scheme


@initializer
def zeros(generator: Draws, layer: Layer) -> Array:
    """Every weight 0: a stationary point wherever g(0) = 0."""
    return np.zeros((layer.fan_in, layer.fan_out))


@initializer
def constant(generator: Draws, layer: Layer, *, value: Number) -> Array:
    """Every weight equals ``value`` (the a of the source text): perfectly symmetric hidden units."""
    return np.full((layer.fan_in, layer.fan_out), value)


@initializer
def uniform(generator: Draws, layer: Layer, *, scale: Positive) -> Array:
    """Uniform on (-scale, scale), whatever the fans."""
    return scale * _standard_uniform(generator, layer)


@initializer
def normal(generator: Draws, layer: Layer, *, scale: Positive) -> Array:
    """Normal with mean 0 and standard deviation ``scale``, whatever the fans."""
    return scale * _standard_normal(generator, layer)


@initializer
def xavier_uniform(generator: Draws, layer: Layer, *, gain: Positive) -> Array:
    """Uniform with standard deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010, eq. 16)."""
    return _uniform_with(_standard_deviation(2.0, layer.fan_in + layer.fan_out, gain), generator, layer)


@initializer
def xavier_normal(generator: Draws, layer: Layer, *, gain: Positive) -> Array:
    """Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010, eq. 12)."""
    return _standard_deviation(2.0, layer.fan_in + layer.fan_out, gain) * _standard_normal(generator, layer)


@initializer
def he_uniform(generator: Draws, layer: Layer, *, gain: Positive) -> Array:
    """Uniform with standard deviation gain * sqrt(2 / fan_in) (He et al. 2015, eq. 10)."""
    return _uniform_with(_standard_deviation(2.0, layer.fan_in, gain), generator, layer)


@initializer
def he_normal(generator: Draws, layer: Layer, *, gain: Positive) -> Array:
    """Normal with standard deviation gain * sqrt(2 / fan_in) (He et al. 2015, eq. 10)."""
    return _standard_deviation(2.0, layer.fan_in, gain) * _standard_normal(generator, layer)


@initializer
def lecun_uniform(generator: Draws, layer: Layer, *, gain: Positive) -> Array:
    """Uniform with standard deviation gain * sqrt(1 / fan_in) (LeCun et al. 1998, section 4.6)."""
    return _uniform_with(_standard_deviation(1.0, layer.fan_in, gain), generator, layer)


@initializer
def lecun_normal(generator: Draws, layer: Layer, *, gain: Positive) -> Array:
    """Normal with standard deviation gain * sqrt(1 / fan_in) (LeCun et al. 1998, section 4.6)."""
    return _standard_deviation(1.0, layer.fan_in, gain) * _standard_normal(generator, layer)


@initializer
def orthogonal(generator: Draws, layer: Layer, *, gain: Positive | None) -> Array:
    """A random matrix with orthonormal rows or columns, whichever are fewer, times ``gain`` (Saxe et al. 2014).

    The factor Q of the QR decomposition of a normal matrix whose R has a positive diagonal: that makes the
    distribution uniform (Mezzadri 2007, section 5). A ``gain`` of None takes the recommended gain of the
    activation that follows the layer, and 1 for the output layer.

    Raises:
        InputError: no gain given and none published for the activation.
    """
    if gain is None:
        gain = ACTIVATIONS[layer.activation].gain if layer.activation is not None else 1.0
    if gain is None:
        known = ", ".join(name for name, activation in ACTIVATIONS.items() if activation.gain is not None)
        raise InputError(
            f"init.gain: expected a number, because no gain is published for model.activation={layer.activation}"
            f" (null works for {known}), got null"
        )
    normal = _standard_normal(generator, layer)
    if layer.fan_in >= layer.fan_out:
        return gain * orthonormal(normal)
    return gain * np.ascontiguousarray(orthonormal(normal.T).T)


@initializer
def perturbed(generator: Draws, layer: Layer, *, value: Number, epsilon: NonNegative) -> Array:
    """A constant plus ``epsilon`` times a standard normal draw: how much asymmetry is enough?"""
    return value + epsilon * _standard_normal(generator, layer)


@initializer
def constant_layers(generator: Draws, layer: Layer, *, values: tuple[Number | None, ...], gain: Positive) -> Array:
    """A constant for each layer, or Xavier-normal weights where the value is None: which layer needs to be random?

    The random layers hold what ``xavier_normal`` gives them for the same seed, whichever layers are constant.

    Raises:
        InputError: not one value for each layer.
    """
    if len(values) != layer.depth:
        wanted = f"{layer.depth} numbers, one for each layer (null: Xavier-normal weights)"
        raise InputError(f"init.values: expected {wanted}, got {shown(values)}")
    random = xavier_normal(generator, layer, gain=gain)
    value = values[layer.number - 1]
    return random if value is None else np.full_like(random, value)


@initializer
def small_layers(generator: Draws, layer: Layer, *, small: Count, epsilon: Positive, gain: Positive) -> Array:
    """He-normal weights, those of the first ``small`` layers times ``epsilon``: how long is the plateau near a saddle?

    Raises:
        InputError: the network has fewer layers.
    """
    if small > layer.depth:
        raise InputError(f"init.small: expected at most the {layer.depth} layers of the network, got {small}")
    weights = he_normal(generator, layer, gain=gain)
    return epsilon * weights if layer.number <= small else weights


@initializer
def diagonal(generator: Draws, layer: Layer, *, scale: Positive) -> Array:
    """``scale`` times the identity matrix, cut to shape: unit i hears unit i of the layer below, and no other."""
    return scale * np.eye(layer.fan_in, layer.fan_out)


@initializer
def soft_committee(generator: Draws, layer: Layer, *, scale: Positive, epsilon: NonNegative) -> Array:
    """Units that vote with weight 1 and share a vector of length ``scale``; unit i has ``epsilon`` more of input i."""
    if not layer.is_hidden:
        return np.ones((layer.fan_in, layer.fan_out))
    shared = scale / float(np.sqrt(layer.fan_in)) * generator.normal((layer.fan_in, 1))
    return shared + epsilon * np.eye(layer.fan_in, layer.fan_out)


@initializer
def duplicated(generator: Draws, layer: Layer, *, copies: Count, gain: Positive) -> Array:
    """Xavier-normal units that each appear ``copies`` times, with the same incoming and outgoing weights.

    Raises:
        InputError: ``copies`` does not divide the layer's width.
    """
    rows, columns = _copies_of_ends(layer, copies)
    if layer.is_hidden and layer.fan_out % copies:
        raise InputError(
            f"init.copies: expected a divisor of every width in model.hidden_units, got {copies} for width"
            f" {layer.fan_out}"
        )
    distinct = layer._replace(fan_in=layer.fan_in // rows, fan_out=layer.fan_out // columns)
    scale = _standard_deviation(2.0, layer.fan_in + layer.fan_out, gain)
    return scale * _standard_normal(generator, distinct).repeat(rows, axis=0).repeat(columns, axis=1)


@initializer
def merged(generator: Draws, layer: Layer, *, copies: Count, gain: Positive) -> Array:
    """The distinct units of ``duplicated`` with the summed outgoing weights of their copies: the same function."""
    rows, columns = _copies_of_ends(layer, copies)
    scale = _standard_deviation(2.0, layer.fan_in * rows + layer.fan_out * columns, gain)
    return rows * (scale * _standard_normal(generator, layer))


@initializer
def mirrored(generator: Draws, layer: Layer, *, gain: Positive) -> Array:
    """Xavier-normal units in pairs (w, v) and (-w, -v): with an odd g and biases that start at 0 they stay mirrored.

    Raises:
        InputError: the layer's width is odd, or its activation is not an odd function.
    """
    if layer.activation is not None and not ACTIVATIONS[layer.activation].odd:
        known = ", ".join(name for name, activation in ACTIVATIONS.items() if activation.odd)
        raise InputError(
            f"model.activation: expected an odd function ({known}) with init=mirrored, got {layer.activation}"
        )
    if layer.is_hidden and layer.fan_out % 2:
        raise InputError(f"model.hidden_units: expected even widths with init=mirrored, got {layer.fan_out}")
    rows = [1.0, -1.0] if layer.below_is_hidden else [1.0]
    columns = [1.0, -1.0] if layer.is_hidden else [1.0]
    half = layer._replace(fan_in=layer.fan_in // len(rows), fan_out=layer.fan_out // len(columns))
    scale = _standard_deviation(2.0, layer.fan_in + layer.fan_out, gain)
    return np.kron(np.outer(rows, columns), scale * _standard_normal(generator, half))


def _copies_of_ends(layer: Layer, copies: int) -> tuple[int, int]:
    """How often each distinct unit below and each of the layer appears: only hidden units are copied."""
    return copies if layer.below_is_hidden else 1, copies if layer.is_hidden else 1


def _standard_normal(generator: Draws, layer: Layer) -> Array:
    return generator.normal((layer.fan_in, layer.fan_out))


def _standard_uniform(generator: Draws, layer: Layer) -> Array:
    return 2.0 * generator.uniform((layer.fan_in, layer.fan_out)) - 1.0


def _standard_deviation(scale: float, fan: int, gain: float) -> float:
    return gain * float(np.sqrt(scale / fan))


def _uniform_with(standard_deviation: float, generator: Draws, layer: Layer) -> Array:
    # A uniform variable on (-bound, bound) has the standard deviation bound / sqrt(3).
    return float(np.sqrt(3.0)) * standard_deviation * _standard_uniform(generator, layer)
