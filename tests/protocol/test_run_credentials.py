"""`ostiary run` with servers that require a credential: from a Secret in the folder, an exchange, or an assertion."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
from aiohttp import web
from identity_provider import identity_provider
from local_run import Run, running_before
from mcp_caller import mcp_caller, modern
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, serving

CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
KEY = "agent-example-key"
RESULT: dict[str, Any] = {"content": []}

SECRET = """
apiVersion: v1
kind: Secret
metadata:
  name: crm
  namespace: team-a
  labels: {ostiary.dev/usage: credential}
  annotations: {ostiary.dev/hosts: 127.0.0.1}
stringData:
  token: canary-first-value
---
"""
PROXY = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: crm, namespace: team-a}
spec:
  path: /crm
  servers:
  - name: crm
    url: URL
    credential: CREDENTIAL
---
"""
KEYED = """
apiVersion: v1
kind: Secret
metadata:
  name: agent
  namespace: team-a
  labels: {ostiary.dev/usage: api-key}
  annotations: {ostiary.dev/groups: support}
stringData: {key: agent-example-key}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: known-agents, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  authentication: {apiKey: {selector: {}}}
"""
TOKENS = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: tokens, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  authentication: {jwt: {issuers: [{issuer: "ISSUER", audiences: [crm]}]}}
"""


async def script(_request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """Answer every call."""
    return document(answer(arrived, RESULT))


def project(folder: Path, upstream: Upstream, credential: str, *more: str) -> Path:
    """A folder with the proxy, and these further resources."""
    proxy = PROXY.replace("URL", upstream.url).replace("CREDENTIAL", credential)
    (folder / "project").mkdir()
    (folder / "project" / "resources.yaml").write_text(proxy + "".join(more))
    return folder / "project"


def endpoint(run: Run) -> str:
    return f"http://localhost:{run.port}/crm/mcp"


async def test_a_value_of_a_secret_in_the_folder_is_sent_and_an_edit_replaces_it(tmp_path: Path) -> None:
    async with serving(script) as upstream:
        bearer = "{bearer: {secretRef: {name: crm, key: token}}}"
        with running_before(upstream.url, project(tmp_path, upstream, bearer, SECRET)) as run:
            await run.opens()
            async with mcp_caller(endpoint(run)) as caller:
                assert (await caller.post(CALL)).json["result"] == RESULT
                assert upstream.arrived[-1].headers["Authorization"] == "Bearer canary-first-value"
                run.edit("resources.yaml", "canary-first-value", "canary-second-value")

                async def is_replaced() -> bool:
                    await caller.post(CALL)
                    return upstream.arrived[-1].headers["Authorization"] == "Bearer canary-second-value"

                await eventually(is_replaced)
    assert "canary" not in run.text()


async def test_a_server_verifies_who_calls_with_the_keys_that_the_run_publishes(tmp_path: Path) -> None:
    async with serving(script) as upstream:
        with running_before(upstream.url, project(tmp_path, upstream, "{identityAssertion: {}}", KEYED)) as run:
            await run.opens()
            async with mcp_caller(endpoint(run)) as caller:
                assert (await caller.post(CALL)).status == 401
                assert (await caller.post(CALL, {"Authorization": f"Bearer {KEY}"})).json["result"] == RESULT
            token = upstream.arrived[-1].headers["Authorization"].removeprefix("Bearer ")
            keys = jwt.PyJWKClient(f"http://localhost:{run.port}/.well-known/jwks.json")
            key = await asyncio.to_thread(keys.get_signing_key_from_jwt, token)
    found = jwt.decode(token, key, algorithms=["ES256"], audience=upstream.url)
    assert (found["consumer"], found["groups"], found["proxy"]) == ("team-a/agent", ["support"], "team-a/crm")
    assert found["iss"].endswith("/team-a/crm")


async def test_a_callers_token_is_exchanged(tmp_path: Path) -> None:
    async def exchange(_request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        subject = parse_qs(arrived.body.decode())["subject_token"][0]
        sub = jwt.decode(subject, options={"verify_signature": False})["sub"]
        return web.json_response({"access_token": f"exchanged-for-{sub}", "token_type": "Bearer"})

    async with serving(script) as upstream, serving(exchange) as authorization, identity_provider() as provider:
        client = "clientId: ostiary, clientSecretRef: {name: crm, key: token}"
        credential = f'{{tokenExchange: {{tokenEndpoint: "{authorization.url}", {client}}}}}'
        folder = project(tmp_path, upstream, credential, SECRET, TOKENS.replace("ISSUER", provider.issuer))
        with running_before(upstream.url, folder) as run:
            await run.opens()
            async with mcp_caller(endpoint(run)) as caller:
                token = provider.token(aud="crm", sub="ada")
                assert (await caller.post(CALL, {"Authorization": f"Bearer {token}"})).json["result"] == RESULT
    assert [each.headers["Authorization"] for each in upstream.arrived] == ["Bearer exchanged-for-ada"]
