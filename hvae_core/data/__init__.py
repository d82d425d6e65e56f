"""Data sets: files, downloads and references in; `Dataset` values, binary or grey images with fixed splits, out.

Imports `hvae_core.checks` and numpy, never torch. Anyone may import it: what is listed here is its public door.
"""

from hvae_core.data.datasets import (
    BINARISE,
    DataError,
    Dataset,
    DatasetInfo,
    fetch_dataset,
    list_datasets,
    load_dataset,
)

__all__ = ["BINARISE", "DataError", "Dataset", "DatasetInfo", "fetch_dataset", "list_datasets", "load_dataset"]
