"""The trace context of a change: proved by the manifest's key, bound to its revision, never a reason to fail."""

import pytest
from configs import ConfigWriter, entry

from ostiary_core.contract import change_trace
from ostiary_core.contract.bundle import is_of_a_config, open_manifest
from ostiary_core.contract.change_trace import MAX_TRACE_BYTES, TRACE_FILE

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"
KEYS = {"mac-1": b"k" * 32}


def written(revision: int = 7) -> dict[str, bytes]:
    return change_trace.write(PARENT, revision=revision, key_name="mac-1", key=KEYS["mac-1"])


def test_what_was_written_with_a_revision_is_read_with_it() -> None:
    assert change_trace.read(written(), KEYS, revision=7) == PARENT
    assert is_of_a_config(TRACE_FILE)
    assert len(written(2**62)[TRACE_FILE]) < MAX_TRACE_BYTES


@pytest.mark.parametrize(
    "files",
    [
        {},
        {TRACE_FILE: b""},
        {TRACE_FILE: b"{"},
        {TRACE_FILE: b"[]"},
        {TRACE_FILE: written()[TRACE_FILE].replace(b"4bf9", b"4bf8")},
        {TRACE_FILE: written()[TRACE_FILE].replace(b"-03", b"-00")},
        {TRACE_FILE: written()[TRACE_FILE].replace(b":7,", b":8,")},
        {TRACE_FILE: written()[TRACE_FILE].replace(b"mac-1", b"mac-2")},
        {TRACE_FILE: written()[TRACE_FILE].replace(PARENT.encode(), b"00-x")},
        {TRACE_FILE: written()[TRACE_FILE] + b" " * MAX_TRACE_BYTES},
        {TRACE_FILE: b"\xff" * 100},
    ],
)
def test_what_cannot_be_proved_counts_as_absent(files: dict[str, bytes]) -> None:
    assert change_trace.read(files, KEYS, revision=7) is None
    assert change_trace.kept(files, KEYS, revision=7) == {}


def test_the_context_of_another_revision_or_key_counts_as_absent() -> None:
    assert change_trace.read(written(6), KEYS, revision=7) is None
    assert change_trace.read(written(), {"mac-1": b"x" * 32}, revision=7) is None


def test_a_reader_that_knows_no_trace_reads_the_same_manifest() -> None:
    operator = ConfigWriter()
    files = operator.files(entry("crm"))
    assert open_manifest({**files, **written()}, operator.keys.mac) == open_manifest(files, operator.keys.mac)
