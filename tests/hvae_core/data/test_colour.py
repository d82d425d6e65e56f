"""Images in colour: CIFAR-10's binary files and their archive, and a user's npz."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hvae_core.data import DataError, datasets, download, list_datasets, load_dataset, sources
from hvae_core.data.pixels import hold_out
from hvae_core.image import ImageSpec

BATCHES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, no other folder, and batches of twenty images as the official ones."""
    monkeypatch.delenv(sources.ENV_DIR, raising=False)
    monkeypatch.setattr(datasets, "_cache_dir", lambda: tmp_path / "cache")
    official = sources.SOURCES["cifar10:binary"]
    small = sources.Source(**{**vars(official), "counts": (90, 10, 20)})
    monkeypatch.setitem(sources.SOURCES, "cifar10:binary", small)

    def refuse(source: sources.Source, file: sources.SourceFile, directory: Path) -> Path:
        raise DataError(f"{source.reference}: {file.name} would be downloaded")

    monkeypatch.setattr(download, "download", refuse)


def pictures(count: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def records(images: NDArray[np.uint8]) -> bytes:
    labels = np.arange(len(images), dtype=np.uint8)[:, None] % 10
    return np.concatenate([labels, images.reshape(len(images), -1)], axis=1).tobytes()


def batches(count: int = 20) -> dict[str, NDArray[np.uint8]]:
    return {name: pictures(count, seed) for seed, name in enumerate(BATCHES)}


def write(folder: Path, parts: dict[str, NDArray[np.uint8]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, images in parts.items():
        (folder / name).write_bytes(records(images))


def npz(path: Path, **values: Any) -> str:
    np.savez(path, **values)
    return str(path)


@pytest.mark.parametrize("folder", ["cifar10", "cifar-10-batches-bin", "."])
def test_cifar_is_read_whole_and_holds_a_tenth_of_train_out(tmp_path: Path, folder: str) -> None:
    parts = batches()
    write(tmp_path / folder, parts)
    data = load_dataset("cifar10", data_dir=tmp_path)
    kept, held = hold_out(100, 10)
    train = np.concatenate([parts[name] for name in BATCHES[:-1]])
    assert (data.reference, data.binarise, data.image) == ("cifar10:binary", "none", ImageSpec((3, 32, 32), 256))
    np.testing.assert_array_equal(data.train, train[kept])
    np.testing.assert_array_equal(data.valid, train[held])
    np.testing.assert_array_equal(data.test, parts["test_batch.bin"])


def test_its_archive_serves_as_well(tmp_path: Path) -> None:
    parts = batches()
    (tmp_path / "cifar10").mkdir()
    with tarfile.open(tmp_path / "cifar10" / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name in reversed(BATCHES):
            content = records(parts[name])
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    packed = load_dataset("cifar10", data_dir=tmp_path)
    write(tmp_path / "plain", parts)
    assert packed.checksum == load_dataset("cifar10", data_dir=tmp_path / "plain").checksum


def test_a_part_of_it_trains_under_its_own_name_alone(tmp_path: Path) -> None:
    parts = {name: pictures(15, seed) for seed, name in enumerate(("data_batch_1.bin", "test_batch.bin"))}
    write(tmp_path / "cifar10", parts)
    with pytest.raises(DataError, match="would be downloaded"):
        load_dataset("cifar10", data_dir=tmp_path)
    with pytest.raises(DataError, match=r"^cifar10: not found"):
        load_dataset("cifar10", data_dir=tmp_path, download=False)
    partial = load_dataset("cifar10:partial", data_dir=tmp_path)
    assert (partial.name, partial.source, len(partial.train), len(partial.valid)) == ("cifar10", "partial", 13, 2)
    write(tmp_path / "cifar10", {**batches(), "data_batch_3.bin": pictures(19, 0)})
    with pytest.raises(DataError, match=r"data_batch_3.bin: holds 19 images; .* 20\. .*cifar10:partial"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_the_list_says_that_a_part_has_any_number(tmp_path: Path) -> None:
    write(tmp_path / "cifar10", {name: pictures(5, 0) for name in ("data_batch_1.bin", "test_batch.bin")})
    found = {info.reference: (info.counts, info.kind, info.found is None) for info in list_datasets(tmp_path)}
    assert found["cifar10:partial"] == (None, "colour", False)
    assert found["cifar10:binary"] == ((90, 10, 20), "colour", True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes are not a number of 3073 each"),
        (bytes(3072), "3072 bytes are not a number of 3073 each"),
        (b"\x0a" + bytes(3072), "it has a label 10 above 9"),
        (records(pictures(2, 0)), "holds 2 images; give three or more"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    write(tmp_path, {name: pictures(5, 0) for name in ("data_batch_1.bin", "test_batch.bin")})
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(DataError, match=f"test_batch.bin: .*{words}") as error:
        load_dataset("cifar10:partial", data_dir=tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b damaged"])
def test_a_damaged_archive_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match="tar.gz: not a whole tar file"):
        load_dataset("cifar10", data_dir=tmp_path)


def test_an_archive_without_a_file_is_named(tmp_path: Path) -> None:
    tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz").close()
    with pytest.raises(DataError, match=r"tar.gz: holds no data_batch_1.bin"):
        load_dataset("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("last", [True, False])
def test_an_npz_in_colour_has_its_channels_first_or_last(tmp_path: Path, last: bool) -> None:
    images = pictures(9, 0)[:, :, :6, :4]
    given = np.moveaxis(images, 1, -1) if last else images
    data = load_dataset(npz(tmp_path / "a.npz", train=given, valid=given[:3], test=given[:2]))
    assert (data.binarise, data.image) == ("none", ImageSpec((3, 6, 4), 256))
    np.testing.assert_array_equal(data.train, images)
    null = load_dataset(f"null:{tmp_path / 'a.npz'}")
    assert null.image == data.image
    np.testing.assert_array_equal(np.sort(null.train, axis=0), np.sort(data.train, axis=0))


def test_an_npz_of_coloured_bits_stays_binary(tmp_path: Path) -> None:
    images = (pictures(6, 0)[:, :, :4, :4] > 127).astype(np.uint8)
    data = load_dataset(npz(tmp_path / "a.npz", train=images, test=images[:2]))
    assert (data.binarise, data.image) == ("static", ImageSpec((3, 4, 4), 2))


@pytest.mark.parametrize("shape", [(5, 3, 4, 3), (5, 2, 4, 4), (5, 4, 4, 4)])
def test_channels_that_cannot_be_told_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    with pytest.raises(DataError, match=r"it must be .* or in colour \(N, H, W, 3\) or \(N, 3, H, W\)"):
        load_dataset(npz(tmp_path / "a.npz", train=images, test=images))


def test_colours_are_never_binarised_anew(tmp_path: Path) -> None:
    write(tmp_path, {name: pictures(5, 0) for name in ("data_batch_1.bin", "test_batch.bin")})
    with pytest.raises(DataError, match=r"^binarise: cifar10:partial has no grey levels, so 'dynamic'.* use none"):
        load_dataset("cifar10:partial", data_dir=tmp_path, binarise="dynamic")
    images = pictures(6, 0)[:, :, :4, :4]
    with pytest.raises(DataError, match=r"^binarise: .* is in colour, so 'dynamic' is not allowed; use none"):
        load_dataset(npz(tmp_path / "a.npz", train=images, test=images), binarise="dynamic")


def test_moments_are_those_of_the_levels(tmp_path: Path) -> None:
    images = pictures(7, 3)[:, :, :4, :4]
    data = load_dataset(npz(tmp_path / "a.npz", train=images, valid=images, test=images))
    np.testing.assert_allclose(data.pixel_mean, images.mean(0) / 255, atol=1e-12)
    np.testing.assert_allclose(data.pixel_std, images.std(0) / 255, atol=1e-12)
