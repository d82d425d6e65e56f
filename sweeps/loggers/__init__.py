"""Loggers: ended cells of the ledger in; runs of TensorBoard, MLflow or Weights & Biases out.

Imports ledger and grid; running and cli.py may import it.
"""
