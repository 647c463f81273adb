"""Requests to Pods through the API server."""

import pytest
from aiohttp import web
from pod_proxies import PATH, POD, pod_proxying, status

from ostiary_operator.kube.errors import Busy, Forbidden, NotFound, Unauthorized, Unreachable
from ostiary_operator.kube.pod_proxy import PodAnswered, PodPort


async def test_a_pod_is_asked_at_its_port_and_the_bearer_is_for_the_api_server() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.raw_path == f"{PATH}/evidence/calls?limit=1"
        assert (request.headers["Authorization"], request.headers["Mine"]) == ("Bearer login-1", "yes")
        return web.Response(text="calls")

    async with pod_proxying(handler) as (proxy, _):
        headers, query = {"Mine": "yes"}, {"limit": "1"}
        async with await proxy.get(POD, "/evidence/calls", query=query, headers=headers) as response:
            assert await response.text() == "calls"


def test_no_name_leads_to_another_path() -> None:
    assert PodPort("a/b", "../c?d", 1).path("/e") == "/api/v1/namespaces/a%2Fb/pods/..%2Fc%3Fd:1/proxy/e"


@pytest.mark.parametrize(("code", "error"), [(403, Forbidden), (404, NotFound), (503, Busy), (500, Busy)])
async def test_errors_of_the_api_server_are_told_from_those_of_the_pod(code: int, error: type[Exception]) -> None:
    async def handler(request: web.Request) -> web.Response:
        return status(code, "Something") if request.path.endswith("/own") else web.Response(status=code, text="{}")

    async with pod_proxying(handler) as (proxy, _):
        with pytest.raises(error, match="pods is Something"):
            await proxy.get(POD, "/own", query={}, headers={})
        with pytest.raises(PodAnswered) as answered:
            await proxy.get(POD, "/pod", query={}, headers={})
        assert (answered.value.status, answered.value.content) == (code, b"{}")


async def test_rejected_credentials_are_read_again_once() -> None:
    accepted = "Bearer login-2"

    async def handler(request: web.Request) -> web.Response:
        is_good = request.headers["Authorization"] == accepted
        return web.Response() if is_good else status(401, "Unauthorized")

    async with pod_proxying(handler) as (proxy, logins):
        (await proxy.get(POD, "/x", query={}, headers={})).close()
        accepted = "none"
        with pytest.raises(Unauthorized):
            await proxy.get(POD, "/x", query={}, headers={})
        assert logins.number == 3


async def test_no_cookie_of_a_pod_comes_along_and_no_redirect_is_followed() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert "Cookie" not in request.headers
        response = web.Response(status=302, headers={"Location": "/api/v1/secrets"})
        response.set_cookie("session", "of-the-pod")
        return response

    async with pod_proxying(handler) as (proxy, _):
        for _ in range(2):
            with pytest.raises(PodAnswered, match="302"):
                await proxy.get(POD, "/x", query={}, headers={})


async def test_an_api_server_that_is_away_is_named() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    async with pod_proxying(handler) as (proxy, logins):
        logins.host = "http://127.0.0.1:1"
        with pytest.raises(Unreachable, match=r"the API server at http://127\.0\.0\.1:1 does not answer"):
            await proxy.get(POD, "/x", query={}, headers={})
