"""Splits: small files in the official formats become the right images in the right part."""

import gzip
import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from hvae_core.data import DataError, download, formats, load_dataset, sources, splits
from hvae_core.data.pixels import TEST, TRAIN, VALID, area_average, fixed_draw, hold_out
from hvae_core.image import ImageSpec

Any8 = NDArray[np.uint8]
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 28, 28), dtype=np.uint8)
INK = RNG.integers(0, 2, (10, 105, 105), dtype=np.uint8)

SMALL = {
    "mnist:grey": (7, 3, 5),
    "mnist:larochelle": (4, 3, 2),
    "omniglot:burda": (9, 2, 4),
    "omniglot:lake": (5, 2, 3),
}


@pytest.fixture(autouse=True)
def _small_and_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Expect small files, and keep what is cached in the test's own folder."""
    for reference, counts in SMALL.items():
        monkeypatch.setitem(sources.SOURCES, reference, replace(sources.SOURCES[reference], counts=counts))
    monkeypatch.setattr(download, "cache_dir", lambda: tmp_path / "cache")


def idx(images: Any8) -> bytes:
    return struct.pack(">4I", 2051, *images.shape) + images.tobytes()


def write_grey(folder: Path, train: int = 10, test: int = 5) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GREY[:train])))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(GREY[-test:]))


def write_amat(folder: Path, counts: tuple[int, int, int] = (4, 3, 2)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, n in zip(("train", "valid", "test"), counts, strict=True):
        rows = (GREY[:n].reshape(n, 784) > 127).astype(int)
        (folder / f"binarized_mnist_{name}.amat").write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))


def write_chardata(folder: Path, train: int = 11, test: int = 4) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    columns = [GREY[part].transpose(2, 1, 0).reshape(784, -1) / 255 for part in (slice(train), slice(-test, None))]
    savemat(folder / "chardata.mat", {"data": columns[0], "testdata": columns[1]})


def write_zips(folder: Path, background: int = 7, evaluation: int = 3) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("background", INK[:background]), ("evaluation", INK[-evaluation:])):
        with zipfile.ZipFile(folder / f"images_{name}.zip", "w") as archive:
            for i, ink in enumerate(part):
                buffer = io.BytesIO()
                Image.fromarray((1 - ink) * np.uint8(255)).convert("1").save(buffer, "PNG")
                archive.writestr(f"images_{name}/Latin/character01/0001_{i:02}.png", buffer.getvalue())


def flat(images: NDArray[Any]) -> NDArray[Any]:
    return images.reshape(len(images), -1)


def _npz(**values: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **values)
    return buffer.getvalue()


def test_grey_mnist_is_split_and_drawn_by_the_fixed_streams(tmp_path: Path) -> None:
    write_grey(tmp_path / "mnist")
    found = load_dataset("mnist:grey", data_dir=tmp_path)
    assert (found.name, found.source, found.reference, found.binarise) == ("mnist", "grey", "mnist:grey", "static")
    assert np.array_equal(flat(found.train), fixed_draw(flat(GREY[:7]), TRAIN))
    assert np.array_equal(flat(found.valid), fixed_draw(flat(GREY[7:10]), VALID))
    assert np.array_equal(flat(found.test), fixed_draw(flat(GREY[-5:]), TEST))
    assert found.pixel_mean == pytest.approx(found.train.mean(axis=0))


@pytest.mark.parametrize("reference", ["mnist", "mnist:grey"])
def test_dynamic_leaves_only_train_grey(tmp_path: Path, reference: str) -> None:
    write_grey(tmp_path)
    found = load_dataset(reference, binarise="dynamic", data_dir=tmp_path)
    static = load_dataset("mnist:grey", data_dir=tmp_path)
    assert (found.reference, found.binarise) == ("mnist:grey", "dynamic")
    assert np.array_equal(flat(found.train), flat(GREY[:7]))
    assert np.array_equal(found.valid, static.valid)
    assert np.array_equal(found.test, static.test)
    assert found.checksum != static.checksum
    assert found.pixel_mean.flatten() == pytest.approx(flat(GREY[:7]).mean(axis=0) / 255)


