"""Config from a directory, either a projected volume or a plain folder."""

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from volumes import swap_in

from ostiary_core.contract.parts import MANIFEST_FILE as MANIFEST
from ostiary_gateway.config import directory_source
from ostiary_gateway.config.directory_source import DirectorySource, read, version
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.errors import ConfigUnavailable


class Volume:
    """A volume that is written as the kubelet does it (AtomicWriter): a fresh directory, links, one rename."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: Mapping[str, bytes]) -> Path:
        """Put a new version in place and remove the old one; return the new one's directory."""
        old = (self.root / "..data").resolve() if (self.root / "..data").is_symlink() else None
        fresh = swap_in(self.root, files)
        for name in files:
            if not (self.root / name).is_symlink():
                (self.root / name).symlink_to(f"..data/{name}")
        if old is not None:
            shutil.rmtree(old)
        return fresh


class Offers(ConfigStore):
    """Takes down what is offered."""

    def __init__(self) -> None:
        super().__init__(gateway=None, servers=lambda _: pytest.fail("nothing to build"))
        self.seen: list[Mapping[str, bytes]] = []

    async def offer(self, source: str, files: Mapping[str, bytes], keys: Keyring) -> None:
        assert (source, keys) == ("directory", Keyring())
        self.seen.append(files)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def test_the_target_of_the_link_is_the_version(volume: Volume) -> None:
    first = volume.write({"a": b"1"})
    assert version(volume.root) == first.name
    assert read(volume.root) == {"a": b"1"}

    second = volume.write({"b": b"2"})
    assert version(volume.root) == second.name
    assert read(volume.root) == {"b": b"2"}


def test_where_nothing_is_there_is_no_version(tmp_path: Path) -> None:
    assert version(tmp_path) == ""
    assert version(tmp_path / "missing") == ""
    with pytest.raises(ConfigUnavailable):
        read(tmp_path / "missing")


def test_a_dangling_link_is_unavailable_and_no_crash(volume: Volume) -> None:
    shutil.rmtree(volume.write({"a": b"1"}))

    assert version(volume.root) != ""
    with pytest.raises(ConfigUnavailable):
        read(volume.root)


def test_a_plain_directory_changes_with_its_files(tmp_path: Path) -> None:
    versions = [version(tmp_path)]
    for name, content in (("a", b"1"), ("b", b"2"), ("a", b"longer")):
        (tmp_path / name).write_bytes(content)
        versions.append(version(tmp_path))
    os.utime(tmp_path / "a", ns=(1, 1))
    versions.append(version(tmp_path))
    (tmp_path / "b").unlink()
    versions.append(version(tmp_path))

    assert len(set(versions)) == len(versions)
    assert read(tmp_path) == {"a": b"longer"}


def test_hidden_files_folders_and_what_is_far_too_large_are_not_read(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"x" * (2 * 1024 * 1024 + 1))
    (tmp_path / "a").write_bytes(b"1")

    assert read(tmp_path) == {"a": b"1"}


def test_an_unreadable_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a").write_bytes(b"1")
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(ConfigUnavailable, match="Permission denied"):
        read(tmp_path)


def test_a_version_that_is_swapped_while_it_is_read_is_read_again(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.write({"a": b"old", "b": b"old"})
    is_ours = directory_source._is_ours
    calls = []

    def swap_after_the_first(path: Path) -> bool:
        calls.append(path)
        if len(calls) == 2:
            volume.write({"a": b"new", "b": b"new"})  # removes the version under our feet
        return is_ours(path)

    monkeypatch.setattr(directory_source, "_is_ours", swap_after_the_first)

    assert read(volume.root) == {"a": b"new", "b": b"new"}


def test_a_directory_that_changes_at_every_try_is_unavailable(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    is_ours = directory_source._is_ours

    def swap_always(path: Path) -> bool:
        volume.write({"a": b"next"})
        return is_ours(path)

    volume.write({"a": b"1"})
    monkeypatch.setattr(directory_source, "_is_ours", swap_always)
    with pytest.raises(ConfigUnavailable, match="changed at every try"):
        read(volume.root)


def test_under_constant_swapping_no_read_ever_mixes_two_versions(volume: Volume) -> None:
    volume.write(dict.fromkeys("abcdefgh", b"0"))
    stop = threading.Event()

    def swap() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            volume.write(dict.fromkeys("abcdefgh", b"%d" % number))

    writer = threading.Thread(target=swap)
    writer.start()
    try:
        whole = 0
        for _ in range(300):
            try:
                files = read(volume.root)
            except ConfigUnavailable:
                continue
            whole += 1
            assert sorted(files) == list("abcdefgh")
            assert len(set(files.values())) == 1
    finally:
        stop.set()
        writer.join()
    assert whole


async def test_a_change_is_offered_once(volume: Volume) -> None:
    store = Offers()
    source = DirectorySource(volume.root, store, keys=volume.root / "keys")

    await source.poll()
    assert store.seen == []
    volume.write({MANIFEST: b"1"})
    await source.poll()
    await source.poll()
    assert store.seen == [{MANIFEST: b"1"}]
    volume.write({MANIFEST: b"2"})
    await source.poll()
    assert store.seen == [{MANIFEST: b"1"}, {MANIFEST: b"2"}]


async def test_an_unreadable_directory_is_reported_once_and_read_when_it_can_be(
    volume: Volume, caplog: pytest.LogCaptureFixture
) -> None:
    store = Offers()
    source = DirectorySource(volume.root, store, keys=volume.root / "keys")
    shutil.rmtree(volume.write({MANIFEST: b"1"}))
    (volume.root / MANIFEST).unlink()

    for _ in range(3):
        await source.poll()
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    (volume.root / "..data").unlink()
    volume.write({MANIFEST: b"2"})
    await source.poll()
    assert store.seen == [{MANIFEST: b"2"}]


async def test_files_that_are_none_of_a_config_are_offered_by_name_alone(volume: Volume) -> None:
    store = Offers()
    volume.write({MANIFEST: b"1", "documents-15.jsonl.gz": b"2", "documents-16.jsonl": b"3", "mac-1": b"4"})
    await DirectorySource(volume.root, store, keys=volume.root / "keys").poll()
    assert store.seen == [{MANIFEST: b"1", "documents-15.jsonl.gz": b"2", "documents-16.jsonl": b"", "mac-1": b""}]


async def test_a_config_that_arrives_with_new_keys_is_offered_with_these_keys(
    volume: Volume, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.write({MANIFEST: b"signed with the old key"})
    keys, store = Volume(tmp_path_factory.mktemp("keys")), Offers()
    keys.write({"unrelated": b"1"})
    reads = read

    def write_after_the_keys_were_read(directory: Path, **wanted: Any) -> dict[str, bytes]:
        found = reads(directory, **wanted)
        if directory == keys.root and not (keys.root / "another").exists():
            keys.write({"unrelated": b"1", "another": b"2"})
            volume.write({MANIFEST: b"signed with the new key"})
        return found

    monkeypatch.setattr(directory_source, "read", write_after_the_keys_were_read)
    source = DirectorySource(volume.root, store, keys=keys.root)

    await source.poll()
    assert store.seen == []
    await source.poll()
    assert store.seen == [{MANIFEST: b"signed with the new key"}]
