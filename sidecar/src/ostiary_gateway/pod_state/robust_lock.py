"""A mutex in shared memory that processes take in turn (POSIX robust mutex).

Without contention it costs no system call. The kernel releases it when its owner dies, and a process that is stopped
while it holds it delays others for a bounded time only.
"""

import ctypes
import errno
import mmap
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final

#: The bytes that it takes: more than any C library's ``pthread_mutex_t``.
LOCK_BYTES: Final = 128
#: Seconds to wait for another process; a turn takes microseconds.
WAIT_SECONDS: Final = 1.0
_SHARED: Final = 1  # PTHREAD_PROCESS_SHARED
_ROBUST: Final = 1  # PTHREAD_MUTEX_ROBUST
_ATTRIBUTE_BYTES: Final = 64
# Calls keep the interpreter's lock: another thread that took it meanwhile would make all processes wait.
_LIBC: Final = ctypes.PyDLL(None)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class RobustLock:
    """The mutex at the begin of a shared map, in a ``with`` block.

    Everything in the block must be safe to be cut off at any instruction, since its process may be killed.
    ``overdue`` counts the turns that were taken although another process had not ended its own in time: such a process
    is stopped, and what it writes when it goes on may undo a change. ``on_overdue`` is called for each.

    Must be used by one thread of a process.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self.overdue = 0
        self.on_overdue: Callable[[], None] | None = None
        self._bytes = (ctypes.c_char * LOCK_BYTES).from_buffer(memory)  # keeps the map open
        #: Takes it if that needs no wait, and returns 0; else a number for :meth:`take_later`. For a block that every
        #: call passes, which must call ``release`` in any case if it is the owner.
        self.take: Callable[[], int] = partial(
            _function("pthread_mutex_trylock"), address := ctypes.addressof(self._bytes)
        )
        self.release: Callable[[], int] = partial(_function("pthread_mutex_unlock"), address)
        self._wait_seconds = WAIT_SECONDS
        self._is_owner = False

    @staticmethod
    def create(memory: mmap.mmap) -> None:
        """Write a mutex that is free to the begin of a map.

        Raises:
            OSError: the C library cannot.
        """
        held = (ctypes.c_char * LOCK_BYTES).from_buffer(memory)
        attributes = (ctypes.c_char * _ATTRIBUTE_BYTES)()
        _check(_LIBC.pthread_mutexattr_init(attributes))
        _check(_LIBC.pthread_mutexattr_setpshared(attributes, _SHARED))
        _check(_LIBC.pthread_mutexattr_setrobust(attributes, _ROBUST))
        _check(_LIBC.pthread_mutex_init(held, attributes))

    def __enter__(self) -> None:
        """Take it."""
        result = self.take()
        self._is_owner = result == 0 or self.take_later(result)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release it."""
        if self._is_owner:
            self.release()

    def take_later(self, result: int) -> bool:
        """Wait, or take it over from a dead process; return whether it is ours."""
        if result == errno.EBUSY:
            result = _LIBC.pthread_mutex_timedlock(self._bytes, ctypes.byref(_deadline(self._wait_seconds)))
        if result == errno.EOWNERDEAD:
            _check(_LIBC.pthread_mutex_consistent(self._bytes))
            result = 0
        # No request waits a second time for a process that is stopped.
        self._wait_seconds = WAIT_SECONDS if result == 0 else 0.0
        if result:
            self.overdue += 1
            if self.on_overdue is not None:
                self.on_overdue()
        return result == 0


def _function(name: str) -> "ctypes._NamedFuncPointer":
    # A function of its own: types that are given to ``_LIBC.name`` would be everyone's.
    found = _LIBC[name]
    found.argtypes = [ctypes.c_void_p]
    return found


def _deadline(seconds: float) -> _Timespec:
    nanoseconds = time.time_ns() + int(seconds * 1e9)  # by CLOCK_REALTIME, as the function demands
    return _Timespec(nanoseconds // 1_000_000_000, nanoseconds % 1_000_000_000)


def _check(result: int) -> None:
    if result:
        raise OSError(result, f"a lock that processes share cannot be made: {errno.errorcode.get(result, result)}")
