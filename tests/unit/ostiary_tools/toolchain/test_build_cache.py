import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ostiary_tools.common.processes import wait_until
from ostiary_tools.toolchain import build_cache


def write(text: str) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        (directory / "file").write_text(text)

    return make


def test_the_cache_is_in_the_xdg_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build_cache.root() == tmp_path / "ostiary"


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_the_cache_is_at_home_without_a_usable_xdg_setting(
    value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert build_cache.root() == tmp_path / ".cache" / "ostiary"


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    first = build_cache.once(tmp_path / "thing", what="a thing", make=write("first"))
    second = build_cache.once(tmp_path / "thing", what="a thing", make=write("second"))
    assert first == second
    assert (second / "file").read_text() == "first"


def test_a_failed_attempt_leaves_nothing_and_is_repeated(tmp_path: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        build_cache.once(tmp_path / "thing", what="a thing", make=fail)
    made = build_cache.once(tmp_path / "thing", what="a thing", make=write("whole"))
    assert [file.name for file in made.iterdir()] == ["file"]


def test_the_remains_of_a_killed_run_do_not_get_in(tmp_path: Path) -> None:
    remains = tmp_path / ".thing.partial"
    remains.mkdir()
    (remains / "half").touch()
    made = build_cache.once(tmp_path / "thing", what="a thing", make=write("whole"))
    assert [file.name for file in made.iterdir()] == ["file"]


def test_of_two_runs_at_once_one_makes_and_the_other_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    making, go_on, made = threading.Event(), threading.Event(), []
    said: list[str] = []
    monkeypatch.setattr(build_cache, "say", said.append)  # pytest's capture must not be read while a thread writes

    def make(directory: Path) -> None:
        made.append(directory)
        making.set()
        assert go_on.wait(10)

    def run() -> None:
        build_cache.once(tmp_path / "thing", what="carving a thing", make=make)

    first, second = threading.Thread(target=run), threading.Thread(target=run)
    first.start()
    assert making.wait(10)
    second.start()
    wait_until(lambda: bool(said), what="the second run to wait")
    go_on.set()
    first.join()
    second.join()
    assert len(made) == 1
    assert said == ["Waiting for another run: carving a thing"]
