"""Downloads, from a server in this process."""

import hashlib
import io
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from hvae_core.data.download import Bar, cache_dir, download
from hvae_core.data.formats import DataError
from hvae_core.data.sources import SOURCES, Source, SourceFile

CONTENT = bytes(range(256)) * 2000
HASH = hashlib.sha256(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "images.gz").write_bytes(CONTENT)
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def source(file: SourceFile) -> Source:
    return Source("letters", "web", (1, 1, 1), "grey", "free", (file,))


def test_a_file_is_downloaded_whole(site: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = SourceFile("images", f"{site}images.gz", HASH)
    path = download(source(file), file, tmp_path / "cache" / "letters")
    assert path == tmp_path / "cache" / "letters" / "images.gz"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""  # no terminal, no bar


def test_a_bar_is_shown_on_a_terminal(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    file = SourceFile("images", f"{site}images.gz", HASH)
    download(source(file), file, tmp_path / "cache")
    assert "images.gz" in terminal.getvalue()


def test_a_bar_counts_bytes_and_closes_twice() -> None:
    bar = Bar("images.gz")
    bar.total = 10
    bar.update(4)
    assert (bar.total, bar._progress.tasks[0].completed) == (10, 4)
    bar.reset()
    assert bar._progress.tasks[0].completed == 0
    bar.close()
    bar.close()


@pytest.mark.parametrize(
    ("name", "digest", "what"),
    [("images.gz", HASH[::-1], "hash"), ("nothing.gz", HASH, "404")],
    ids=["other content", "not there"],
)
def test_what_is_not_right_is_not_kept(site: str, tmp_path: Path, name: str, digest: str, what: str) -> None:
    file = SourceFile("images", site + name, digest)
    with pytest.raises(DataError) as caught:
        download(source(file), file, tmp_path / "cache")
    message = str(caught.value)
    assert message.startswith(f"letters:web: {site}{name} could not be downloaded")
    assert what in message
    assert "put it into DIR/letters/" in message
    assert "\n" not in message
    assert not list((tmp_path / "cache").rglob("*"))


def test_without_a_network_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    file = SourceFile("images", "http://127.0.0.1:9/images.gz", HASH)
    with pytest.raises(DataError, match=r"could not be downloaded .* without any file there are mnist and glyphs$"):
        download(source(file), file, tmp_path)


def test_a_place_that_cannot_be_written_is_named(site: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    file = SourceFile("images", f"{site}images.gz", HASH)
    with pytest.raises(DataError, match=r"could not be downloaded into .*cache"):
        download(source(file), file, tmp_path / "cache" / "letters")


def test_a_file_without_checksum_is_not_downloaded(tmp_path: Path) -> None:
    burda = SOURCES["omniglot:burda"]
    with pytest.raises(DataError, match=r"chardata\.mat has no public checksum"):
        download(burda, burda.files[0], tmp_path)


def test_every_download_has_a_whole_sha256() -> None:
    for known in SOURCES.values():
        for file in known.files:
            assert (file.url is None) == (file.sha256 is None)
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32


def test_the_cache_is_the_users() -> None:
    assert cache_dir().name == "hvae-sweep"
