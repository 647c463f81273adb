"""What `ostiary run` keeps for the next run: keys that only their owner can read."""

import stat
from pathlib import Path

import pytest

from ostiary_operator.local.project_state import StateUnavailable, locked, state_folder


def test_each_project_and_each_gateway_has_a_folder_of_its_own(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    paths = [[tmp_path / "a"], [tmp_path / "b"], [tmp_path / "a", tmp_path / "b"], [tmp_path / "a" / ".." / "a"]]
    folders = [state_folder(each, gateway="sys/default", environ=environ) for each in paths]
    assert len(set(folders)) == 3
    assert folders[0] == folders[3]
    assert folders[0] != state_folder(paths[0], gateway="other/default", environ=environ)
    assert all(each.parent == tmp_path / "ostiary" / "run" for each in folders)


def test_without_the_variable_it_is_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for environ in ({}, {"XDG_STATE_HOME": "relative"}):
        folder = state_folder([tmp_path / "a"], gateway="sys/default", environ=environ)
        assert folder.parent == tmp_path / ".local" / "state" / "ostiary" / "run"


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "ostiary" / "run" / "a"
    with locked(folder):
        modes = {stat.S_IMODE(each.stat().st_mode) for each in (folder, folder.parent, folder.parent.parent)}
        assert modes == {0o700}
        assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}


def test_what_others_may_read_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "ostiary" / "run" / "a"
    folder.mkdir(parents=True)
    for open_to_others in (folder.parent.parent, folder.parent, folder):
        for each in (folder.parent.parent, folder.parent, folder):
            each.chmod(0o700)
        open_to_others.chmod(0o755)
        with pytest.raises(StateUnavailable, match=f"chmod 700 {open_to_others}$"), locked(folder):
            pass


def test_a_link_to_elsewhere_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "ostiary" / "run").mkdir(parents=True, mode=0o700)
    (tmp_path / "ostiary").chmod(0o700)
    (tmp_path / "ostiary" / "run" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateUnavailable), locked(tmp_path / "ostiary" / "run" / "a"):
        pass


def test_of_two_runs_of_a_project_one_has_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "ostiary" / "run" / "a"
    with locked(folder), pytest.raises(StateUnavailable, match="another run"), locked(folder):
        pass
    with locked(folder):
        pass


def test_an_unwritable_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "ostiary").write_text("")
    with pytest.raises(StateUnavailable, match="ostiary"), locked(tmp_path / "ostiary" / "run" / "a"):
        pass
