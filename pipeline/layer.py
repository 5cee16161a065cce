"""One layer of a network, as an initialiser sees it."""

from typing import NamedTuple


class Layer(NamedTuple):
    """What an initialiser may know of a layer.

    Attributes:
        fan_in: units of the layer below.
        fan_out: units of this layer.
        activation: name of the activation that follows, or None for the output layer.
        number: its place in the network, from 1.
        depth: how many layers the network has.
    """

    fan_in: int
    fan_out: int
    activation: str | None
    number: int
    depth: int

    @property
    def is_hidden(self) -> bool:
        return self.number < self.depth

    @property
    def below_is_hidden(self) -> bool:
        """Whether the layer's inputs are hidden units; their outgoing weights are its rows."""
        return self.number > 1
