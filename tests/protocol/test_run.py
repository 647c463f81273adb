"""`ostiary run` as users start it: a process with a terminal's worth of output, real clients, edits on disk."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from local_run import Run, running, running_before, start
from mcp import MCPError
from mcp.types import TextContent
from mcp_caller import legacy, mcp_caller, modern
from mcp_clients import ERAS, Era, connect, eventually
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, serving, with_handshake

from ostiary_tools.common.ports import reserve_port

EXAMPLES = Path(__file__).parents[2] / "examples"
CLOCK = re.compile(r"^\d\d:\d\d:\d\d  ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / "quickstart", tmp_path / "quickstart"))


@pytest.fixture
async def run(mock: str, folder: Path) -> AsyncIterator[Run]:
    with running_before(mock, folder) as started:
        await started.opens()
        yield started


@pytest.fixture
async def whole_run(folder: Path) -> AsyncIterator[Run]:
    """With a mock server of its own."""
    with running(folder) as started:
        await started.opens()
        yield started


async def tools(run: Run, era: Era = "modern") -> list[str]:
    async with connect(run.url, era=era) as client:
        return [tool.name for tool in (await client.list_tools()).tools]


async def call(run: Run, name: str, arguments: dict[str, Any] | None = None, *, era: Era = "modern") -> Any:
    async with connect(run.url, era=era) as client:
        return (await client.call_tool(name, arguments or {})).structured_content


async def refused(run: Run, name: str, arguments: dict[str, Any] | None = None, *, era: Era = "modern") -> str:
    """The text of a tool's error."""
    async with connect(run.url, era=era) as client:
        result = await client.call_tool(name, arguments or {})
    assert result.is_error
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("era", ERAS)
async def test_the_quickstart_shows_all_tools_and_users_and_refuses_one_call(run: Run, era: Era) -> None:
    assert len(await tools(run, era)) == 15
    users = await call(run, "get_users", era=era)
    assert users["total"] == len(users["users"]) > 5
    assert "Denied by policy: tool delete_user" in await refused(run, "delete_user", {"user_id": 1}, era=era)

    await run.prints("ok  ", "mock-mcp-server", "get_users", " ms")
    await run.prints("denied", "delete_user", "by rule no-deletions of policy default/quickstart")
    calls = [line for line in run.lines if CLOCK.match(line) and line.endswith(" ms")]
    assert [line.split()[1:4] for line in calls] == [["ok", "mock-mcp-server", "get_users"]]


async def test_it_prints_the_endpoint_and_what_to_try(run: Run) -> None:
    text = run.text()
    assert f"mock-mcp-server  {run.url}\n" in text
    assert f"to http://localhost:{run.mock_port}/mcp, under policy quickstart" in text
    assert f"localhost:7878 in these files is read as localhost:{run.mock_port} (MOCK_PORT)" in text
    assert f"npx @modelcontextprotocol/inspector --transport http --server-url {run.url}" in text
    assert f"Then edit {run.folder}/mcppolicy.yaml and save it: a change is live at once." in text
    assert "Traces: none (OTEL_EXPORTER_OTLP_ENDPOINT is not set)" in text
    assert "\x1b" not in text


async def test_the_command_that_it_shows_works_unchanged(whole_run: Run) -> None:
    assert json.loads(await shown_command(whole_run))["result"]["structuredContent"]["total"] > 5


async def test_the_command_that_it_shows_works_before_a_server_that_knows_sessions_only(folder: Path) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=400, text="Bad Request: Missing session ID")

    async with serving(with_handshake(script)) as upstream:
        with running_before(upstream.url, folder) as run:
            await run.opens()
            answer = json.loads(await shown_command(run))
    assert answer["result"]["serverInfo"]["name"] == "scripted"


async def shown_command(run: Run) -> bytes:
    """What the first command that it shows prints."""
    first = next(number for number, line in enumerate(run.lines) if line.startswith("  curl "))
    command = "\n".join(run.lines[first : run.lines.index("", first)])
    return await asyncio.to_thread(subprocess.check_output, ["/bin/sh", "-c", command], timeout=20)


