"""Files that are missing, closed, no files at all, or larger than memory."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import pytest

from pipeline.data import opened_file
from pipeline.data.array_files import read_idx
from tests.support.data_files import (
    IMAGE_BYTES,
    TABLE,
    csv_examples,
    refusal,
    write_pair,
)


def test_a_missing_file_a_folder_and_a_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    found = {
        "missing.csv": "no such file",
        "": "a folder",
        "pipe": "a pipe",
        "n\0": "no such file",
        "dangling": "a link",
    }
    for name, got in found.items():
        message = refusal(csv_examples, tmp_path / name, "kind")
        assert message.startswith(f"data.path: {tmp_path / name}: expected a file, got {got}")
    assert "File name too long" in refusal(csv_examples, tmp_path / ("x" * 300), "kind")
    assert "File name too long" in refusal(read_idx, tmp_path / ("x" * 300))
    longest = tmp_path / ("images" + "x" * 249)
    longest.write_bytes(IMAGE_BYTES)
    assert "File name too long" in refusal(read_idx, longest)


def test_the_way_to_a_file_is_not_told_as_its_absence(tmp_path: Path) -> None:
    (tmp_path / "images-loop").symlink_to("images-loop")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    (tmp_path / "table.csv").write_bytes(TABLE)
    for name, got in (
        ("images-loop", "Too many levels"),
        ("there/d.csv", "Too many"),
        ("table.csv/d.csv", "Not a dir"),
    ):
        for read, arguments in ((csv_examples, ("kind",)), (read_idx, ())):
            assert f"expected something readable, got {got}" in refusal(read, tmp_path / name, *arguments)
    path = write_pair(tmp_path)
    (labels := tmp_path / "train-labels-idx1-ubyte").unlink()
    labels.symlink_to(labels.name)
    assert (
        refusal(read_idx, path)
        == f"data.path: {labels}: expected something readable, got Too many levels of symbolic links"
    )


@pytest.mark.parametrize("name", ["kmsg", "cpuinfo", "self/environ", "self/mem", "sys/kernel/random/uuid"])
def test_what_only_looks_like_a_file_is_not_read(tmp_path: Path, name: str) -> None:
    """The kernel's log waits for news, and takes what is read away from whoever keeps it."""
    if not (path := Path("/proc") / name).exists():
        pytest.skip("no such file on this system")
    link = tmp_path / "images-idx3"
    link.symlink_to(path)
    for read, arguments in ((csv_examples, (path, "kind")), (csv_examples, (link, "kind")), (read_idx, (link,))):
        message = refusal(read, *arguments)
        assert message == f"data.path: {arguments[0]}: expected a file that holds something, got one of 0 bytes"


def test_what_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's refusal is imitated: root, who often runs tests, may read everything."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_pair(tmp_path)
    monkeypatch.setattr(Path, "open", denied)
    monkeypatch.setattr(Path, "iterdir", denied)
    (tmp_path / "folder").mkdir()
    for read, arguments in ((csv_examples, (path, "kind")), (read_idx, (path,)), (read_idx, (tmp_path / "folder",))):
        message = refusal(read, *arguments)
        assert message.startswith(f"data.path: {arguments[0]}: ")
        assert message.endswith("got Permission denied")


def test_a_file_that_outgrows_memory_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a few kilobytes that unpack to 100 MB, where 50 MB of memory are granted."""
    monkeypatch.setattr(opened_file, "machine_memory", lambda: 50_000_000)
    header = IMAGE_BYTES[:4] + struct.pack(">3I", 1, 10_000, 10_000)
    packed_images = write_pair(tmp_path, gzip.compress(header + bytes(100_000_000)))
    table = tmp_path / "table.csv"
    table.write_bytes(gzip.compress(TABLE + b"5,6,x\n" * 16_000_000))
    for read, arguments in ((read_idx, (packed_images,)), (csv_examples, (table, "kind"))):
        tracemalloc.start()
        message = refusal(read, *arguments)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert message.startswith(f"data.path: {arguments[0]}: expected a file of at most ")
        assert "50 MB of memory, got more than " in message
        assert peak < 25_000_000
