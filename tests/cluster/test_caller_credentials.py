"""Credentials that depend on the caller, on a real API server; and what a proxy reports of a server that refuses them.

Every kind of credential has the same condition: `UpstreamHealthy=False` names the server and what is wrong, and is True
again once a call succeeds.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from aiohttp import web
from identity_provider import SigningKey
from mcp_caller import mcp_caller, modern
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, serving

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE
from ostiary_tools.common.processes import wait_until

CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
RESULT: dict[str, Any] = {"content": []}
ISSUER = "https://id.example.com"
AUDIENCE = "crm-callers"
KEY = SigningKey("first")
REFERENCE = {"name": "crm-credential", "key": "value"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster"), values={"secretNamespaces": ["sales"]}) as running:
        running.apply(EXAMPLE)
        running.wait_until_ready()
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": REFERENCE["name"],
                "namespace": "sales",
                "labels": {"ostiary.dev/usage": "credential"},
                "annotations": {"ostiary.dev/hosts": "127.0.0.1"},
            },
            "data": {"value": base64.b64encode(b"canary-client-secret").decode()},
        }
        apply(running, secret)
        yield running


def apply(cluster: LocalCluster, *resources: dict[str, Any]) -> None:
    cluster.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": resources}))


def resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "sales"},
        "spec": spec,
    }


def conditions(cluster: LocalCluster, name: str) -> dict[str, dict[str, str]]:
    found = json.loads(cluster.kubectl("get", "mcpproxy", name, "-n", "sales", "-o", "json"))
    return {each["type"]: each for each in found.get("status", {}).get("conditions", ())}


def wait_for(cluster: LocalCluster, name: str, condition: str, reason: str) -> dict[str, str]:
    """Wait until a condition of a proxy has a reason."""
    wait_until(
        lambda: conditions(cluster, name).get(condition, {}).get("reason") == reason,
        what=f"{condition} {reason} of {name}",
        timeout=90,
    )
    return conditions(cluster, name)[condition]


def token(sub: str) -> str:
    """A token of the issuer whose keys are in the policy."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "azp": sub, "iat": now, "exp": now + 300}
    return jwt.encode(claims, KEY.private, algorithm="ES256", headers={"kid": KEY.kid})


def bearer(sub: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sub)}"}


class Server:
    """A server that answers, or asks for credentials."""

    def __init__(self) -> None:
        self.refuses = False

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if self.refuses:
            challenge = {"WWW-Authenticate": 'Bearer resource_metadata="https://evil.example/metadata"'}
            return web.Response(status=401, headers=challenge)
        return document(answer(arrived, RESULT))


