"""What a pass takes and gives: its noise, and the unreduced terms of its objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Noise:
    """Standard normal draws of one pass; a leading 1 instead of M where all members share them.

    posterior[i] (M or 1, B, D_{i+1}) makes z_{i+1}; ou[i] (M or 1, K, B, D_{i+2}) makes its K correlated copies,
    from layer 2 upwards (empty when nothing is smoothed).
    """

    posterior: tuple[Tensor, ...]
    ou: tuple[Tensor, ...] = ()

    @staticmethod
    def size(latents: Sequence[int], batch: int, ou_samples: int = 0) -> int:
        """Count the normals of one pass, per seed."""
        return batch * (sum(latents) + ou_samples * sum(latents[1:]))

    @classmethod
    def split(cls, flat: Tensor, latents: Sequence[int], batch: int, ou_samples: int = 0) -> Noise:
        """Cut one flat draw (M or 1, size) into the pass's pieces."""
        sizes = [batch * d for d in latents] + [ou_samples * batch * d for d in latents[1:] if ou_samples]
        pieces = flat.split(sizes, dim=1)
        posterior = [piece.view(-1, batch, d) for piece, d in zip(pieces, latents, strict=False)]
        copies = pieces[len(latents) :]
        ou = [piece.view(-1, ou_samples, batch, d) for piece, d in zip(copies, latents[1:], strict=bool(copies))]
        return cls(tuple(posterior), tuple(ou))


@dataclass(frozen=True)
class Terms:
    """Unreduced terms of the objective, all from one draw, in nats per example.

    recon (M, B): log p(x|z_1).
    kl (L, M, B): log q(z_i|z_{i-1}) - log p(z_i|z_{i+1}) at the sampled z_i for i < L (may be negative); the last
    row is the closed-form KL(q(z_L|z_{L-1}) to N(0, I)).
    top_ratio (M, B): log q(z_L|z_{L-1}) - log p(z_L) at the sampled z_L, which importance weights need.
    """

    recon: Tensor
    kl: Tensor
    top_ratio: Tensor

    @property
    def elbo(self) -> Tensor:
        """recon - sum of kl (M, B); the *smoothed objective*, not a bound, if the pass was smoothed."""
        return self.recon - self.kl.sum(0)

    @property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z|x) at the sampled z (M, B)."""
        return self.recon - self.kl[:-1].sum(0) - self.top_ratio