async def test_the_admin_port_reports_that_it_is_ready(run: Run) -> None:
    def ready() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{run.admin_port}/readyz", timeout=TIMEOUT_SECONDS) as answer:
            return int(answer.status)

    assert await asyncio.to_thread(ready) == 200


async def test_an_edit_is_live_at_once_and_says_what_changed(run: Run) -> None:
    async with connect(run.url, era="modern") as client:
        before = run.edit("mcppolicy.yaml", "verbs: [Call]", "verbs: [Call, List]")
        await run.prints("live", "MCPPolicy default/quickstart: spec.access.rules[0].tools.verbs changed", after=before)
        assert "delete_user" not in [tool.name for tool in (await client.list_tools()).tools]
        with pytest.raises(MCPError, match="Unknown tool: delete_user"):
            await client.call_tool("delete_user", {"user_id": 1})
    await run.prints("hidden", "delete_user", "by rule no-deletions")


@pytest.mark.parametrize(
    ("old", "new", "explained"),
    [
        (
            "effect: Deny",
            "effect: Permit",
            "mcppolicy.yaml:16:9: MCPPolicy default/quickstart: spec.access.rules[0].effect: is not one of",
        ),
        ("effect: Deny", "\teffect: Deny", "mcppolicy.yaml:16:9: Has a tab where YAML wants spaces."),
        ("kind: MCPPolicy", "kind: MCPPolcy", "MCPPolcy is not a kind of ostiary.dev. Did you mean MCPPolicy?"),
        ("  name: quickstart", "  nam: quickstart", "MCPPolicy: metadata.name: is required."),
        ("name: mock-mcp-server", "name: mock", "spec.targetRefs[0]: there is no MCPProxy default/mock."),
    ],
    ids=["a wrong value", "a tab", "a wrong kind", "a lost name", "a wrong target"],
)
async def test_a_broken_edit_is_explained_and_what_was_live_stays(run: Run, old: str, new: str, explained: str) -> None:
    before = run.edit("mcppolicy.yaml", old, new)
    await run.prints(explained, after=before)
    await run.prints("What was live before stays live until it is fixed.", after=before)
    assert "Denied by policy" in await refused(run, "delete_user", {"user_id": 1})
    assert len(await tools(run)) == 15
    assert not run.has_line("  live ", after=before)


async def test_a_fixed_file_is_good_again(run: Run) -> None:
    before = run.edit("mcppolicy.yaml", "effect: Deny", "effect: Permit")
    await run.prints("broken", after=before)
    before = run.edit("mcppolicy.yaml", "effect: Permit", "effect: Deny")
    await run.prints("fixed", "all files are good again", after=before)


async def test_a_save_that_changes_nothing_is_acknowledged(run: Run) -> None:
    before = run.edit("mcppolicy.yaml", "# Who may", "# Who, indeed, may")
    await run.prints("saved", "nothing that is in force changed", after=before)


async def test_a_new_proxy_is_served_and_its_endpoint_printed(run: Run) -> None:
    before = len(run.lines)
    text = (run.folder / "mcpproxy.yaml").read_text().replace("mock-mcp-server", "second")
    await asyncio.to_thread((run.folder / "second.yaml").write_text, text)
    url = f"http://localhost:{run.port}/second/mcp"
    await run.prints(f"MCPProxy default/second is at {url}", after=before)
    async with connect(url, era="legacy") as client:
        assert len((await client.list_tools()).tools) == 15
    before = len(run.lines)
    (run.folder / "second.yaml").unlink()
    await run.prints("live", "MCPProxy default/second: removed", after=before)


async def test_a_policy_that_was_never_good_closes_what_it_targets(run: Run) -> None:
    before = len(run.lines)
    text = (run.folder / "mcppolicy.yaml").read_text().replace("name: quickstart", "name: other")
    broken = text.replace("effect: Deny", "effect: Permit")
    await asyncio.to_thread((run.folder / "other.yaml").write_text, broken)
    await run.prints("Until it is fixed, every call is refused at default/mock-mcp-server.", after=before)
    with pytest.raises(MCPError) as refused:
        await call(run, "get_users")
    assert refused.value.error.code == -31007
    await run.prints("denied", "get_users", "PolicyInvalid")


