"""Files that only their owner may read."""

from pathlib import Path

from ostiary_tools.common import private


def test_a_private_file_is_the_owners_alone_even_where_another_file_was(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o644)
    private.write(path, "new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "new"
