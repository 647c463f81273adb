"""Calls one tool 200 times a second.

It prints the end of each call, and its latency since it was due.
"""

import http.client
import json
import sys
import time
from typing import Final

_RATE: Final = 200
_HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
#: No rule allows this tool, so the gateway itself responds.
_CALL: Final = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hidden", "arguments": {}}}


def main() -> None:
    """Call until the process is ended."""
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    body, due = json.dumps(_CALL), time.perf_counter()
    while True:
        due = max(due + 1 / _RATE, time.perf_counter() - 1 / _RATE)
        time.sleep(max(0.0, due - time.perf_counter()))
        connection.request("POST", sys.argv[2], body, _HEADERS)
        connection.getresponse().read()
        print(f"{time.time()} {time.perf_counter() - due}", flush=True)


if __name__ == "__main__":
    main()