def test_larochelle_is_taken_as_it_is(tmp_path: Path) -> None:
    write_amat(tmp_path / "mnist")
    found = load_dataset("mnist:larochelle", data_dir=tmp_path)
    for part, n in ((found.train, 4), (found.valid, 3), (found.test, 2)):
        assert np.array_equal(flat(part), flat(GREY[:n]) > 127)


def test_burda_holds_out_the_end_of_its_own_shuffle(tmp_path: Path) -> None:
    write_chardata(tmp_path / "omniglot")
    found = load_dataset("omniglot:burda", binarise="dynamic", data_dir=tmp_path)
    held = set(np.random.RandomState(123).permutation(11)[-2:].tolist())
    assert np.array_equal(flat(found.train), flat(GREY[[i for i in range(11) if i not in held]]))
    assert np.array_equal(flat(found.valid), fixed_draw(flat(GREY[sorted(held)]), VALID))
    assert np.array_equal(flat(found.test), fixed_draw(flat(GREY[-4:]), TEST))


def test_lake_is_averaged_and_parted(tmp_path: Path) -> None:
    write_zips(tmp_path / "omniglot")
    found = load_dataset("omniglot", binarise="dynamic", data_dir=tmp_path)
    assert (found.name, found.source, found.reference) == ("omniglot", "lake", "omniglot:lake")
    kept, held = hold_out(7, 2)
    average = flat(area_average(INK, 28))
    assert np.array_equal(flat(found.train), average[:7][kept])
    assert np.array_equal(flat(found.valid), fixed_draw(average[:7][held], VALID))
    assert np.array_equal(flat(found.test), fixed_draw(average[-3:], TEST))


def test_averages_are_kept_and_a_damaged_file_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_zips(tmp_path)
    first = load_dataset("omniglot:lake", data_dir=tmp_path).checksum
    read = formats.read_strokes
    calls: list[Path] = []

    def counted(path: Path) -> Any8:
        calls.append(path)
        return read(path)

    monkeypatch.setattr(formats, "read_strokes", counted)
    assert load_dataset("omniglot:lake", data_dir=tmp_path).checksum == first
    assert not calls
    kept = sorted((tmp_path / "cache").rglob("*.npz"))
    assert len(kept) == 2
    for damage in (b"", b"junk", kept[0].read_bytes()[:-100], _npz(grey=np.zeros((7, 28, 27), np.uint8))):
        calls.clear()
        kept[0].write_bytes(damage)
        assert load_dataset("omniglot:lake", data_dir=tmp_path).checksum == first
        assert len(calls) == 1
    write_zips(tmp_path, 6, 3)  # other zips do not meet the old averages
    with pytest.raises(DataError, match=r"images_background\.zip: holds 6 images"):
        load_dataset("omniglot:lake", data_dir=tmp_path)
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    write_zips(tmp_path)
    (tmp_path / "cache").write_text("a file where the cache should be")
    assert len(load_dataset("omniglot:lake", data_dir=tmp_path).train) == 5


@pytest.mark.parametrize(
    ("reference", "file", "what"),
    [
        ("mnist:grey", "train-images-idx3-ubyte.gz", "holds 9 images of 28x28; the official file holds 10"),
        ("mnist:grey", "t10k-images-idx3-ubyte", "holds 5 images of 27x28; the official file holds 5 of 28x28"),
        ("mnist:larochelle", "binarized_mnist_valid.amat", "holds 2 images of 784; the official file holds 3"),
        ("omniglot:burda", "chardata.mat", "holds 10 images of 784; the official file holds 11"),
        ("omniglot:lake", "images_evaluation.zip", "holds 2 images of 28x28; the official file holds 3"),
    ],
)
def test_a_file_with_other_images_than_the_official_is_named(
    tmp_path: Path, reference: str, file: str, what: str
) -> None:
    write_grey(tmp_path, train=9 if "train" in file else 10)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(GREY[-5:, 1:] if "t10k" in file else GREY[-5:]))
    write_amat(tmp_path, (4, 2, 2))
    write_chardata(tmp_path, train=10)
    write_zips(tmp_path, evaluation=2)
    with pytest.raises(DataError) as caught:
        load_dataset(reference, data_dir=tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / file}: {what}")


