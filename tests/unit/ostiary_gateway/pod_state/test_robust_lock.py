"""The lock in shared memory: one process at a time, and no process that is dead or stopped."""

import mmap
import os
import signal
import subprocess
import sys

import pytest

from ostiary_gateway.pod_state import robust_lock
from ostiary_gateway.pod_state.robust_lock import RobustLock

#: A process that takes the lock of an inherited file, says so, and holds it until it is ended.
HOLDER = """
import mmap, sys
from ostiary_gateway.pod_state.robust_lock import RobustLock
lock = RobustLock(mmap.mmap(int(sys.argv[1]), 4096))
lock.__enter__()
print("held", flush=True)
sys.stdin.read()
"""
#: A process that adds one to a number many times, under the lock.
ADDER = """
import mmap, struct, sys
from ostiary_gateway.pod_state.robust_lock import RobustLock
memory = mmap.mmap(int(sys.argv[1]), 4096)
lock = RobustLock(memory)
for _ in range(20_000):
    with lock:
        struct.pack_into("=Q", memory, 1024, struct.unpack_from("=Q", memory, 1024)[0] + 1)
"""


@pytest.fixture
def file() -> int:
    found = os.memfd_create("lock")
    os.ftruncate(found, 4096)
    RobustLock.create(mmap.mmap(found, 4096))
    return found


def process(code: str, file: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", code, str(file)]
    return subprocess.Popen(command, pass_fds=[file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def held_elsewhere(file: int) -> subprocess.Popen[bytes]:
    holder = process(HOLDER, file)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder


def test_no_change_of_one_process_is_lost_to_another(file: int) -> None:
    adders = [process(ADDER, file) for _ in range(3)]
    for adder in adders:
        adder.communicate()
        assert adder.returncode == 0
    memory = mmap.mmap(file, 4096)
    assert int.from_bytes(memory[1024:1032], sys.byteorder) == 60_000


def test_a_process_that_is_killed_while_it_holds_the_lock_delays_no_other(file: int) -> None:
    holder = held_elsewhere(file)
    holder.kill()
    holder.communicate()
    lock = RobustLock(mmap.mmap(file, 4096))
    for _ in range(3):
        with lock:
            pass
    assert lock.overdue == 0


def test_a_process_that_is_stopped_while_it_holds_the_lock_delays_others_once_for_a_bounded_time(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robust_lock, "WAIT_SECONDS", 0.01)
    holder = held_elsewhere(file)
    holder.send_signal(signal.SIGSTOP)
    lock = RobustLock(mmap.mmap(file, 4096))
    for _ in range(100):
        with lock:
            pass
    assert lock.overdue == 100

    holder.kill()
    holder.communicate()
    with lock:  # from now on it waits again
        pass
    assert lock.overdue == 100


def test_a_lock_that_was_not_ours_is_not_released(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robust_lock, "WAIT_SECONDS", 0.0)
    holder = held_elsewhere(file)
    lock, other = RobustLock(mmap.mmap(file, 4096)), RobustLock(mmap.mmap(file, 4096))
    with lock:
        pass
    with other:
        pass
    assert other.overdue == 1
    holder.kill()
    holder.communicate()
