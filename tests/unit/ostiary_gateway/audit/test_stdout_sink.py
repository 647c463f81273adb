"""Standard output as an audit trail: it never blocks for long, and never tears a line."""

import os
from collections.abc import Iterator

import pytest

from ostiary_gateway.audit.sink import SinkError
from ostiary_gateway.audit.stdout_sink import StdoutSink

LINE = b"x" * 1023 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


def drained(reader: int) -> bytes:
    os.set_blocking(reader, False)
    found = b""
    while True:
        try:
            found += os.read(reader, 65536)
        except BlockingIOError:
            return found


def test_lines_are_written_whole(pipe: tuple[int, int]) -> None:
    sink = StdoutSink(pipe[1])
    sink.write([b"one\n", b"two\n"])
    sink.write([b"y" * 12_000 + b"\n"])
    assert drained(pipe[0]) == b"one\ntwo\n" + b"y" * 12_000 + b"\n"


def test_a_reader_that_stops_is_an_error_and_no_line_is_lost_or_torn(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    sink = StdoutSink(writer, patience=0.01)
    lines = [b"%06d" % number + LINE[6:] for number in range(200)]
    with pytest.raises(SinkError, match="blocked") as blocked:
        sink.write(lines)
    sent, found = blocked.value.written, b""
    while sent < len(lines):
        try:
            sink.write(lines[sent:])
            sent = len(lines)
        except SinkError as error:
            sent += error.written
        found += drained(reader)
    found += drained(reader)
    assert found == b"".join(lines)


def test_a_closed_pipe_is_an_error(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    with pytest.raises(SinkError, match="cannot be written"):
        StdoutSink(pipe[1]).write([b"one\n"])
