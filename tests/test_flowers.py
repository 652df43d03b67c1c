"""The flower photos: fetched whole and checked, or refused with a reason; no test leaves this machine."""

from __future__ import annotations

import functools
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core import datasets
from core.datasets import flowers
from core.datasets.fetching import Remote
from core.errors import Cancelled, DataError
from core.workspace import Workspace
from tests.pictures import encode, noise

COUNTS = {"daisy": 2, "tulips": 1}
MEMBERS = {
    "flower_photos/daisy/1_a.jpg": encode(noise(1), "JPEG"),
    "flower_photos/daisy/2_b.jpg": encode(noise(2), "JPEG"),
    "flower_photos/tulips/3_c.jpg": encode(noise(3), "JPEG"),
    "flower_photos/LICENSE.txt": b"CC BY",
    "flower_photos/../../evil.jpg": b"x",
    "flower_photos/daisy/._1_a.jpg": b"x",
}


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("flower_photos/daisy/9_z.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    return buffer.getvalue()


class _Answers(BaseHTTPRequestHandler):
    files: dict[str, bytes]

    def do_GET(self) -> None:
        data = self.files.get(self.path)
        self.send_response(404 if data is None else 200)
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served_files() -> Iterator[tuple[str, dict[str, bytes]]]:
    files: dict[str, bytes] = {}
    handler = type("Handler", (_Answers,), {"files": files})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", files
        server.shutdown()
        thread.join()


def build(url: str, data: bytes, sha256: str = "") -> functools.partial[None]:
    remote = Remote(f"{url}/flowers.tgz", sha256 or hashlib.sha256(data).hexdigest(), len(data))
    return functools.partial(flowers.build, remote=remote, num_pictures=COUNTS)


def test_the_photos_are_fetched_checked_and_unpacked_with_their_licences(
    workspace: Workspace, served_files: tuple[str, dict[str, bytes]]
) -> None:
    url, files = served_files
    files["/flowers.tgz"] = data = archive(MEMBERS)
    told: list[tuple[int, int]] = []
    dataset = datasets.add_sample(
        workspace, "flowers", lambda done, total: told.append((done, total)), build(url, data)
    )
    found = {path.relative_to(dataset.root).as_posix() for path in dataset.root.rglob("*") if path.is_file()}
    assert found == {"daisy/1_a.jpg", "daisy/2_b.jpg", "tulips/3_c.jpg", "LICENSE.txt"}
    assert told == sorted(told) and told[-1] == (100, 100)
    assert "CC BY" in dataset.licence
    assert [path.name for path in workspace.samples_dir.iterdir()] == ["flowers"]


def test_a_wrong_checksum_size_or_content_is_refused_and_leaves_nothing(
    workspace: Workspace, served_files: tuple[str, dict[str, bytes]]
) -> None:
    url, files = served_files
    good = archive(MEMBERS)
    few = archive({name: data for name, data in MEMBERS.items() if "tulips" not in name})
    page = b"<html>log in first</html>"
    cases = [
        (good, build(url, good, "0" * 64), "has the checksum"),
        (page, build(url, good), r"came with 25 bytes or more\. Expected"),
        (good + b"more", build(url, good), "bytes or more"),
        (few, build(url, few), "2 pictures instead of 3"),
        (page, build(url, page), "holds something unexpected"),
    ]
    for sent, make, message in cases:
        files["/flowers.tgz"] = sent
        with pytest.raises(DataError, match=message):
            datasets.add_sample(workspace, "flowers", build=make)
        assert list(workspace.samples_dir.iterdir()) == []
    assert datasets.list_datasets(workspace) == []


def test_offline_and_a_missing_file_are_said(
    workspace: Workspace, served_files: tuple[str, dict[str, bytes]]
) -> None:
    url, _ = served_files
    for place, why in ((url, "the server answered 404 "), ("http://127.0.0.1:9", "Connection refused")):
        with pytest.raises(
            DataError, match=rf"fetched \({why}.*needs the internet once.*Connect and try again"
        ):
            datasets.add_sample(workspace, "flowers", build=build(place, b"x"))


def test_a_download_that_is_cancelled_leaves_nothing(
    workspace: Workspace, served_files: tuple[str, dict[str, bytes]]
) -> None:
    url, files = served_files
    files["/flowers.tgz"] = data = archive(MEMBERS)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        datasets.add_sample(workspace, "flowers", stop, build(url, data))
    assert list(workspace.samples_dir.iterdir()) == []


def test_the_archive_is_described_as_it_is_published() -> None:
    sample = datasets.SAMPLES["flowers"]
    assert (sample.num_images, sample.num_classes, round(sample.download_mb)) == (3670, 5, 229)
    assert flowers.FLOWER_PHOTOS.url.startswith("https://")
    assert len(flowers.FLOWER_PHOTOS.sha256) == 64
