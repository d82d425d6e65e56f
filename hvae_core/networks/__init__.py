"""Networks: stacked layers and the normals that they parameterise, with a leading member axis M.

Tensors in, tensors or `Normal` out. Imports checks, spec and streams; likelihoods and systems may import it.
"""
