"""Paths on the command line that lead nowhere."""

from pathlib import Path

import pytest

from ostiary_operator.local import files


@pytest.mark.parametrize(
    ("neighbours", "typed", "meant"),
    [
        (["quickstart", "two-tiers"], "quikstart", "quickstart"),
        (["proxies.yaml", "notes.txt"], "proxy.yaml", "proxies.yaml"),
        (["notes.txt"], "notes.yaml", None),
        ([], "anything", None),
    ],
)
def test_the_path_that_was_probably_meant_is_named(
    neighbours: list[str], typed: str, meant: str | None, tmp_path: Path
) -> None:
    for name in neighbours:
        (tmp_path / name).touch() if "." in name else (tmp_path / name).mkdir()
    hint = f"; did you mean {tmp_path / meant}?" if meant else ""
    with pytest.raises(files.PathError) as caught:
        files.find([tmp_path / typed])
    assert str(caught.value) == f"{tmp_path / typed}: there is no such file or folder{hint}"


def test_a_missing_folder_has_no_neighbours(tmp_path: Path) -> None:
    with pytest.raises(files.PathError, match=r"no such file or folder$"):
        files.find([tmp_path / "nowhere" / "x.yaml"])
