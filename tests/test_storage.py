import errno
import gzip
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest

from charlm import jsonfiles, storage
from charlm.errors import RunError, StorageError, TextError
from charlm.text import corpus


def run_error(reason: str) -> RunError:
    return RunError(reason, hint="h")


def failing(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.fixture
def old(tmp_path):
    """A file with something in it, alone in its folder."""
    path = tmp_path / "notes.txt"
    path.write_text("old")
    return path


@pytest.fixture
def run(tmp_path):
    """Where a folder shall come into being."""
    return tmp_path / "runs" / "tang"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def flushed(monkeypatch):
    """The inodes of files and folders that were flushed to the disk."""
    seen: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda handle: seen.add(os.fstat(handle).st_ino))
    return seen


# ── whole files ─────────────────────────────────────────────────────────────────────────────────


def test_a_file_appears_when_its_block_is_done(tmp_path):
    path = tmp_path / "new" / "notes.txt"
    with storage.whole_file(path) as temporary:
        temporary.write_text("春")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "春"
    assert names(path.parent) == ["notes.txt"]


def test_a_file_and_its_folder_reach_the_disk(old, flushed):
    storage.write_text(old, "new")
    assert flushed == {old.stat().st_ino, old.parent.stat().st_ino}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, StorageError])
def test_an_exception_leaves_the_old_file_and_no_temporary(old, kind):
    error = StorageError("x", hint="h") if kind is StorageError else kind("x")
    with pytest.raises(kind), storage.whole_file(old) as temporary:
        temporary.write_text("half")
        raise error
    assert old.read_text() == "old"
    assert names(old.parent) == ["notes.txt"]


@pytest.mark.parametrize("owner, name", [(os, "fsync"), (Path, "replace"), (Path, "open")])
def test_a_disk_that_refuses_is_a_storage_error_and_leaves_the_old_file(old, monkeypatch, owner, name):
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(StorageError, match=r"cannot write .*: No space left on device") as caught:
            storage.write_text(old, "new")
    assert "untouched" in caught.value.hint
    assert old.read_text() == "old"
    assert names(old.parent) == ["notes.txt"]


def test_a_block_that_writes_nothing_is_a_storage_error(old):
    with pytest.raises(StorageError, match="No such file"), storage.whole_file(old):
        pass
    assert old.read_text() == "old"


def test_text_that_utf_8_cannot_hold_leaves_the_old_file(old):
    with pytest.raises(UnicodeEncodeError):
        storage.write_text(old, "\ud800")
    assert old.read_text() == "old"
    assert names(old.parent) == ["notes.txt"]


def test_a_place_that_cannot_be_is_a_storage_error(old):
    for place in (old / "below", old.parent, old.with_name("春" * 200)):
        with pytest.raises(StorageError, match="cannot write"):
            storage.write_text(place, "new")
    assert names(old.parent) == ["notes.txt"]


def test_json_is_for_people_too(tmp_path):
    path = tmp_path / "a.json"
    jsonfiles.write(path, {"name": "春", "n": 1})
    assert path.read_text() == '{\n  "name": "春",\n  "n": 1\n}\n'
    assert jsonfiles.read(path, error=run_error) == {"name": "春", "n": 1}


def test_lines_are_added_at_the_end(old):
    storage.append_line(old, "er")
    storage.append_line(old, "二\u2028")
    assert old.read_bytes() == "older\n二\u2028\n".encode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_log_on_a_full_disk_is_a_storage_error():
    with pytest.raises(StorageError, match="cannot write /dev/full: No space left on device"):
        storage.append_line(Path("/dev/full"), "line")


@pytest.mark.parametrize("exists", [True, False])
def test_a_symlink_keeps_pointing_at_the_file_that_is_written(old, tmp_path, exists):
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "target.txt"
    if exists:
        target.write_text("before")
    (tmp_path / "near").symlink_to("far/target.txt")
    (tmp_path / "link").symlink_to("near")
    storage.write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "near").is_symlink()
    assert target.read_text() == "new"
    assert names(tmp_path / "far") == ["target.txt"]
    assert names(tmp_path) == ["far", "link", "near", "notes.txt"]


def test_a_symlink_that_leads_to_itself_is_a_storage_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError, match=r"cannot write .*loop"):
        storage.write_text(tmp_path / "loop", "new")
    assert (tmp_path / "loop").is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("linked", [False, True])
def test_a_named_pipe_stays_one_and_its_reader_gets_the_text(tmp_path, linked):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = pipe
    if linked:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        storage.write_text(path, "春")
        assert os.read(reader, 100) == "春".encode()
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert path.is_symlink() == linked


def test_a_device_is_written_not_replaced(tmp_path):
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        node.write_text("x")
    except OSError:
        pytest.skip("only root may make devices")
    storage.write_text(node, "new")
    assert stat.S_ISCHR(node.stat().st_mode)
    assert names(tmp_path) == ["null"]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system does not name its descriptors")
