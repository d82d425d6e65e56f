"""Data sets: from a reference to a source, by way of files that lie here or there; what a data set is and says."""

import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hvae_core.data
from hvae_core.data import DataError, Dataset, download, fetch_dataset, list_datasets, load_dataset, sources, splits
from hvae_core.data.datasets import checksum
from hvae_core.image import ImageSpec

IDX = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")
ZIPS = ("images_background.zip", "images_evaluation.zip")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """See neither the user's cache, nor the user's data, nor the network."""
    monkeypatch.delenv(sources.ENV_DIR, raising=False)
    monkeypatch.setattr(download, "cache_dir", lambda: tmp_path / "cache")

    def refuse(source: sources.Source, file: sources.SourceFile, directory: Path) -> Path:
        raise DataError(f"the test downloads {source.reference} {file.name} into {directory}")

    monkeypatch.setattr(download, "download", refuse)


def touch(folder: Path, *names: str) -> tuple[Path, ...]:
    """Make empty files, which are found as any others, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = tuple(folder / name for name in names)
    for file in files:
        file.touch()
    return files


@pytest.mark.parametrize(
    ("reference", "counts", "digest", "ink"),
    [
        (
            "mnist",
            (50_000, 10_000, 10_000),
            "9b42f9d6affbd378bc1e7502ec0472ec5413479093a7a1f36a0c48e9eb0f895a",
            (0.12, 0.14),
        ),
        (
            "glyphs",
            (20_000, 2_000, 4_000),
            "707ae03edb0b7e9826a7d614d21030ef130752b2f1f0dc360859a45337574c90",
            (0.11, 0.13),
        ),
    ],
)
def test_embedded_data_are_whole(
    reference: str, counts: tuple[int, int, int], digest: str, ink: tuple[float, float]
) -> None:
    found = load_dataset(reference)
    assert (found.name, found.source, found.reference) == (reference, "embedded", f"{reference}:embedded")
    assert tuple(len(part) for part in (found.train, found.valid, found.test)) == counts
    assert found.image == ImageSpec((1, 28, 28))
    assert all(part.dtype == np.uint8 and part.max() == 1 for part in (found.train, found.valid, found.test))
    assert ink[0] < found.pixel_mean.mean() < ink[1]
    assert found.valid.mean() == pytest.approx(found.test.mean(), abs=0.01)
    assert found.checksum == digest
    assert all(part.any(axis=(1, 2, 3)).all() for part in (found.train, found.valid, found.test))  # no blank image
    assert load_dataset(found.reference).checksum == digest


def test_a_bare_name_takes_what_is_there(tmp_path: Path) -> None:
    drawings = touch(tmp_path, *ZIPS)
    assert fetch_dataset("omniglot", tmp_path) == drawings
    matrices = touch(tmp_path / "cache" / "omniglot", "chardata.mat")
    assert fetch_dataset("omniglot") == matrices
    assert fetch_dataset("omniglot", tmp_path) == (tmp_path / "omniglot" / "chardata.mat",)
    assert fetch_dataset("omniglot:lake", tmp_path) == drawings


def test_a_bare_name_downloads_only_what_has_a_checksum(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the test downloads omniglot:lake images_background\.zip into .*omniglot$"):
        load_dataset("omniglot")
    touch(tmp_path / "cache" / "omniglot", "images_background.zip")
    with pytest.raises(DataError, match=r"the test downloads omniglot:lake images_evaluation\.zip"):
        fetch_dataset("omniglot")


def test_places_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [tmp_path / "argument", tmp_path / "env", tmp_path / "cache"]
    for place in places:
        touch(place / "mnist", *IDX)
    monkeypatch.setenv(sources.ENV_DIR, str(places[1]))

    def found() -> str | None:
        return {info.reference: info.found for info in list_datasets(places[0])}["mnist:grey"]

    for place in places:
        assert found() == str(place / "mnist")
        for file in (place / "mnist").iterdir():
            file.unlink()


def test_beside_an_argument_the_variable_may_mean_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose folder is not that of the command reads a relative path otherwise."""
    files = touch(tmp_path / "mnist", *IDX)
    monkeypatch.setenv(sources.ENV_DIR, "no-such-folder")
    assert fetch_dataset("mnist:grey", tmp_path) == files
    with pytest.raises(DataError, match="HVAE_DATA_DIR: 'no-such-folder' is not a directory"):
        fetch_dataset("mnist:grey")


