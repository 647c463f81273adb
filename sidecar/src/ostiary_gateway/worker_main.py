"""What a worker process runs, started by the supervisor only.

``python -m ostiary_gateway.worker_main FD``, where FD is the inherited socket of :mod:`.workers.worker_channel`.
"""

import faulthandler
import os
import signal
import socket
import sys

from ostiary_gateway import process
from ostiary_gateway.errors import StartupError
from ostiary_gateway.telemetry.resource import WORKER
from ostiary_gateway.workers.supervisor_watch import continue_without_supervisor
from ostiary_gateway.workers.worker_channel import WorkerNews, receive_start
from ostiary_gateway.workers.worker_log import configure_log


def main() -> int:
    """Serve as a worker until SIGTERM, or until the supervisor has ended; return the exit code."""
    faulthandler.enable()  # where a worker hangs is printed before it is ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor, too, which drains its workers
    continue_without_supervisor()
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        start = receive_start(channel)
    except EOFError:
        return 0
    if start.options.worker is not None:
        os.environ[WORKER] = str(start.options.worker.index)  # what it exports says which worker it is
        configure_log(start.options.worker.index, start.formatter)
    try:
        process.run_worker(start.options, channel)
    except StartupError as error:
        channel.sendall(WorkerNews(failure=str(error)).line())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
