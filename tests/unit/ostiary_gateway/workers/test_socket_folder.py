"""The folder for workers' sockets: left ones are removed, those in use and those of others are not."""

from pathlib import Path

import pytest

from ostiary_gateway.workers.socket_folder import SocketFolder


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_that_is_locked_stays_and_one_that_is_not_is_removed(parent: Path) -> None:
    used = SocketFolder()
    left = parent / "ostiary-workers-left"
    left.mkdir()
    (left / "worker-0.sock").touch()
    other = SocketFolder()
    assert sorted(parent.iterdir()) == sorted([used.path, other.path])
    assert used.path.stat().st_mode & 0o777 == 0o700
    used.close()
    other.close()
    assert not list(parent.iterdir())


def test_a_link_to_another_folder_is_not_followed(parent: Path) -> None:
    target = parent / "target"
    target.mkdir()
    (target / "file").touch()
    (parent / "ostiary-workers-link").symlink_to(target)
    SocketFolder().close()
    assert (target / "file").exists()