async def test_an_edit_that_takes_the_last_policy_away_says_that_the_proxy_is_now_open(run: Run) -> None:
    before = len(run.lines)
    (run.folder / "mcppolicy.yaml").unlink()
    words = "no policy governs it any more: it is now open to everyone"
    await run.prints("open", "MCPProxy default/mock-mcp-server", words, after=before)


async def test_a_renamed_proxy_leaves_a_policy_that_is_reported_to_protect_nothing(run: Run) -> None:
    before = run.edit("mcpproxy.yaml", "name: mock-mcp-server", "name: renamed")
    await run.prints("open", "MCPProxy default/renamed", "open to everyone", after=before)
    assert run.has_line("It governs nothing, and so protects nothing, until it is fixed.", after=before)
    assert not run.has_line("stays live", after=before)


async def test_a_rule_that_names_no_tool_is_reported_with_the_name_that_was_probably_meant(run: Run) -> None:
    before = run.edit("mcppolicy.yaml", "names: [delete_user]", "names: [delete_usr]")
    words = "no tool is called delete_usr; did you mean delete_user?"
    await run.prints("warning", "MCPPolicy default/quickstart: rule", words, after=before)


async def test_a_policy_that_demands_audit_records_is_reported_where_they_have_no_place(run: Run) -> None:
    before = run.edit("mcppolicy.yaml", "spec:\n", "spec:\n  audit: {level: Metadata}\n")
    await run.prints("note", "MCPPolicy default/quickstart: nothing is recorded", "--audit-file", after=before)


async def test_requests_of_the_run_itself_are_not_printed_as_requests_of_a_client(run: Run) -> None:
    before = run.edit("mcpproxy.yaml", "/mcp # `", "/nope # `")
    await run.prints("warning", "UpstreamInvalidAnswer: the upstream answered HTTP 404", after=before)
    after = run.edit("mcppolicy.yaml", "# Who may", "# Who, indeed, may")
    await run.prints("saved", after=after)
    assert not run.has_line("failed", after=before)


async def test_requests_of_the_run_itself_are_counted_nowhere(run: Run) -> None:
    before = run.edit("mcppolicy.yaml", "# Who may", "# Who, indeed, may")
    await run.prints("saved", after=before)  # it has asked its servers twice now, through the gateway
    assert await asyncio.to_thread(counted_methods, run) == set()
    async with mcp_caller(run.url) as caller:
        await caller.post(modern("tools/list"))
    assert await asyncio.to_thread(counted_methods, run) == {"tools/list"}


def counted_methods(run: Run) -> set[str]:
    """The methods of requests that the gateway's metrics count."""
    with urllib.request.urlopen(f"http://127.0.0.1:{run.admin_port}/metrics", timeout=TIMEOUT_SECONDS) as answer:
        text = answer.read().decode()
    return set(re.findall(r'mcp_server_operation_duration_seconds_count\{.*?mcp_method_name="([^"]*)"', text))


async def test_a_server_that_dies_is_started_again_and_calls_meanwhile_get_an_error(whole_run: Run) -> None:
    run = whole_run
    pid = await asyncio.to_thread(child_of, run.process.pid)
    os.kill(pid, signal.SIGKILL)
    await run.prints("mock", "the mock MCP server ended (killed by SIGKILL); starting it again")
    with pytest.raises(MCPError):
        await call(run, "get_users")
    await run.prints("failed", "mock-mcp-server", "-31003: UpstreamUnreachable")
    await run.prints("the mock MCP server is back")
    assert (await call(run, "get_users"))["total"] > 5


