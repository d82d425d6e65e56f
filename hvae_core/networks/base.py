"""The networks of a model, as a system takes them from a family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Networks:
    """Stacked networks of M members, layer 1 first.

    posteriors[i]: z_i (M or 1, N, *shape of layer i) -> Normal q(z_{i+1} | z_i) on (M, N, *shape of layer i + 1), with
    z_0 = x the image (M or 1, N, C, H, W).
    priors[i]: z_{i+2}, or with `skip` all layers from there up -> Normal p(z_{i+1} | z_{i+2}, ...) on (M, N, *shape of
    layer i + 1).
    decoder: z_1, or with `skip` all layers -> what the likelihood needs of an image, (M, N, outputs, H, W).
    set_output: starts the decoder's last bias at values (outputs, H, W); None leaves it at zero.
    skip: whether the priors and the decoder read all layers above, concatenated along channels, the nearest first.
    one_bias: whether that bias is one number for all pixels of a channel, as in a convolution.
    """

    posteriors: Sequence[nn.Module]
    priors: Sequence[nn.Module]
    decoder: nn.Module
    set_output: Callable[[Tensor], None] | None = None
    one_bias: bool = False
    skip: bool = False
