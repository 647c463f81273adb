"""What a worker does when its supervisor has ended without ending it: it must not serve on.

No signal, probe or scrape reaches such a worker any more, and another gateway may start at its port. It accepts no more
connections, finishes what is in flight within a few seconds, and removes the folder that the supervisor left. A thread
watches, so that a worker whose event loop hangs ends, too. A worker that is stopped (SIGSTOP) runs no thread: the
kernel continues it when its supervisor ends.
"""

import asyncio
import ctypes
import os
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ostiary_gateway.options import GatewayOptions

#: Seconds for requests in flight, and for the end of the process, without a supervisor.
_DRAIN_SECONDS: Final = 5.0
_END_SECONDS: Final = 15.0
#: From prctl(2): the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG: Final = 1


def continue_without_supervisor() -> None:
    """Let the kernel continue this process, if it is stopped, when its supervisor ends.

    It goes on to find that out, and ends in order. SIGKILL in place of SIGCONT would end it at once, and with it the
    workers that are not stopped and have requests to finish; those ignore SIGCONT.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGCONT))  # workers are for Linux only


class SupervisorWatch:
    """Watches the socket to the supervisor, whose end is that of the process behind it.

    ``on_end`` is called in the event loop that is running now. ``has_ended`` says that the supervisor is gone.
    """

    def __init__(self, channel: socket.socket, on_end: Callable[[], None]) -> None:
        self.has_ended = False
        self._channel = channel
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._watch, name="supervisor-watch", daemon=True).start()

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.poll()
        self.has_ended = True
        with suppress(RuntimeError):  # the loop is closed: the process is about to end
            self._loop.call_soon_threadsafe(self._on_end)
        time.sleep(_END_SECONDS)
        os._exit(1)

    def options(self, options: GatewayOptions) -> GatewayOptions:
        """Return the options to stop with.

        Without a supervisor no load balancer learns that we leave, and a new gateway may wait for the port.
        """
        if not self.has_ended:
            return options
        return replace(options, drain_delay_seconds=0.0, drain_seconds=min(options.drain_seconds, _DRAIN_SECONDS))

    def clean(self, options: GatewayOptions) -> None:
        """Remove the folder of the workers' sockets if the supervisor cannot."""
        if self.has_ended and options.worker is not None:
            shutil.rmtree(options.worker.folder, ignore_errors=True)