def test_what_stdout_was_appending_to_keeps_its_beginning(old):
    handle = os.open(old, os.O_WRONLY | os.O_APPEND)
    try:
        storage.write_text(Path(f"/dev/fd/{handle}"), "er")
    finally:
        os.close(handle)
    assert old.read_text() == "older"
    assert names(old.parent) == ["notes.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_reader_that_left_is_told_as_a_broken_pipe(tmp_path):
    read, write = os.pipe()
    os.close(read)
    try:
        with pytest.raises(BrokenPipeError):
            storage.write_text(Path(f"/dev/fd/{write}"), "new")
    finally:
        os.close(write)


# ── whole folders ───────────────────────────────────────────────────────────────────────────────


def test_a_folder_appears_when_its_block_is_done(run):
    with storage.whole_folder(run) as temporary:
        (temporary / "a").write_text("1")
        assert not run.exists()
    assert names(run) == ["a"]
    assert names(run.parent) == ["tang"]


def test_a_folder_what_it_holds_and_its_parent_reach_the_disk(run, flushed):
    with storage.whole_folder(run) as temporary:
        (temporary / "a").write_text("1")
    assert flushed == {place.stat().st_ino for place in (run / "a", run, run.parent)}


def test_a_folder_is_as_open_to_others_as_any_folder(run, tmp_path):
    with storage.whole_folder(run):
        pass
    (tmp_path / "ordinary").mkdir()
    assert run.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_no_folder_and_no_temporary(run, kind):
    with pytest.raises(kind), storage.whole_folder(run) as temporary:
        (temporary / "a").write_text("1")
        raise kind
    assert names(run.parent) == []


@pytest.mark.parametrize("owner, name", [(os, "fsync"), (Path, "rename"), (tempfile, "mkdtemp")])
def test_a_disk_that_refuses_leaves_no_folder(run, monkeypatch, owner, name):
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(StorageError, match="No space left on device"), storage.whole_folder(run) as temporary:
            (temporary / "a").write_text("1")
    assert names(run.parent) == []


def test_a_folder_that_came_first_is_kept_and_the_loss_of_ours_is_an_error(run):
    with pytest.raises(StorageError, match="in the meantime"), storage.whole_folder(run) as temporary:
        (temporary / "a").write_text("ours")
        run.mkdir()
        (run / "a").write_text("theirs")
    assert (run / "a").read_text() == "theirs"
    assert names(run.parent) == ["tang"]


def test_a_folder_that_came_first_wins_where_both_are_as_good(run):
    with storage.whole_folder(run, other_wins=True) as temporary:
        (temporary / "a").write_text("ours")
        run.mkdir()
        (run / "a").write_text("theirs")
    assert (run / "a").read_text() == "theirs"
    assert names(run.parent) == ["tang"]


def test_a_file_in_the_place_of_a_folder_stays(old):
    with pytest.raises(StorageError), storage.whole_folder(old) as temporary:
        (temporary / "a").write_text("1")
    assert old.read_text() == "old"
    assert names(old.parent) == ["notes.txt"]


# ── reading ─────────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_cannot_be_read_is_an_error_of_the_callers_kind(tmp_path):
    with pytest.raises(RunError, match=r"cannot read .*none: No such file"):
        storage.read_text(tmp_path / "none", error=run_error)
    (tmp_path / "bytes").write_bytes(b"ok\xff")
    with pytest.raises(RunError, match="is not UTF-8 text: byte 2 is 0xff"):
        storage.read_text(tmp_path / "bytes", error=run_error)


@pytest.mark.parametrize("content", ["{\n oops", "[" * 99999, "1" * 5000, ""])
def test_what_is_no_json_is_an_error_of_the_callers_kind(old, content):
    old.write_text(content)
    with pytest.raises(RunError, match=r"notes\.txt(:\d)? is not JSON"):
        jsonfiles.read(old, error=run_error)


def test_bytes_come_as_they_are_and_gzip_unpacked(old):
    for content in (b"old", gzip.compress(b"old")):
        old.write_bytes(content)
        with storage.open_bytes(old) as raw:
            assert raw.read() == b"old"


def test_an_empty_and_a_very_short_file_can_be_opened(old):
    for content in (b"", b"\x1f"):
        old.write_bytes(content)
        with storage.open_bytes(old) as raw:
            assert raw.read() == content


def test_a_folder_cannot_be_opened_as_bytes(tmp_path):
    with pytest.raises(TextError, match="Is a directory"), storage.open_bytes(tmp_path):
        pass


def test_the_hash_is_that_of_the_bytes(old):
    content = b"x" * (1 << 20) + b"y"
    old.write_bytes(content)
    assert storage.sha256_of(old) == hashlib.sha256(content).hexdigest()


def test_an_array_is_mapped_and_an_empty_file_is_an_empty_array(tmp_path):
    path = tmp_path / "ids"
    path.write_bytes(np.array([1, 2, 3], np.uint16).tobytes())
    assert corpus.map_array(path, np.uint16).tolist() == [1, 2, 3]
    path.write_bytes(b"")
    empty = corpus.map_array(path, np.int64)
    assert (empty.shape, empty.dtype) == ((0,), np.int64)


def test_the_cache_folder_is_chosen_by_the_user_then_by_the_system(monkeypatch, tmp_path):
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path))
    assert storage.cache_folder() == tmp_path
    monkeypatch.setenv("CHARLM_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert storage.cache_folder() == tmp_path / "xdg" / "charlm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert storage.cache_folder() == tmp_path / ".cache" / "charlm"


def test_json_of_another_program_is_read_too(old):
    old.write_text(json.dumps({"a": "春"}))
    assert jsonfiles.read(old, error=run_error) == {"a": "春"}


def test_every_refusal_of_the_disk_was_answered_by_freeing_space(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine", "utf-8")
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError) as caught, storage.whole_file(tmp_path / "file" / "inner"):
        pass
    assert "space" not in caught.value.hint and "CHARLM_CACHE" in caught.value.hint
    full = storage.write_error(tmp_path / "x", OSError(errno.ENOSPC, "full"))
    assert full.hint.startswith("free some space") and "CHARLM_CACHE" not in full.hint
