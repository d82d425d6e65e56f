from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bernoulli

from hvae_core.data import Dataset, load_dataset
from hvae_core.evaluation.baseline import independent_pixels


def test_it_is_the_log_likelihood_under_the_training_means(bars: Dataset) -> None:
    means = np.clip(bars.train.reshape(len(bars.train), -1).mean(axis=0), 0.001, 0.999)
    exact = bernoulli.logpmf(bars.test.reshape(len(bars.test), -1), means).sum(axis=1).mean()
    assert independent_pixels(bars) == pytest.approx(exact, rel=1e-12)


def test_on_mnist_it_is_about_minus_206_nats() -> None:
    assert independent_pixels(load_dataset("mnist")) == pytest.approx(-206.4, abs=0.5)
