"""Standard output that several processes write: no line is cut by one of another process."""

import os
import subprocess
import sys

from ostiary_gateway.audit.stdout_turn import StdoutTurn

#: A process that writes lines that are longer than what a pipe takes at once.
WRITER = """
import sys
from ostiary_gateway.audit.stdout_sink import StdoutSink
from ostiary_gateway.audit.stdout_turn import StdoutTurn
sink = StdoutSink(patience=60.0, turn=StdoutTurn(int(sys.argv[1])))
for _ in range(40):
    sink.write([sys.argv[2].encode() * 30_000 + b"\\n"] * 2)
sink.close(60.0)
"""
#: A process that takes a turn, says so, and keeps it.
HOLDER = """
import sys
from ostiary_gateway.audit.stdout_turn import StdoutTurn
print(StdoutTurn(int(sys.argv[1])).take(0.0), flush=True)
sys.stdin.read()
"""


def test_long_lines_of_several_processes_stay_whole() -> None:
    file = os.memfd_create("turn")
    read, written = os.pipe()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), each], pass_fds=[file], stdout=written)
        for each in "ab"
    ]
    os.close(written)
    with os.fdopen(read, "rb") as output:
        lines = output.read().splitlines()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sorted(lines) == [b"a" * 30_000] * 80 + [b"b" * 30_000] * 80


def test_the_turn_of_a_process_that_is_killed_ends() -> None:
    file = os.memfd_create("turn")
    command = [sys.executable, "-c", HOLDER, str(file)]
    holder = subprocess.Popen(command, pass_fds=[file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"True\n"
    turn = StdoutTurn(file)
    assert not turn.take(0.0)
    holder.kill()
    holder.communicate()
    assert turn.take(0.0)
    assert turn.take(0.0)
    turn.end()
