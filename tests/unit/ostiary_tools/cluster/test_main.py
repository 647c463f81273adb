from pathlib import Path

import pytest

from ostiary_tools.cluster.main import LogReader, important


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("2026-11-21 08:43:44,241 INFO ostiary_gateway.config.store: in force", "08:43:44  in force"),
        ("2026-11-21 08:43:44,273 WARNING ostiary_operator.controller.app: no: right", "08:43:44  WARNING: no: right"),
        ("2026-11-21 08:43:44,273 INFO    ostiary_operator.controller.app: padded", "08:43:44  padded"),
        ("2026-11-21 08:43:44,273 DEBUG ostiary_operator.controller.app: detail", None),
        ("2026-11-21 08:43:44,273 INFO ostiary_gateway.audit.published_checkpoints: audit checkpoint: …", None),
        ("Traceback (most recent call last):", None),
        ("", None),
    ],
)
def test_a_line_is_shown_short_or_not_at_all(line: str, shown: str | None) -> None:
    assert important(line) == shown


def line(message: str) -> str:
    return f"2026-11-21 08:00:00,000 INFO a.b: {message}\n"


def test_only_what_is_new_is_read_and_only_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    reader = LogReader({"operator": log, "gateway-0": tmp_path / "none"})
    assert list(reader.new_lines()) == []
    log.write_text(line("old"))
    reader.skip()
    with log.open("a") as file:
        file.write(line("new") + line("half")[:20])
    assert list(reader.new_lines()) == ["operator   08:00:00  new"]
    with log.open("a") as file:
        file.write(line("half")[20:])
    assert list(reader.new_lines()) == ["operator   08:00:00  half"]
