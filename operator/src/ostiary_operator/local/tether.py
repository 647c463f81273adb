"""Runs a command that dies with its parent: ``python tether.py PARENT_PID COMMAND…``.

A script of its own, started without site-packages: asking between fork and exec instead (``preexec_fn``) runs Python
there, which can deadlock in a process with threads. Only Linux has what this needs; elsewhere it just becomes the
command.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Ask the kernel for SIGKILL at the parent's death, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  no shell is what we want


if __name__ == "__main__":
    main()