def child_of(parent: int) -> int:
    found = subprocess.check_output(["/usr/bin/env", "pgrep", "-P", str(parent)], text=True)
    return int(found.split()[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
async def test_it_ends_with_a_message_and_leaves_nothing_behind(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    private = tmp_path / "tmp"
    private.mkdir()
    with running(folder, env={"TMPDIR": str(private)}) as run:
        await run.opens()
        child = await asyncio.to_thread(child_of, run.process.pid)
        assert [oct(path.stat().st_mode) for path in private.glob("ostiary-run-*")] == ["0o40700"]
        async with connect(run.url, era="legacy"):  # an open stream does not delay the end
            run.process.send_signal(number)
            assert await asyncio.to_thread(run.process.wait, TIMEOUT_SECONDS) == 0
        await run.prints("ended", "the gateway is closed, and nothing is left running")
        assert "Traceback" not in run.text()
        assert not run.has_line("warning")
        assert list(private.iterdir()) == []
        await eventually(lambda: not Path(f"/proc/{child}").exists())


async def test_a_second_ctrl_c_ends_it_at_once(folder: Path) -> None:
    with running(folder) as run:
        await run.opens()
        child = await asyncio.to_thread(child_of, run.process.pid)
        os.kill(child, signal.SIGSTOP)  # so that the first one has something to wait for
        run.process.send_signal(signal.SIGINT)
        await run.prints("ending")
        run.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(run.process.wait, TIMEOUT_SECONDS) == 130
        assert "Traceback" not in run.text()
        await eventually(lambda: not Path(f"/proc/{child}").exists())


@pytest.mark.parametrize("positions", [(0,), (1,), (2,), (0, 1, 2)], ids=["PORT", "ADMIN_PORT", "MOCK_PORT", "all"])
async def test_all_ports_in_use_are_reported_with_one_command_that_works(
    positions: tuple[int, ...], folder: Path
) -> None:
    names = ("PORT", "ADMIN_PORT", "MOCK_PORT")
    ports = [reserve_port(), reserve_port(), reserve_port()]
    with contextlib.ExitStack() as stack:
        for position in positions:
            taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            ports[position] = taken.getsockname()[1]
        output, _ = await asyncio.to_thread(start(folder, ports=ports).communicate)
        assert [name for number, name in enumerate(names) if f"{ports[number]} ({name}, " in output] == [
            names[position] for position in positions
        ]
        assert "Traceback" not in output
        command = shlex.split(output.splitlines()[-2])
        assert command[:3] == ["ostiary", "run", str(folder)]
        with running(folder, *command[3:], env=dict(zip(names, map(str, ports), strict=True))) as run:
            await run.opens()


def ended(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    process = start(folder, *arguments, ports=(0, 0, 0), env=env)
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    return process.returncode, output


def test_files_that_are_broken_at_the_start_are_explained_and_nothing_is_served(folder: Path) -> None:
    (folder / "mcppolicy.yaml").write_text("kind: MCPPolicy\nspec: [a")
    code, output = ended(folder)
    assert code == 1
    assert "mcppolicy.yaml:2:7: Opens a bracket that is never closed." in output
    assert output.endswith("Nothing is served. Fix the errors above, then start again.\n")


def test_a_folder_that_is_not_there_is_wrong_usage(folder: Path) -> None:
    code, output = ended(folder / "nowhere")
    assert code == 2
    assert output.startswith(f"ostiary run: {folder}/nowhere: there is no such file or folder. Name a folder with")


def test_two_equal_ports_are_reported(folder: Path) -> None:
    code, output = ended(folder, env={"PORT": "9999", "MOCK_PORT": "9999"})
    assert (code, output) == (2, "ostiary run: PORT and MOCK_PORT are both 9999: give one of them another number.\n")


async def test_without_the_mock_server_the_gateway_starts_and_reports_that_no_server_answers(folder: Path) -> None:
    with running(folder, "--no-mock-server") as run:
        words = f"http://localhost:{run.mock_port}/mcp cannot be reached: nothing listens on port {run.mock_port} yet"
        await run.prints("warning", words)
        with pytest.raises(MCPError):
            await call(run, "get_users")


async def test_ports_can_be_left_to_the_system(folder: Path) -> None:
    with running(folder, "--port", "0", "--admin-port", "0", "--mock-port", "0") as run:
        await run.opens()
        line = next(line for line in run.lines if line.startswith("  mock-mcp-server"))
        async with connect(line.split()[-1], era="modern") as client:
            assert len((await client.list_tools()).tools) == 15


async def test_both_tiers_hold_in_the_example_of_two_tiers(mock: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLES / "two-tiers", tmp_path / "two-tiers"))
    with running_before(mock, folder) as run:
        await run.opens()
        async with connect(f"http://localhost:{run.port}/sales/crm/mcp", era="modern") as client:
            assert sorted(tool.name for tool in (await client.list_tools()).tools) == [
                "create_user",
                "get_products",
                "get_user",
                "get_users",
                "search_products",
            ]
        async with connect(f"http://localhost:{run.port}/support/desk/mcp", era="legacy") as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert names == [name for name in names if name.startswith(("get_", "search_"))]
            assert "get_time" in names


async def test_settings_in_the_folder_replace_what_is_implied(mock: str, folder: Path) -> None:
    (folder / "settings.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  namespace: ostiary-system\n  name: settings\n"
        "  labels: {ostiary.dev/gateway: default, ostiary.dev/usage: settings}\n"
        "data:\n  settings.yaml: |\n    externalURL: https://mcp.example.com\n    withoutPolicy: Deny\n"
    )
    (folder / "mcppolicy.yaml").unlink()
    with running_before(mock, folder) as run:
        await run.prints("https://mcp.example.com/mock-mcp-server/mcp")
        await run.prints("under no policy: every call is refused")
        with pytest.raises(MCPError, match="Unknown tool"):
            await call(run, "get_users")


def settings_of(gateway: str, text: str) -> str:
    return (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  namespace: ostiary-system\n  name: settings\n"
        f"  labels: {{ostiary.dev/gateway: {gateway}, ostiary.dev/usage: settings}}\n"
        f"data:\n  settings.yaml: |\n    {text}\n"
    )


async def test_settings_that_lose_their_key_leave_the_last_good_ones(mock: str, folder: Path) -> None:
    (folder / "settings.yaml").write_text(settings_of("default", "withoutPolicy: Deny"))
    (folder / "mcppolicy.yaml").unlink()
    with running_before(mock, folder) as run:
        await run.opens()
        before = run.edit("settings.yaml", "settings.yaml: |", "settings.yml: |")
        await run.prints("ConfigMap ostiary-system/settings: data: has no key settings.yaml.", after=before)
        with pytest.raises(MCPError, match="Unknown tool"):
            await call(run, "get_users")


def test_settings_that_never_had_their_key_are_no_defaults(folder: Path) -> None:
    text = settings_of("default", "withoutPolicy: Deny").replace("settings.yaml: |", "settings.yml: |")
    (folder / "settings.yaml").write_text(text)
    code, output = ended(folder)
    assert code == 1
    assert "ConfigMap ostiary-system/settings: data: has no key settings.yaml." in output
    assert "Nothing is served." in output


async def test_settings_of_a_gateway_whose_label_is_no_dns_label_count_for_nothing(mock: str, folder: Path) -> None:
    (folder / "settings.yaml").write_text(settings_of("Not_A_Label", "withoutPolicy: Deny"))
    (folder / "mcppolicy.yaml").unlink()
    with running_before(mock, folder) as run:
        await run.opens()
        await run.prints("warning", "ConfigMap ostiary-system/settings", "'Not_A_Label', which is no DNS label")
        assert (await call(run, "get_users"))["total"] > 5


async def test_the_operators_own_secret_is_no_ca_bundle(mock: str, folder: Path) -> None:
    (folder / "own.yaml").write_text(
        "apiVersion: v1\nkind: Secret\n"
        "metadata: {name: own, labels: {ostiary.dev/usage: config, ostiary.dev/config: default}}\n"
        "stringData: {ca.crt: the content does not matter}\n---\n"
        "apiVersion: ostiary.dev/v1alpha1\nkind: MCPProxy\nmetadata: {name: second}\nspec:\n  servers:\n"
        "  - name: s\n    url: https://localhost/mcp\n"
        "    tls: {caCertificateRefs: [{kind: Secret, name: own}]}\n"
    )
    code, output = ended(folder)
    assert code == 1
    assert "Secret default/own lacks the label ostiary.dev/usage." in output


async def test_a_collector_is_named_without_its_password_and_a_dead_one_delays_nothing(mock: str, folder: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:password@127.0.0.1:9"}
    with running_before(mock, folder, env=env) as run:
        await run.opens()
        assert run.has_line("Traces: sent to http://127.0.0.1:9")
        assert (await call(run, "get_users"))["total"] > 5
        run.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(run.process.wait, TIMEOUT_SECONDS) == 0
    assert "password" not in run.text()


async def test_a_folder_without_a_proxy_is_served_until_there_is_one(mock: str, folder: Path) -> None:
    text = (folder / "mcpproxy.yaml").read_text()
    (folder / "mcpproxy.yaml").unlink()
    with running_before(mock, folder) as run:
        await run.opens()
        assert run.has_line("warning", "spec.targetRefs[0]: there is no MCPProxy default/mock-mcp-server.")
        assert run.has_line("No MCPProxy is served: there is none in these files, or none that can be.")
        before = len(run.lines)
        await asyncio.to_thread((folder / "mcpproxy.yaml").write_text, text)
        await run.prints("live", "MCPProxy default/mock-mcp-server: added", after=before)
        await run.prints("live", "MCPPolicy default/quickstart: added", after=before)
        assert len(await tools(run)) == 15


async def test_verbose_shows_every_message(mock: str, folder: Path) -> None:
    with running_before(mock, folder, "--verbose") as run:
        await run.opens()
        await tools(run, "legacy")
        await run.prints("ok", "mock-mcp-server", "initialize")
        await run.prints("ok", "mock-mcp-server", "tools/list")


async def test_a_spoofed_tool_name_cannot_write_to_the_terminal(run: Run) -> None:
    before = run.edit("mcppolicy.yaml", "names: [delete_user]", 'names: [delete_user, "*31m*"]')
    await run.prints("live", after=before)
    assert await refused(run, "\x1b[31mred", era="legacy")
    await run.prints("denied", "\N{REPLACEMENT CHARACTER}[31mred")
    assert "\x1b" not in run.text()


async def test_a_restart_of_the_run_ends_no_session(mock: str, folder: Path) -> None:
    with running_before(mock, folder) as run:
        await run.opens()
        async with mcp_caller(run.url) as caller:
            await caller.initialize()
            session = caller.session
            assert session is not None
    with running_before(mock, folder) as run:
        await run.opens()
        async with mcp_caller(run.url) as caller:
            caller.session = session
            assert (await caller.post(legacy("tools/list"))).status == 200
            caller.session = session[:-4] + "AAAA"
            assert (await caller.post(legacy("tools/list"))).status == 404
    assert_private(folder)


def assert_private(folder: Path) -> None:
    """Only the owner can read what a run kept, and nothing of it is in the project."""
    (state,) = (folder.parent / "state").glob("ostiary/run/*")
    files = [each for each in state.rglob("*") if each.is_file() and not each.is_symlink()]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert any(each.name == "session-0" for each in files)
    assert not list(folder.rglob("session-*"))


async def test_a_second_run_of_the_same_project_has_keys_of_its_own_and_reports_it(mock: str, folder: Path) -> None:
    with running_before(mock, folder) as first, running_before(mock, folder) as second:
        await first.opens()
        await second.opens()
        assert [run.has_line("note", "sessions will end with this run") for run in (first, second)].count(True) == 1
        assert len(await tools(first)) == len(await tools(second)) == 15


async def test_a_block_in_the_settings_is_live_at_once_and_its_removal_too(mock: str, folder: Path) -> None:
    addresses = "grants: [{namespaces: ['*'], addresses: [127.0.0.0/8, '::1/128']}]"
    (folder / "settings.yaml").write_text(settings_of("default", addresses))
    blocked = f"{addresses}\n    blocked: {{proxies: [default/mock-mcp-server]}}"
    with running_before(mock, folder) as run:
        await run.opens()
        assert await answer(run) == "served"
        run.edit("settings.yaml", addresses, blocked)
        await eventually(lambda: answers(run, "has blocked this MCP proxy"))
        run.edit("settings.yaml", blocked, addresses)
        await eventually(lambda: answers(run, "served"))


async def answers(run: Run, expected: str) -> bool:
    return expected in await answer(run)


async def answer(run: Run) -> str:
    try:
        # A modern client that is refused at first, and no longer a moment later, goes on as a legacy one.
        await call(run, "get_users", era="legacy")
    except MCPError as error:
        return str(error)
    return "served"
