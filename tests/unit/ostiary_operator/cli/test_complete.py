import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Ostiary
from table_server import TableServer, table_server

from ostiary_operator.cli import complete
from ostiary_operator.cli.commands import COMMANDS, OPTIONAL_PACKAGES
from ostiary_operator.cli.complete import TIMEOUT_VARIABLE, Completion, CompletionWord, Directive

PROXIES = "/apis/ostiary.dev/v1alpha1/namespaces/sales/mcpproxies"
NO_FILES = f":{int(Directive.NO_FILES)}"
FILES = f":{int(Directive.FILES)}"
FOLDERS = f":{int(Directive.FILTER_FOLDERS)}"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TableServer]:
    """An API server with two MCPProxies in the namespace of the kubeconfig, which names wait for."""
    with table_server() as server:
        server.tables[PROXIES] = [
            {"name": "crm", "URL": "https://mcp.example.com/sales/crm/mcp", "Ready": "True"},
            {"name": "tickets", "URL": None, "Ready": "False"},
        ]
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path)))
        monkeypatch.setenv(TIMEOUT_VARIABLE, "100000")
        monkeypatch.setattr(complete, "_STARTED", time.monotonic())  # it was imported long ago
        yield server


@pytest.fixture
def words(ostiary: Ostiary) -> "Words":
    return Words(ostiary)


class Words:
    """What completion offers, without descriptions: the candidates, then the directive."""

    def __init__(self, ostiary: Ostiary) -> None:
        self._ostiary = ostiary

    def __call__(self, *line: str) -> list[str]:
        answer = self._ostiary("__completeNoDesc", *line)
        assert (answer.code, answer.err) == (0, "")
        return answer.out.splitlines()


def test_commands_are_offered_with_what_they_do(ostiary: Ostiary) -> None:
    lines = ostiary("__complete", "").out.splitlines()
    assert lines == [*(f"{each.name}\t{each.summary}" for each in COMMANDS), NO_FILES]


def test_only_what_begins_as_the_word_does_is_offered(words: Words) -> None:
    assert words("val") == ["validate", NO_FILES]
    assert words("nothing-begins-so") == [NO_FILES]


@pytest.mark.parametrize("line", [["get", "--output", ""], ["get", "--output="], ["get", "-o", ""], ["get", "-Ao", ""]])
def test_the_values_of_an_option_are_offered_however_it_is_written(words: Words, line: list[str]) -> None:
    assert words(*line) == ["table", "wide", "json", "yaml", "name", NO_FILES]


def test_options_are_offered_once_and_not_next_to_what_excludes_them(words: Words) -> None:
    assert "--watch" in words("get", "--")
    assert "--watch" not in words("get", "--watch", "--")
    assert "--resource" in words("explain", "--")
    assert "--resource" not in words("explain", "--tool", "a", "--")
    assert "--header" in words("explain", "--header", "A: b", "--")  # it may be repeated


def test_an_option_is_no_candidate_after_two_hyphens(words: Words) -> None:
    assert words("validate", "--", "--") == [FILES]


def test_files_and_folders_are_left_to_the_shell(words: Words) -> None:
    assert words("validate", "") == [FILES]
    assert words("validate", "a.yaml", "") == [FILES]
    assert words("crds", "--write", "") == [FOLDERS]
    assert words("logs", "--admin", "") == [NO_FILES]


def test_commands_within_a_command_are_offered(words: Words) -> None:
    assert words("audit", "") == ["verify", "query", "keys", NO_FILES]
    assert "--public-key" in words("audit", "verify", "--p")
    assert words("audit", "no-such", "--") == [NO_FILES]


@pytest.mark.parametrize(
    "line", [["no-such-command", ""], ["get", "proxies", "--no-such-option", ""], ["key", "create"]]
)
def test_words_that_no_command_knows_are_no_error(words: Words, api: TableServer, line: list[str]) -> None:
    assert words(*line)[-1] == NO_FILES


def test_names_come_from_the_namespace_of_the_context_with_their_state(ostiary: Ostiary, api: TableServer) -> None:
    lines = ostiary("__complete", "get", "proxies", "").out.splitlines()
    assert lines == ["crm\tTrue https://mcp.example.com/sales/crm/mcp", "tickets\tFalse", NO_FILES]
    assert api.authorizations == ["Bearer hunter2"]


@pytest.mark.parametrize("command", [["doctor"], ["logs"], ["limits"], ["catalogue"], ["explain", "--proxy"], ["lock"]])
def test_every_command_that_takes_an_mcpproxy_completes_its_name(
    words: Words, api: TableServer, command: list[str]
) -> None:
    assert words(*command, "cr") == ["crm", NO_FILES]


def test_a_namespace_is_taken_from_the_line_or_from_the_name(words: Words, api: TableServer) -> None:
    api.tables["/apis/ostiary.dev/v1alpha1/namespaces/support/mcpproxies"] = [{"name": "faq"}]
    assert words("get", "proxies", "-n", "support", "") == ["faq", NO_FILES]
    assert words("logs", "support/") == ["support/faq", NO_FILES]


def test_policies_gateways_and_namespaces_are_completed(words: Words, api: TableServer) -> None:
    api.tables["/apis/ostiary.dev/v1alpha1/namespaces/sales/mcppolicies"] = [{"name": "read-only"}]
    api.tables["/api/v1/namespaces/sales/services"] = [
        {"name": "ostiary-default", "labels": {"ostiary.dev/gateway": "default"}}
    ]
    api.tables["/api/v1/namespaces"] = [{"name": "sales"}, {"name": "support"}]
    assert words("get", "policies", "") == ["read-only", NO_FILES]
    assert words("get", "gateways", "") == ["default", NO_FILES]
    assert words("get", "-n", "su") == ["support", NO_FILES]
    assert words("get", "p") == ["policies", "proxies", NO_FILES]


def test_contexts_are_read_from_the_kubeconfig(words: Words, api: TableServer) -> None:
    assert words("get", "--context", "") == ["here", NO_FILES]
    assert api.asked == []


def test_a_cluster_that_does_not_answer_in_time_offers_no_names(
    words: Words, api: TableServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.speaks.clear()
    monkeypatch.setenv(TIMEOUT_VARIABLE, "50")
    assert words("get", "proxies", "") == [NO_FILES]


@pytest.mark.parametrize("file", ["", "[]", "{", "clusters: 7", "current-context: gone"])
def test_a_kubeconfig_that_cannot_be_used_offers_no_names_and_says_nothing(
    words: Words, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    (tmp_path / "config").write_text(file)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv(TIMEOUT_VARIABLE, "100000")
    assert words("get", "proxies", "") == [NO_FILES]
    assert words("get", "--context", "") == [NO_FILES]


def test_a_terminal_is_told_no_control_characters() -> None:
    hostile = Completion(
        [CompletionWord("a\x1b[2J"), CompletionWord("b\nc"), CompletionWord("d", "e\x1b]0;f\x07\n\u202eg" + "h" * 1000)]
    )
    assert list(hostile.lines(descriptions=True)) == ["d\te]0;f g" + "h" * 70 + "...", NO_FILES]


def test_completion_loads_no_command_and_no_library_of_one() -> None:
    heavy = {*OPTIONAL_PACKAGES, "pydantic", "yaml"}
    commands = {each.module for each in COMMANDS}
    code = f"""
import sys
from ostiary_operator.cli import main
main(["__complete", "ge"])
loaded = {{name.partition(".")[0] for name in sys.modules}} & {heavy!r} | set(sys.modules) & {commands!r}
sys.exit(sorted(loaded) or 0)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
