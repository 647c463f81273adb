"""The MCP Inspector's command line as a client of the compatibility table: each command is a session of its own."""

import argparse
import json
import subprocess
import tempfile
from typing import Any

_SECONDS = 40
LEGACY = "2025-11-25"


class Inspector:
    """Runs commands against one endpoint in one era."""

    def __init__(self, command: list[str], url: str, revision: str, home: str) -> None:
        era = "legacy" if revision == LEGACY else "modern"
        self._command = [*command, "--cli", url, "--transport", "http", "--protocol-era", era, "--format", "json"]
        self._environment = {"HOME": home, "NO_PROXY": "127.0.0.1"}  # it writes a catalogue into the home

    def ask(self, method: str, *more: str) -> dict[str, Any]:
        """The result of a method."""
        command = [*self._command, "--quiet", "--method", method, *more]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_SECONDS, env=self._environment
        )
        if done.returncode:
            raise AssertionError(f"{method} ended with {done.returncode}: {done.stdout}{done.stderr}")
        result: dict[str, Any] = json.loads(done.stdout)["result"]
        return result

    def call(self, tool: str) -> str:
        """The first text of a tool's result."""
        return str(self.ask("tools/call", "--tool-name", tool)["content"][0]["text"])


def _features(inspector: Inspector, revision: str) -> dict[str, Any]:
    """The features by name, each a function that returns details or raises."""

    def lists() -> dict[str, Any]:
        return {"names": sorted(tool["name"] for tool in inspector.ask("tools/list")["tools"])}

    def is_answered(tool: str, said: str) -> None:
        found = inspector.call(tool)
        assert found == said, found

    found = {
        "connect": lambda: inspector.ask("initialize") and None,
        "list": lists,
        "call": lambda: is_answered("test_simple_text", "This is a simple text response for testing."),
    }
    if revision == LEGACY:
        found |= {
            "roots": lambda: is_answered("test_list_roots", "Roots: "),  # it has none, and reports that
            "resumption": lambda: is_answered("test_reconnection", "Reconnection test completed"),
        }
    return found


def main() -> None:
    """Run every feature that a command line has and print the outcomes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("command", nargs="+", help="node and the Inspector's launcher")
    arguments = parser.parse_args()
    outcomes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        inspector = Inspector(arguments.command, arguments.url, arguments.revision, home)
        for name, feature in _features(inspector, arguments.revision).items():
            try:
                outcomes[name] = {"ok": True} | (feature() or {})
            except Exception as error:  # noqa: BLE001  whatever went wrong is the outcome
                outcomes[name] = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
