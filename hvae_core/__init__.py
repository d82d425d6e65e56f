"""A stacked hierarchical VAE: many small models trained at once, measured unsmoothed.

    p(x, z) = p(x | z_1) p(z_L) prod_i p(z_i | z_{i+1})
    q(z | x) = q(z_1 | x) prod_i q(z_{i+1} | z_i)

Every weight and activation carries a leading member axis M; a single model is M = 1. Training smooths the
generator's conditionals with the Ornstein-Uhlenbeck operator U_rho; evaluation never does.

The package needs torch, numpy and the standard library to train and to evaluate. Nothing is imported here, so that
`hvae_core.spec` and `hvae_core.data` stay usable without loading torch.
"""