def test_too_few_images_to_measure_a_variance_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.npz"
    path.write_bytes(_npz(train=GREY[:2], test=GREY))
    with pytest.raises(DataError, match=r"few\.npz: array train holds 2 images and there is no array valid"):
        load_dataset(str(path))
    path.write_bytes(_npz(train=GREY, test=GREY[:1]))
    with pytest.raises(DataError, match=r"few\.npz: array test holds one image"):
        load_dataset(str(path))


def test_damaged_embedded_data_are_never_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "glyphs.npz.xz"
    monkeypatch.setattr(splits, "embedded", lambda source: fake)
    with pytest.raises(DataError, match=r"glyphs\.npz\.xz: cannot be read"):
        load_dataset("glyphs")
    few = {key: GREY[:3].reshape(3, 784) % 2 for key in ("train", "valid", "test")}
    fake.write_bytes(formats.pack(few, (28, 28)))
    with pytest.raises(DataError, match=r"holds 3 images of 784; the official file holds 20000"):
        load_dataset("glyphs")


def test_a_users_npz_gives_up_a_tenth_of_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits.npz").write_bytes(_npz(train=GREY[:, :5, :7], test=GREY[:3, :5, :7]))
    monkeypatch.chdir(tmp_path)
    found = load_dataset("digits.npz", binarise="dynamic")
    kept, held = hold_out(20, 2)
    assert (found.name, found.source, found.image) == ("digits", "npz", ImageSpec((1, 5, 7)))
    assert found.reference == str(tmp_path / "digits.npz")
    assert np.array_equal(flat(found.train), flat(GREY[kept, :5, :7]))
    assert np.array_equal(flat(found.valid), fixed_draw(flat(GREY[held, :5, :7]), VALID))
    assert load_dataset(found.reference, binarise="dynamic").checksum == found.checksum
    assert load_dataset(found.reference).train.max() == 1
    for n, expected in ((20, 2), (19, 2), (9, 2), (3, 2)):
        (tmp_path / "digits.npz").write_bytes(_npz(train=GREY[:n], test=GREY[:2]))
        assert len(load_dataset("digits.npz").valid) == expected


def test_a_users_binary_npz_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "b.NPZ"
    binary = GREY > 99
    path.write_bytes(_npz(train=binary, test=binary[:4], valid=binary[4:6]))
    found = load_dataset(str(path))
    assert np.array_equal(flat(found.train), flat(binary))
    assert np.array_equal(flat(found.valid), flat(binary[4:6]))
    assert np.array_equal(flat(found.test), flat(binary[:4]))
    with pytest.raises(DataError, match=r"binarise: .*b\.NPZ holds nothing but 0 and 1.*use static"):
        load_dataset(str(path), binarise="dynamic")


def test_without_binarisation_the_grey_levels_stay(tmp_path: Path) -> None:
    (tmp_path / "digits.npz").write_bytes(_npz(train=GREY[:, :5, :7], test=GREY[:3, :5, :7]))
    reference = str(tmp_path / "digits.npz")
    grey = load_dataset(reference, binarise="none")
    assert grey.image == ImageSpec((1, 5, 7), 256)
    assert np.array_equal(flat(grey.test), flat(GREY[:3, :5, :7]))
    assert grey.pixel_mean.flatten() == pytest.approx(flat(grey.train).mean(axis=0) / 255)
    assert len({load_dataset(reference, binarise=mode).checksum for mode in ("static", "dynamic", "none")}) == 3
    with pytest.raises(DataError, match="no grey levels"):
        load_dataset("mnist:embedded", binarise="none")
