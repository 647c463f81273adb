"""The gateway over TLS: calls, sessions and streams, and a certificate that is renewed under them."""

import time
from pathlib import Path

import aiohttp
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import legacy, mcp_caller, modern
from prometheus_client.parser import text_string_to_metric_families
from tls_secrets import MountedSecret

from ostiary_gateway.server.certificate import Certificate

DENY = {"name": "no-deletions", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["delete_user"]}}


async def test_what_is_allowed_and_denied_is_so_over_tls(mock: str, tmp_path: Path) -> None:
    secret = MountedSecret(tmp_path)
    secret.renew("localhost")
    async with running_gateway(tls=secret.files) as gateway:
        await gateway.apply(gateway.entry("mock", mock, [policy("p", DENY)]))
        url = gateway.url().replace("http://", "https://")
        async with mcp_caller(url, authority=secret.authority) as caller:
            allowed = await caller.post(modern("tools/call", {"name": "get_users", "arguments": {"limit": 1}}))
            assert (allowed.status, allowed.result.get("isError")) == (200, False)
            denied = await caller.post(modern("tools/call", {"name": "delete_user", "arguments": {"user_id": 1}}))
            assert (denied.status, denied.result["isError"]) == (200, True)


async def test_a_session_and_its_stream_outlive_a_renewal(mock: str, tmp_path: Path) -> None:
    secret, both = MountedSecret(tmp_path), tmp_path / "both.crt"
    secret.renew("localhost")
    first = secret.authority.read_bytes()
    renewed = secret.draft("localhost")
    both.write_bytes(first + secret.authority.read_bytes())
    async with running_gateway(tls=secret.files) as gateway:
        await gateway.apply(gateway.entry("mock", mock))
        url = gateway.url().replace("http://", "https://")
        async with mcp_caller(url, authority=both) as caller:
            await caller.initialize()
            async with caller.listen() as stream:
                secret.place(renewed)
                await renewal_of(gateway).poll()
                async with mcp_caller(url, authority=secret.authority) as newcomer:  # is shown the new one, or fails
                    newcomer.session = caller.session
                    assert len((await newcomer.post(legacy("tools/list"))).result["tools"]) == 15
                assert len((await caller.post(legacy("tools/list"))).result["tools"]) == 15
                assert stream.status == 200
                stream.drop()


async def test_metrics_state_when_the_certificate_expires_and_that_a_renewal_failed(tmp_path: Path) -> None:
    secret = MountedSecret(tmp_path)
    secret.renew("localhost")
    async with running_gateway(tls=secret.files) as gateway:
        before = await metrics(gateway)
        assert before["ostiary_certificate_expiry_timestamp_seconds"] > time.time() + 24 * 3600
        secret.place({})
        await renewal_of(gateway).poll()
        after = await metrics(gateway)
    assert (before["ostiary_certificate_rejected"], after["ostiary_certificate_rejected"]) == (0, 1)


async def metrics(gateway: RunningGateway) -> dict[str, float]:
    async with aiohttp.ClientSession() as http:
        text = await (await http.get(f"http://127.0.0.1:{gateway.app.admin_port}/metrics")).text()
    return {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}


def renewal_of(gateway: RunningGateway) -> Certificate:
    (found,) = (source for source in gateway.app.sources if isinstance(source, Certificate))
    return found