async def exchange(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """Give each caller a token that names it; grant none to mallory."""
    form = parse_qs(arrived.body.decode())
    if "client_credentials" in form["grant_type"]:
        return web.json_response({"access_token": "of-the-gateway", "token_type": "Bearer"})
    sub = jwt.decode(form["subject_token"][0], options={"verify_signature": False})["sub"]
    if sub == "mallory":
        return web.json_response({"error": "invalid_grant"}, status=400)
    return web.json_response({"access_token": f"exchanged-for-{sub}", "token_type": "Bearer"})


@asynccontextmanager
async def served(cluster: LocalCluster, name: str, server: Server, **kind: Any) -> AsyncIterator[Upstream]:
    """A proxy whose callers have tokens, before this server with this kind of credential."""
    async with serving(server.script) as upstream, serving(exchange) as authorization:
        for client in (kind.get("tokenExchange"), kind.get("clientCredentials")):
            if client is not None:
                client |= {"tokenEndpoint": authorization.url, "clientId": "a", "clientSecretRef": REFERENCE}
        proxy = {"path": f"/{name}", "servers": [{"name": "crm", "url": upstream.url, "credential": kind or None}]}
        if not kind:
            del proxy["servers"][0]["credential"]  # type: ignore[attr-defined]
        keys = json.dumps({"keys": [KEY.public()]})
        issuer = {"issuer": ISSUER, "jwks": keys, "audiences": [AUDIENCE], "consumerClaim": ["azp"]}
        policy = {
            "targetRefs": [{"kind": "MCPProxy", "name": name}],
            "authentication": {"jwt": {"issuers": [issuer]}},
        }
        await asyncio.to_thread(apply, cluster, resource("MCPPolicy", name, policy), resource("MCPProxy", name, proxy))
        await asyncio.to_thread(wait_for, cluster, name, "Programmed", "Programmed")
        try:
            yield upstream
        finally:
            await asyncio.to_thread(cluster.kubectl, "delete", "mcpproxy,mcppolicy", name, "-n", "sales")


async def test_two_callers_reach_a_server_each_with_a_token_of_its_own(cluster: LocalCluster) -> None:
    async with served(cluster, "exchanged", Server(), tokenExchange={}) as upstream:
        async with (
            mcp_caller(cluster.endpoint(0, path="/exchanged")) as one,
            mcp_caller(cluster.endpoint(1, path="/exchanged")) as two,
        ):
            for _ in range(5):
                found = await asyncio.gather(
                    one.post({**CALL, "id": "ada"}, bearer("ada")), two.post({**CALL, "id": "bob"}, bearer("bob"))
                )
                assert [reply.json["result"] for reply in found] == [RESULT] * 2
            refused = await one.post(CALL, bearer("mallory"))
        assert refused.error["data"]["reason"] == "UpstreamTokenExchangeRefused"
        for arrived in upstream.arrived:
            assert arrived.headers["Authorization"] == f"Bearer exchanged-for-{arrived.message['id']}"
    shown = await asyncio.to_thread(cluster.kubectl, "get", "configmaps,mcpproxies,events", "-A", "-o", "json")
    assert "canary-client-secret" not in shown
    assert "exchanged-for" not in shown


async def test_a_server_verifies_the_assertions_of_every_replica_with_the_keys_of_any(cluster: LocalCluster) -> None:
    async with served(cluster, "asserted", Server(), identityAssertion={}) as upstream:
        for replica in (0, 1):
            async with mcp_caller(cluster.endpoint(replica, path="/asserted")) as caller:
                assert (await caller.post(CALL, bearer("ada"))).json["result"] == RESULT
        published = cluster.endpoint(0, path="").removesuffix("/mcp") + "/.well-known/jwks.json"
        keys = jwt.PyJWKClient(published)
        for arrived in upstream.arrived:
            assertion = arrived.headers["Authorization"].removeprefix("Bearer ")
            key = await asyncio.to_thread(keys.get_signing_key_from_jwt, assertion)
            found = jwt.decode(assertion, key, algorithms=["ES256"], audience=upstream.url)
            assert (found["consumer"], found["proxy"]) == ("sales/ada", "sales/asserted")
            assert found["iss"].endswith("/sales/asserted")
    private = json.loads(
        await asyncio.to_thread(
            cluster.kubectl, "get", "secret", "ostiary-default", "-n", "ostiary-system", "-o", "json"
        )
    )
    assert any(name.startswith("assertion-") for name in private["data"])


KINDS: dict[str, dict[str, Any]] = {
    "none": {},
    "bearer": {"bearer": {"secretRef": REFERENCE}},
    "header": {"header": {"name": "X-Api-Key", "secretRef": REFERENCE}},
    "client": {"clientCredentials": {}},
    "exchange": {"tokenExchange": {}},
    "assertion": {"identityAssertion": {}},
}


async def test_a_server_that_refuses_its_credential_is_a_condition_until_it_accepts_it_and_no_challenge_is_relayed(
    cluster: LocalCluster,
) -> None:
    async with asyncio.TaskGroup() as group:
        for kind in KINDS:
            group.create_task(refuse_and_accept(cluster, kind))


async def refuse_and_accept(cluster: LocalCluster, kind: str) -> None:
    """Have a server with this kind of credential refuse it, and accept it again."""
    server, name = Server(), f"refused-{kind}"
    reason = "UpstreamCredentialRefused" if KINDS[kind] else "UpstreamUnauthorized"
    server.refuses = True
    async with (
        served(cluster, name, server, **{part: dict(value) for part, value in KINDS[kind].items()}),
        mcp_caller(cluster.endpoint(0, path=f"/{name}")) as caller,
    ):
        reply = await caller.post(CALL, bearer("ada"))
        assert (reply.status, reply.error["data"]["reason"]) == (200, reason)
        assert "WWW-Authenticate" not in reply.headers
        assert "evil.example" not in reply.body.decode()
        found = await asyncio.to_thread(wait_for, cluster, name, "UpstreamHealthy", reason)
        assert found["status"] == "False"
        assert "server crm" in found["message"]
        assert "HTTP 401" in found["message"]
        server.refuses = False

        async def answers() -> bool:
            return "result" in (await caller.post(CALL, bearer("ada"))).json

        await eventually(answers)
        found = await asyncio.to_thread(wait_for, cluster, name, "UpstreamHealthy", "UpstreamHealthy")
        assert found["status"] == "True"
