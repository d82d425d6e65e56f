"""The MLP family: two tanh layers in every network, latents that are rows of units.

mlp4x40            4 stochastic layers of 40 units, two tanh layers of 200 before each
mlp4x16h64         4 of 16, hidden width 64
mlp64-32-16-8      tapered, bottom to top; hidden widths 512-256-128-64
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hvae_core.checks import SpecError, require, require_whole

MAX_PARAMETERS = 10**9
GRAMMAR = "mlp<depth>x<width>[h<hidden>] such as mlp4x40, or mlp<w1>-<w2>-... such as mlp64-32-16-8"

_N = r"([1-9]\d{0,8})"
_UNIFORM = re.compile(rf"mlp{_N}x{_N}(?:h{_N})?")
_TAPERED = re.compile(r"mlp([1-9]\d{0,8}(?:-[1-9]\d{0,8})+)")


@dataclass(frozen=True)
class ModelSpec:
    """Architecture of one hierarchical VAE.

    latents[i] is the width of stochastic layer i + 1 (layer 1 is next to the data); hidden[i] is the width of the
    two tanh layers in the network between layer i and layer i + 1, the same upwards and downwards.

    The paper gives two layers of 200 for uniform models, and 512-256-128-64 for latents 64-32-16-8: eight times
    the latent width, which is what the tapered form of the grammar always takes. That a hidden width belongs to
    the gap below its latent layer, in both directions, is our reading.
    """

    latents: tuple[int, ...]
    hidden: tuple[int, ...]

    def __post_init__(self) -> None:
        require(len(self.latents) >= 1, "latents", self.latents, "at least one stochastic layer")
        require(len(self.hidden) == len(self.latents), "hidden", self.hidden, "one width per stochastic layer")
        for width in self.latents + self.hidden:
            require_whole("width", width, 1, MAX_PARAMETERS)
        uniform = len(set(self.latents)) == len(set(self.hidden)) == 1
        tapered = self.hidden == tuple(8 * width for width in self.latents)
        require(uniform or tapered, "hidden", self.hidden, "of one width, or eight times the latents")
        parameters = self.parameters(1)
        require(parameters <= MAX_PARAMETERS, "model", self.name, "of at most 10^9 parameters")

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """Read the model grammar; raises SpecError with the grammar where the text does not fit it."""
        uniform, tapered = _UNIFORM.fullmatch(text), _TAPERED.fullmatch(text)
        if uniform:
            depth, width, hidden = (int(group) if group else 200 for group in uniform.groups())
            if depth * width > MAX_PARAMETERS:
                raise SpecError(f"model: {text!r} is not allowed; it must be of at most 10^9 parameters")
            return cls((width,) * depth, (hidden,) * depth)
        if tapered:
            latents = tuple(int(width) for width in tapered.group(1).split("-"))
            return cls(latents, tuple(8 * width for width in latents))
        known = "conv and resnet models are not in this version; " if re.match(r"(conv|resnet)\d", text) else ""
        raise SpecError(f"model: {text!r} is not a model; {known}it must be {GRAMMAR}")

    @property
    def name(self) -> str:
        """Canonical text of the grammar: what the default says is left out."""
        width, hidden = self.latents[0], self.hidden[0]
        if set(self.latents) == {width} and set(self.hidden) == {hidden}:
            return f"mlp{self.depth}x{width}" + ("" if hidden == 200 else f"h{hidden}")
        return "mlp" + "-".join(map(str, self.latents))

    @property
    def family(self) -> str:
        """The kind of network."""
        return "mlp"

    @property
    def depth(self) -> int:
        """Number L of stochastic layers."""
        return len(self.latents)

    @property
    def width(self) -> int:
        """Units of the widest stochastic layer."""
        return max(self.latents)

    def parameters(self, pixels: int) -> int:
        """Count the weights of one member for images of that many pixels."""

        def network(inputs: int, hidden: int, outputs: int) -> int:
            return (inputs + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * outputs

        below = (pixels, *self.latents[:-1])
        upwards = sum(network(b, h, 2 * z) for b, h, z in zip(below, self.hidden, self.latents, strict=True))
        downwards = sum(
            network(z, h, 2 * b) for b, h, z in zip(self.latents, self.hidden[1:], self.latents[1:], strict=False)
        )
        return upwards + downwards + network(self.latents[0], self.hidden[0], pixels)
