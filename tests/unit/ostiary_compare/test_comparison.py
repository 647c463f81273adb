"""Gateways are measured in turns; one that is absent, does not start or answers wrongly is named, and stops nothing."""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from ostiary_compare import running, verification
from ostiary_compare.__main__ import GATEWAYS, main
from ostiary_compare.comparison import Amount, compare
from ostiary_compare.gateway import (
    UNGOVERNED,
    Claims,
    Gateway,
    Mode,
    Started,
    Surroundings,
    free_port,
    search_path,
)
from ostiary_compare.kinds import KINDS, NEW_LIST, SESSION, STATELESS
from ostiary_compare.requests import Endpoint
from ostiary_tools.common.ports import reserve_port

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent / "tools")])}
PATH = search_path([Path(sys.executable).parent])
KEY = MappingProxyType({"Authorization": "Bearer a"})
NOTHING = Claims()
#: An MCP server that does something else in the middle of the load.
CHANGES = """
import os
from ostiary_compare import mcp_server

class Changes(mcp_server.McpServer):
    def answer(self, head, body):
        found = super().answer(head, body)
        return {then} if self.count > 40 else found

mcp_server.McpServer = Changes
mcp_server.serve({{port}})
"""
DIES = CHANGES.format(then='(print("its last words", flush=True), os._exit(7))')
LIES = CHANGES.format(then='found.replace(b"Ada", b"Eve")')


@pytest.fixture(autouse=True)
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])


def gateway(
    name: str,
    *,
    prefix: str = "",
    program: str = "python",
    code: str = "from ostiary_compare import mcp_server; mcp_server.serve({port})",
    headers: Mapping[str, str] = MappingProxyType({}),
    claims: Claims = NOTHING,
    ports: list[int] | None = None,
) -> Gateway:
    """The MCP server in place of a gateway, or another program of Python."""

    def start(given: Surroundings) -> Started:
        port = ports.pop(0) if ports else free_port()
        command = ("-c", code.format(port=port))
        process = given.start(name, sys.executable, *command, port=port, env=ENVIRONMENT)
        return Started(process, Endpoint(f"http://127.0.0.1:{port}/mcp", headers, prefix))

    return Gateway(name, program, "Install it.", (Mode(UNGOVERNED, "none", start, claims),), lambda _: "1")


def amount(*names: str, rounds: int = 2) -> Amount:
    return Amount(rounds, 0.2, 50, 0.4, [KINDS[name] for name in names])


def test_what_answers_has_figures_of_every_round_and_the_rest_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_EXPORTED_WITHIN", 0.5)
    monkeypatch.setattr(verification, "_ANSWERS_WITHIN", 1.0)
    gateways = [
        gateway("one"),
        gateway("absent", program="no-such-program"),
        gateway("ends", code="raise SystemExit('its own words')"),
        gateway("wrong", prefix="other-"),
        gateway("open", headers=KEY, claims=Claims(key=True)),
        gateway("lawless", claims=Claims(rules=True)),
        gateway("endless", claims=Claims(limit=True)),
        gateway("dark", claims=Claims(spans=1)),
    ]
    found = compare(gateways, PATH, amount("session", "stateless", "new-list"), tmp_path)
    assert [(each.way.gateway, each.way.kind, len(each.rounds)) for each in found.calls] == [
        ("one", SESSION.name, 2),
        ("one", STATELESS.name, 2),
        ("one", NEW_LIST.name, 1),
    ]
    for each in found.calls[:2]:
        assert each.upstream_requests == 0  # what answers is no gateway, and asks the server behind it nothing
        assert each.latency is not None
        assert each.latency.calls == 20
    reasons = {each.gateway: each.reason for each in found.failures}
    assert reasons["absent"] == "not installed: no-such-program"
    assert "its own words" in reasons["ends"]
    assert "was not the result of the server" in reasons["wrong"]
    assert reasons["open"] == "it serves a caller without a key"
    assert reasons["lawless"] == "it serves do_something_1, which no rule allows"
    assert reasons["endless"] == "its limit of 5 a second lets 20 calls at once pass"
    assert reasons["dark"].startswith("0 spans arrived after 20 calls")
    assert "absent" not in found.versions
    assert [each.gateway for each in found.governance] == ["one"]
    assert found.governance[0].seen.first_answer > 0


def test_a_gateway_that_dies_or_lies_under_load_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    gateways = [gateway("dies", code=DIES), gateway("lies", code=LIES), gateway("lives")]
    found = compare(gateways, PATH, amount("session"), tmp_path)
    assert [each.way.gateway for each in found.calls] == ["lives"]
    reasons = {each.gateway: each.reason for each in found.failures}
    assert "its last words" in reasons["dies"]
    assert "was not the result of the server" in reasons["lies"]
    assert {each.kind for each in found.failures} == {SESSION.name}


def test_a_gateway_whose_port_was_taken_is_started_at_another(tmp_path: Path) -> None:
    with running.running([], PATH, tmp_path) as it:
        it.start_servers(1)
        taken = it._upstream
        one = gateway("one", ports=[taken, reserve_port()])
        it.start(one, one.modes[0])
        assert [each.gateway.name for each in it.modes] == ["one"]


def test_all_processes_end_with_the_comparison_those_that_are_paused_too(tmp_path: Path) -> None:
    with running.running([gateway("one")], PATH, tmp_path) as it:
        processes = list(it._processes)
        assert len(processes) == 3
        assert all(each.running for each in processes)
    assert not any(each.running for each in processes)


def test_programs_are_found_in_directories_of_peers_and_in_environments_below_them(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "bin", tmp_path / "environment" / "bin"):
        folder.mkdir(exist_ok=True, parents=True)
        program = folder / f"program-{folder.name}"
        program.write_text("#!/bin/sh\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        it = gateway("it", program=program.name)
        assert it.missing(search_path([tmp_path])) == []
        assert it.missing("") == [program.name]


def test_a_list_says_of_each_gateway_whether_it_is_installed_or_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", ["compare", "--list"])
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(GATEWAYS)
    for line, each in zip(lines, GATEWAYS, strict=True):
        assert line.startswith(f"{each.name}: ")
        assert line.endswith("installed") or each.install in line


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--only", "nginx,other"], 1, "names no gateway: other. Choose from nginx, ostiary, agentgateway"),
        (["--rounds", "0"], 2, "argument --rounds"),
        (["--seconds", "-1"], 2, "argument --seconds"),
        (["--kind", "other"], 2, "argument --kind"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(
    arguments: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", *arguments])
    with pytest.raises(SystemExit) as ended:
        sys.exit(main())
    assert ended.value.code == code
    assert words in capsys.readouterr().err


def test_help_teaches_by_examples_and_names_the_exit_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", "--help"])
    with pytest.raises(SystemExit):
        main()
    text = capsys.readouterr().out
    assert "make compare ONLY=nginx,ostiary" in text
    assert "130 interrupted" in text
