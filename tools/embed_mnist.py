"""Build the embedded MNIST: the fixed binarisation of mnist:grey, as bits.

    python tools/embed_mnist.py --data-dir DIR        DIR/mnist/ holds the two idx files of images

The result is what `load_dataset("mnist:grey")` gives, bit for bit, and the checksum printed is the same. MNIST is by
Yann LeCun, Corinna Cortes and Christopher J. C. Burges, under CC BY-SA 3.0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hvae_core.data import load_dataset
from hvae_core.data.formats import pack
from hvae_core.data.sources import SOURCES
from hvae_core.data.splits import embedded


def main() -> None:
    """Build the file, write it into the package, and check that it loads as the same data set."""
    parser = argparse.ArgumentParser(description="Build the embedded MNIST from the grey images.")
    parser.add_argument("--data-dir", type=Path, required=True, help="directory that holds mnist/*-images-idx3-ubyte")
    parser.add_argument("--out", type=Path, default=embedded(SOURCES["mnist:embedded"]), help="file to write")
    arguments = parser.parse_args()
    grey = load_dataset("mnist:grey", data_dir=arguments.data_dir, download=False)
    content = pack({"train": grey.train, "valid": grey.valid, "test": grey.test}, grey.image.shape[1:])
    arguments.out.write_bytes(content)
    print(f"{arguments.out}: {len(content)} bytes, content {grey.checksum}")
    if arguments.out == embedded(SOURCES["mnist:embedded"]) and load_dataset("mnist").checksum != grey.checksum:
        raise SystemExit("the embedded file does not load as mnist:grey does")


if __name__ == "__main__":
    main()
