"""`ostiary whoami` at a real gateway: what it prints, its exit codes, and that it never shows a credential."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, api_key, exposed, keyed
from gateways import RunningGateway, policy
from identity_provider import identity_provider
from merged_proxies import merged
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, answer, document, serving

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import PolicyDocument

AGENT = api_key(AGENT_KEY, "default/agent", groups=["support"])
ALLOW = {"name": "r", "effect": "Allow", "tools": {"names": ["get_users", "add"]}, "resources": {}, "prompts": {}}
SHOW = {"name": "s", "effect": "Allow", "tools": {"verbs": ["List"], "names": ["delete_user"]}}


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    code: int
    out: str
    err: str


async def whoami(
    *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None, secret: str = AGENT_KEY
) -> Ended:
    """Run the command; its output never has the secret."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ostiary_operator.cli", "whoami", *arguments],
        input=stdin,
        env=dict(env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert exposed([done.stdout, done.stderr], secret) == []
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
async def url(gateway: RunningGateway, mock: str) -> str:
    await gateway.apply(gateway.entry("mock", mock, [keyed(AGENT), policy("p", ALLOW, SHOW)]))
    return gateway.url()


async def test_it_prints_the_caller_and_what_it_sees_and_may_use(url: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{AGENT_KEY}\n")
    ended = await whoami("--key-file", str(file), url)
    assert ended.code == 0
    assert "caller    default/agent, by an API key\n" in ended.out
    assert "groups    support\n" in ended.out
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["tool", "get_users", "use"] in rows
    assert ["tool", "delete_user", "see"] in rows
    assert ["prompt", "draft_post", "use"] in rows
    assert ["resource", "mock://users", "use"] in rows
    assert any(row[:1] == ["template"] and row[-1] == "use" for row in rows)
    assert not any("create_user" in row for row in rows)


@pytest.mark.parametrize(
    ("arguments", "stdin", "env"),
    [
        (["--token-file", "-"], AGENT_KEY + "\n", {}),
        (["--key", AGENT_KEY], "", {}),
        (["--token", AGENT_KEY], "", {}),
        (["--header", f"authorization: bearer {AGENT_KEY}"], "", {}),
        (["--header-file", "-"], f"Authorization:Bearer {AGENT_KEY}\n", {}),
        ([], "", {"OSTIARY_KEY": AGENT_KEY}),
    ],
)
async def test_the_credential_may_come_from_a_file_stdin_the_environment_or_an_argument(
    url: str, arguments: list[str], stdin: str, env: dict[str, str]
) -> None:
    ended = await whoami(*arguments, "-o", "json", url, stdin=stdin, env=env)
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["principal"]["consumer"] == "default/agent"
    assert {"name": "add", "access": "use"} in found["tools"]


async def test_a_refused_caller_gets_the_reason_and_exit_code_1(url: str) -> None:
    ended = await whoami(url)
    assert (ended.code, ended.out) == (1, "")
    assert "HTTP 401 CredentialMissing" in ended.err
    assert "--key-file" in ended.err
    ended = await whoami("--key", "no-key-0123456789", url, secret="no-key-0123456789")
    assert (ended.code, ended.out) == (1, "")
    assert "HTTP 401 CredentialInvalid" in ended.err
    assert "--key-file" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (["--key", f"{AGENT_KEY} more"], "", "--key has no credential"),
        (["--key-file", "/there/is/none"], "", "--key-file: /there/is/none cannot be read: FileNotFoundError"),
        (["--key-file", "-"], "", "--key-file has no credential"),
        (["--key-file", "-"], f"{AGENT_KEY}\nX: y", "--key-file has no credential"),
        (["--key-file", "-"], f"kind: Secret\nstringData:\n  key: {AGENT_KEY}\n", "such as the key without its Secret"),
        (["--header", AGENT_KEY], "", "--header is not one line"),
        (["--header-file", "-"], f"A: {AGENT_KEY}\r\nB: c", "--header-file is not one line"),
        (["--certificate", "/there/is/none"], "", "--certificate: /there/is/none cannot be used"),
    ],
)
async def test_a_credential_that_cannot_be_used_is_explained_without_it(
    url: str, arguments: list[str], stdin: str, words: str
) -> None:
    ended = await whoami(*arguments, url, stdin=stdin)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("tickets/mcp", "give the URL that clients use"),
        ("ftp://localhost/mcp", "give the URL that clients use"),
        (f"http://user:{AGENT_KEY}@localhost/mcp", "give the URL that clients use"),
        ("http://localhost:1/mcp?x=1", "give the URL that clients use"),
        ("http://127.0.0.1:1/mcp", "no response from http://127.0.0.1:1/mcp: nothing accepts connections there"),
    ],
)
async def test_a_url_that_cannot_answer_is_explained(url: str, words: str) -> None:
    ended = await whoami(url)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err


