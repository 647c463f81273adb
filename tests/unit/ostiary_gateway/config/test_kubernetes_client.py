"""The small Kubernetes client: what it tells apart, and how it notices a server that is gone."""

import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from endpoint_slices import NAMESPACE
from fake_api import fake_api

from ostiary_gateway.config.kubernetes_client import KubernetesApi, _probed_socket
from ostiary_gateway.errors import ApiForbidden, ConfigUnavailable
from ostiary_gateway.options import KubernetesOptions

SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"


async def test_a_missing_right_is_told_from_every_other_fault(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(fake_api(tmp_path))
        options = KubernetesOptions(api.url, api.token_file, api.ca_file)
        client = await stack.enter_async_context(KubernetesApi(options))
        assert (await client.get(SLICES, {}))["items"] == []
        api.slices.forbidden.add(NAMESPACE)
        with pytest.raises(ApiForbidden, match="403"):
            await client.get(SLICES, {})
        api.tokens.clear()
        with pytest.raises(ConfigUnavailable, match="401") as caught:
            await client.get(SLICES, {})
        assert not isinstance(caught.value, ApiForbidden)


def test_a_silent_connection_is_probed_since_a_watch_may_be_silent_for_minutes() -> None:
    with _probed_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ())) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        idle, interval, count = (made.getsockopt(socket.IPPROTO_TCP, getattr(socket, each)) for each in options)
    assert idle + interval * count <= 30