def test_files_that_lie_elsewhere_are_copied_to_where_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is fetched for machines without network is to be there, not in this machine's cache."""
    there = touch(tmp_path / "cache" / "mnist", *IDX)
    asked = tmp_path / "shared"
    asked.mkdir()
    (tmp_path / "other").mkdir()
    files = fetch_dataset("mnist:grey", asked)
    assert [file.parent for file in files] == [asked / "mnist"] * 2
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in there]
    assert fetch_dataset("mnist:grey") == there
    assert {path.name for path in asked.rglob("*")} == {"mnist", *IDX}

    def full(source: Path, target: Path) -> None:
        target.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(DataError, match="could not be copied .*: No space left on device"):
        fetch_dataset("mnist:grey", tmp_path / "other")
    assert not list((tmp_path / "other" / "mnist").iterdir())


def test_files_lie_in_the_folder_or_in_the_directory_itself(tmp_path: Path) -> None:
    """Torchvision's own folder comes last, so that the loop finds each new place before the last one."""
    torchvision = tmp_path / "MNIST" / "raw"
    for folder, names in ((torchvision, IDX), (tmp_path, [f"{name}.gz" for name in IDX]), (tmp_path / "mnist", IDX)):
        files = touch(folder, *names)
        assert fetch_dataset("mnist:grey", tmp_path) == files


def test_the_list_says_what_is_where(tmp_path: Path) -> None:
    touch(tmp_path / "omniglot", *ZIPS)
    found = {info.reference: info for info in list_datasets(tmp_path)}
    assert list(found) == list(sources.SOURCES)
    assert found["mnist:embedded"].found == "embedded"
    assert found["omniglot:lake"].found == str(tmp_path / "omniglot")
    assert found["mnist:grey"].found is None
    assert "hvae-sweep data fetch mnist:grey" in found["mnist:grey"].how
    assert "fetch" not in found["omniglot:burda"].how
    assert all(info.licence and info.how for info in found.values())


def test_fetching_what_is_there_says_where(tmp_path: Path) -> None:
    (path,) = fetch_dataset("glyphs")
    assert path == splits.embedded(sources.SOURCES["glyphs:embedded"])
    own = tmp_path / "a.npz"
    own.touch()
    assert fetch_dataset(str(own)) == (own,)


@given(st.sampled_from(["train", "valid", "test"]), st.integers(0, 5), st.integers(0, 11))
@settings(deadline=None)
def test_any_flipped_pixel_changes_the_checksum(part: str, image: int, pixel: int) -> None:
    images = {key: np.arange(72, dtype=np.uint8).reshape(6, 12) % 2 for key in ("train", "valid", "test")}
    before = checksum("static", (3, 4), images)
    assert before == checksum("static", (3, 4), {key: np.asfortranarray(images[key]) for key in reversed(images)})
    images[part][image, pixel] ^= 1
    assert checksum("static", (3, 4), images) != before


def test_shape_mode_and_split_change_the_checksum() -> None:
    images = {key: np.ones((2, 12), dtype=np.uint8) for key in ("train", "valid", "test")}
    moved = {**images, "train": np.ones((3, 12), dtype=np.uint8), "valid": np.ones((1, 12), dtype=np.uint8)}
    sums = [
        checksum("static", (3, 4), images),
        checksum("static", (4, 3), images),
        checksum("dynamic", (3, 4), images),
        checksum("static", (3, 4), moved),
    ]
    assert len({*sums}) == 4
    assert all(len(digest) == 64 for digest in sums)


def test_the_checksum_is_the_same_for_ever() -> None:
    images = {key: np.eye(2, 4, dtype=np.uint8) for key in ("train", "valid", "test")}
    assert checksum("static", (2, 2), images) == "8cf774e006d60329fcb9fb9d2babf8399bd18e0f821e45675a76d2a974e4b848"


