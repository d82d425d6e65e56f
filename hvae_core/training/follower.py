"""Who follows a training: hears of it as it goes on, and may stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hvae_core.training.trainer import PackTrainer


class Follower:
    """Hears nothing and never stops; a subclass overrides what it wants."""

    def evaluated(self, trainer: PackTrainer) -> None:
        """Hear of an evaluation on validation images, whose rows are in the trainer's history."""

    def progressed(self, trainer: PackTrainer) -> None:
        """Hear, about once a second, that training goes on."""

    def should_stop(self) -> bool:
        """Say, about once a second, whether to write a checkpoint and end with `Interrupted`."""
        return False

    def note(self, line: str) -> None:
        """Hear, in one line, what was wrong with a checkpoint that is not used."""
