import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from timeouts import TIMEOUT_SECONDS


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_gateway_without_a_config_is_alive_not_ready_and_ends_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ostiary_operator.cli", "gateway", "--config", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--admin-port", "0", "--log-format", "json"], stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        told = next(line for line in map(json.loads, process.stderr) if "admin port" in line["message"])
        port = int(told["message"].rpartition(":")[2])
        assert status(port, "/healthz") == 200
        assert status(port, "/readyz") == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_SECONDS) == 0
        assert all(json.loads(line)["level"] == "info" for line in process.stderr)
