"""The page of the simulation has a table and a picture of each part."""

from pathlib import Path
from typing import Any

import pytest

from ostiary_bench.simulation import page

CONFIG = dict.fromkeys(("first", "again", "memory", "largest", "parts", "head", "total", "edited", "objects"), 1000)
OF_PROCESSES = [{"number": number, "memory": 80.0 + number} for number in (1, 2, 4)]
FOUND: dict[str, Any] = {
    "at": "2026-11-30T12:00:00+00:00",
    "machine": "a machine",
    "seconds": {"configs": 300.0, "sessions": 60.0},
    "configs": [{**CONFIG, "touched": 1, "proxies": 10_000, "gateways": gateways} for gateways in (1, 100)],
    "gateways": [{"proxies": 1_000, "whole": 1900.0, "edit": 25.0, "memory": 110.0}],
    "policies": OF_PROCESSES,
    "callers": OF_PROCESSES,
    "workers": OF_PROCESSES,
    "streams": [
        {"count": 10_000, "kibibytes_each": 11.0, "resident_mebibytes": 190.0, "delivered": 450.0, "opened": 900.0}
    ],
    "leases": [{"replicas": 1, "rate": 1.0, "messages_a_call": 0.5}],
    "store_microseconds": 61.0,
    "watches": [{"replicas": 10, "milliseconds": 40.0, "sent": 1_000_000.0}],
    "sessions": [{"sessions": 1_000_000, "mebibytes": 140.0, "microseconds": 14.7}],
}


def test_every_part_has_its_table_and_every_picture_its_place(tmp_path: Path) -> None:
    page.write(FOUND, tmp_path)

    text = (tmp_path / "scaling.md").read_text()
    for row in (
        "policies of 20 rules | 1 |",
        "| callers | 1 |",
        "| workers | 1 |",
        "| one store | 1,000,000 sessions |",
    ):
        assert row in text
    pictures = {path.name for path in (tmp_path / "images").iterdir()}
    assert {
        f"scaling-{name}.svg" for name in ("policies", "callers", "workers", "sessions", "streams", "watches")
    } < pictures
    assert all(f"(images/{name})" in text for name in pictures)
    assert "Written in 6 minutes" in text


@pytest.mark.parametrize("name", page.PARTS)
def test_one_part_is_written_into_the_page_and_the_others_stay(tmp_path: Path, name: str) -> None:
    page.write(FOUND, tmp_path)
    before = (tmp_path / "scaling.md").read_text()
    changed = [{key: value * 2 for key, value in each.items()} for each in FOUND[name]]
    page.write_part(name, changed, tmp_path)
    assert (tmp_path / "scaling.md").read_text() == page.text({**FOUND, name: changed}) != before
    page.write_part(name, FOUND[name], tmp_path)
    assert (tmp_path / "scaling.md").read_text() == before


def test_without_a_redis_the_page_says_so(tmp_path: Path) -> None:
    page.write({**FOUND, "sessions": []}, tmp_path)

    assert "Redis was not installed" in (tmp_path / "scaling.md").read_text()
