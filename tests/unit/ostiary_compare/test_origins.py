"""The page says how each program was obtained, and does not guess."""

from pathlib import Path

import pytest

from ostiary_compare import origins
from ostiary_compare.origins import UNKNOWN, checkout, origin_of


def test_what_a_builder_says_next_to_the_program_is_repeated_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "program.origin").write_text("built from commit 1\n  with flags -x\n")
    assert origin_of(tmp_path / "program") == "built from commit 1 with flags -x"


def test_a_command_of_a_python_environment_is_a_release_of_its_distribution(tmp_path: Path) -> None:
    info = tmp_path / "lib" / "python3.11" / "site-packages" / "some_gateway-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("some/__init__.py,,\n../../../bin/some,sha256=x,1\n")
    (tmp_path / "bin").mkdir()
    assert origin_of(tmp_path / "bin" / "some") == "release 1.2 of some-gateway, installed by pip"


def test_a_file_of_a_package_of_debian_has_its_name_and_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def printed(*command: str) -> str:
        return "1.2-3" if "--show" in command else f"some-package: {tmp_path / 'some'}"

    monkeypatch.setattr(origins, "_printed", printed)
    assert origin_of(tmp_path / "some") == "Debian's package some-package 1.2-3"


def test_where_nothing_is_known_nothing_is_claimed(tmp_path: Path) -> None:
    assert origin_of(tmp_path / "some") == UNKNOWN


def test_a_checkout_has_its_commit_and_a_folder_without_git_has_none(tmp_path: Path) -> None:
    assert checkout(tmp_path) == "this checkout"
    assert checkout(Path(__file__).parents[3]).startswith("this checkout")
