"""Data sets: files, downloads and references in; `Dataset` values, binary or grey images with fixed splits, out.

Imports `hvae_core.checks` and numpy, never torch. Anyone may import it: what is listed here is its public door.
"""

from hvae_core.data.datasets import (
    BINARISE,
    Dataset,
    DatasetInfo,
    fetch_dataset,
    list_datasets,
    load_dataset,
    own_file,
)
from hvae_core.data.formats import DataError
from hvae_core.data.null import PREFIX as NULL
from hvae_core.data.null import is_null

__all__ = [
    "BINARISE",
    "NULL",
    "DataError",
    "Dataset",
    "DatasetInfo",
    "fetch_dataset",
    "is_null",
    "list_datasets",
    "load_dataset",
    "own_file",
]
