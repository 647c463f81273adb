"""Runs a command that is killed when its parent dies.

``python die_with_parent.py PARENT_PID COMMAND…``.

It is a script, started without site-packages, because the alternative (``preexec_fn``) runs Python between fork and
exec, which can deadlock in a process with threads. It needs prctl of Linux; elsewhere it only executes the command.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Request SIGKILL at the parent's death (PR_SET_PDEATHSIG), then execute the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before prctl
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606  no shell is what we want


if __name__ == "__main__":
    main()