def test_a_data_set_can_be_sent_to_another_process() -> None:
    images = {key: np.eye(2, 4, dtype=np.uint8) for key in ("train", "valid", "test")}
    made = Dataset.of(name="a", source="npz", reference="/a.npz", shape=(2, 2), images=images)
    back = pickle.loads(pickle.dumps(made))
    assert back.checksum == made.checksum
    assert np.array_equal(back.train, made.train)
    assert str(pickle.loads(pickle.dumps(DataError("x y")))) == "x y"


OFFLINE = "without any file there are mnist and glyphs"

BAD: dict[str, tuple[Mapping[str, Any], list[str]]] = {
    "unknown": ({"reference": "cifar"}, ["'cifar'", "mnist, glyphs, omniglot", "omniglot:lake", "path ending in .npz"]),
    "capitals": ({"reference": "MNIST"}, ["'MNIST'", "must be one of"]),
    "empty": ({"reference": ""}, ["''", "must be one of"]),
    "unknown source": ({"reference": "mnist:lake"}, ["'mnist:lake'", "mnist:grey"]),
    "empty source": ({"reference": "mnist:"}, ["'mnist:'", "must be one of"]),
    "empty name": ({"reference": ":grey"}, ["':grey'", "must be one of"]),
    "unknown mode": ({"reference": "mnist", "binarise": "both"}, ["binarise: 'both'", "static, dynamic or none"]),
    "embedded, dynamic": ({"reference": "mnist:embedded", "binarise": "dynamic"}, ["no grey levels", "mnist:grey"]),
    "larochelle, dynamic": ({"reference": "mnist:larochelle", "binarise": "dynamic"}, ["binarise", "mnist:grey"]),
    "glyphs, dynamic": ({"reference": "glyphs", "binarise": "dynamic"}, ["glyphs has no grey", "use static"]),
    "no such npz": ({"reference": "no/such.npz"}, ["'no/such.npz'", "no such file", OFFLINE]),
    "npz name too long": ({"reference": "x" * 300 + ".npz"}, ["no such file", OFFLINE]),
    "no such directory": ({"reference": "mnist", "data_dir": Path("no/dir")}, ["data_dir", "'no/dir'", OFFLINE]),
    "directory is a file": ({"reference": "omniglot", "data_dir": Path(__file__)}, ["data_dir", "not a directory"]),
    "no such home": ({"reference": "mnist", "data_dir": Path("~nobody-of-this-name")}, ["data_dir", "not a directory"]),
    "not there": (
        {"reference": "mnist:grey", "download": False},
        ["train-images-idx3-ubyte", "cache", "hvae-sweep data fetch mnist:grey", "DIR/mnist/", OFFLINE],
    ),
    "burda not there": ({"reference": "omniglot:burda"}, ["chardata.mat", "from https://", "DIR/omniglot/", OFFLINE]),
    "no source there": (
        {"reference": "omniglot", "download": False},
        ["chardata.mat (omniglot:burda", "images_evaluation.zip (omniglot:lake", OFFLINE],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line(case: str) -> None:
    arguments, parts = BAD[case]
    with pytest.raises(DataError) as caught:
        load_dataset(**arguments)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_stale_variable_is_named_but_embedded_data_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sources.ENV_DIR, "/no/such/folder")
    with pytest.raises(DataError, match=r"^HVAE_DATA_DIR: '/no/such/folder' is not a directory"):
        load_dataset("mnist:grey")
    assert len(load_dataset("glyphs").train) == 20_000


def test_only_numpy_is_imported_until_more_is_needed() -> None:
    code = (
        "import sys, importlib.util as u\n"
        "import types; p = types.ModuleType('hvae_core'); p.__path__ = [sys.argv[1]]; sys.modules['hvae_core'] = p\n"
        "import hvae_core.data\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'scipy', 'PIL', 'pooch', 'platformdirs', 'rich',"
        " 'torch', 'pandas', 'matplotlib', 'ray', 'click'}))"
    )
    package = str(Path(hvae_core.data.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code, package], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