async def test_a_url_that_is_not_an_endpoint_of_a_gateway_is_explained(url: str, mock: str) -> None:
    ended = await whoami(url.removesuffix("/mcp"))
    assert ended.code == 2
    assert "and ends in /mcp" in ended.err
    ended = await whoami(url.replace("/mock/", "/mocc/"))
    assert ended.code == 2
    assert "there is no MCPProxy at" in ended.err
    assert "/whoami" not in ended.err
    ended = await whoami(url.replace("http:", "https:"))
    assert ended.code == 2
    assert "it does not speak TLS; is it an http:// URL?" in ended.err
    ended = await whoami(mock)
    assert ended.code == 2
    assert "this is not an endpoint of an Ostiary gateway" in ended.err


async def test_a_refused_token_is_shown_next_to_what_the_proxy_needs(gateway: RunningGateway, mock: str) -> None:
    async with identity_provider() as provider:
        gateway.settings = gateway.settings.model_copy(update={"external_url": "https://mcp.example.com"})
        accepting = AuthenticationConfig(issuers=[provider.config()])
        document = PolicyDocument(
            namespace="default", name="p", uid="1", generation=1, tier="owner", authentication=accepting
        )
        await gateway.apply(gateway.entry("mock", mock, [document]))
        token = provider.token(aud="https://other.example.com/mcp")
        ended = await whoami("--token-file", "-", gateway.url(), stdin=token, secret=token)
    assert ended.code == 1
    assert "HTTP 401 CredentialInvalid" in ended.err
    assert f"the token has   iss {provider.issuer}; aud https://other.example.com/mcp; exp 20" in ended.err
    assert f"the proxy needs iss {provider.issuer}; aud https://mcp.example.com/mock/mcp" in ended.err


async def test_a_server_of_the_stateless_revision_alone_is_listed(gateway: RunningGateway) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "server/discover":
            return document(answer(arrived, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}))
        if arrived.method != "tools/list":
            return document({"jsonrpc": "2.0", "id": arrived.message["id"], "error": {"code": -32601, "message": "no"}})
        return document(answer(arrived, {"resultType": "complete", "tools": [{"name": "x", "inputSchema": {}}]}))

    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        ended = await whoami("-o", "json", gateway.url())
    found = json.loads(ended.out)
    assert found["principal"]["method"] == "anonymous"
    assert found["tools"] == [{"name": "x", "access": "use"}]


async def test_a_server_that_is_down_is_a_note_and_the_caller_is_still_named(gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", "http://127.0.0.1:1/mcp", [keyed(AGENT)]))
    ended = await whoami("--key", AGENT_KEY, gateway.url())
    assert ended.code == 0
    assert "default/agent" in ended.out
    assert "What it sees is not known." in ended.out
    assert "note: tools/list:" in ended.err
    assert "(-31003, UpstreamUnreachable)" in ended.err


async def test_missing_names_of_one_of_several_servers_are_a_note(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(merged(gateway, {"one": mock, "two": "http://127.0.0.1:1/mcp"}))
    ended = await whoami(gateway.url())
    assert "one_get_users" in ended.out
    assert "note: tools/list: names that begin with two_ may be missing or old: UpstreamUnreachable" in ended.err


async def test_control_characters_of_a_server_do_not_reach_the_terminal(gateway: RunningGateway) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"tools": [{"name": "x\x1b[2J", "inputSchema": {}}]}))

    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        ended = await whoami(gateway.url())
    assert "\x1b" not in ended.out + ended.err
