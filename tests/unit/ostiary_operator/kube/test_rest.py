import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from ostiary_operator.compile.resource_parser import EncodedResource, from_json
from ostiary_operator.kube.errors import (
    Busy,
    ClusterError,
    Conflict,
    Forbidden,
    Invalid,
    KindMissing,
    NotFound,
    Unauthorized,
    Unreachable,
)
from ostiary_operator.kube.kinds import CONFIG_MAP, NAMESPACE, PROXY
from ostiary_operator.kube.rest import RestClient

Answer = Callable[[web.Request], Awaitable[web.Response] | web.Response]


@asynccontextmanager
async def api_server(*answers: Answer) -> AsyncIterator[tuple[RestClient, list[web.Request]]]:
    """Answers one request after the other; the last answer is for all that follow."""
    requests: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        requests.append(request)
        answer = answers[min(len(requests), len(answers)) - 1](request)
        return answer if isinstance(answer, web.Response) else await answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    tokens = iter(range(1, 100))

    async def configure() -> Configuration:
        host = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return Configuration(host=host, api_key={"BearerToken": f"Bearer token-{next(tokens)}"})

    cluster = RestClient(configure)
    try:
        yield cluster, requests
    finally:
        await cluster.close()
        await runner.cleanup()


def ok(body: object) -> Answer:
    return lambda _: web.json_response(body)


def status(code: int, message: str = "", **headers: str) -> Answer:
    body = orjson.dumps({"kind": "Status", "code": code, "message": message})
    return lambda _: web.Response(status=code, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def page(*names: str, next_page: str = "") -> Answer:
    return ok({"metadata": {"continue": next_page}, "items": [{"metadata": {"name": name}} for name in names]})


async def test_a_list_is_consistent_and_takes_all_pages() -> None:
    async with api_server(page("a", "b", next_page="token"), page("c")) as (cluster, requests):
        found = await cluster.list(CONFIG_MAP, namespace="tools", selector="ostiary.dev/usage")
    assert [each["metadata"]["name"] for each in found] == ["a", "b", "c"]
    assert {each["kind"] for each in found} == {"ConfigMap"}
    assert requests[0].path == "/api/v1/namespaces/tools/configmaps"
    assert dict(requests[0].query) == {"limit": "100", "labelSelector": "ostiary.dev/usage"}
    assert requests[1].query["continue"] == "token"


async def test_a_list_whose_next_page_expired_begins_again() -> None:
    async with api_server(page("a", next_page="old"), status(410), page("a", next_page="new"), page("b")) as (
        cluster,
        _,
    ):
        assert len(await cluster.list(PROXY)) == 2


def versioned(version: str) -> Answer:
    return ok({"metadata": {}, "items": [{"metadata": {"name": "a", "uid": "u", "resourceVersion": version}}]})


async def test_what_did_not_change_since_the_last_list_is_the_same_object() -> None:
    async with api_server(versioned("1"), versioned("1"), versioned("2")) as (cluster, _):
        first, second, third = [(await cluster.list(PROXY))[0] for _ in range(3)]
    assert second is first
    assert third is not first
    assert third["metadata"]["resourceVersion"] == "2"


def generation(number: int, *, version: str, spec: str) -> Answer:
    metadata = {"name": "a", "uid": "u", "resourceVersion": version, "generation": number}
    return ok({"metadata": {}, "items": [{"metadata": metadata, "spec": {"path": spec}}]})


async def test_what_the_compiler_judges_is_kept_as_text_and_the_same_text_until_it_changes() -> None:
    answers = [
        generation(1, version="1", spec="/a"),
        generation(1, version="2", spec="/a"),
        generation(2, version="3", spec="/b"),
    ]
    async with api_server(*answers) as (cluster, _):
        first, second, third = [(await cluster.list(PROXY))[0] for _ in range(3)]
    assert isinstance(first, EncodedResource)
    assert isinstance(second, EncodedResource)
    assert isinstance(third, EncodedResource)
    assert "spec" not in first
    assert second.content is first.content
    assert second["metadata"]["resourceVersion"] == "2"
    assert from_json(third.content)["spec"] == {"path": "/b"}


async def test_a_namespace_that_is_listed_alone_replaces_only_its_own_objects() -> None:
    def listed(**versions: str) -> Answer:
        items = [
            {"metadata": {"name": name, "namespace": name, "uid": name, "resourceVersion": version}, "spec": {}}
            for name, version in versions.items()
        ]
        return ok({"metadata": {}, "items": items})

    async with api_server(listed(a="1", b="1"), listed(a="2"), listed(a="2", b="1")) as (cluster, _):
        whole = await cluster.list(PROXY)
        (part,) = await cluster.list(PROXY, namespace="a")
        again = await cluster.list(PROXY)
    assert again[0] is part
    assert again[1] is whole[1]


async def test_unused_fields_are_dropped() -> None:
    item = {"metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}]}, "spec": {}}
    async with api_server(ok({"metadata": {}, "items": [item]})) as (cluster, _):
        assert (await cluster.list(PROXY))[0]["metadata"] == {"name": "a"}


async def test_the_error_about_a_missing_crd_names_the_command_that_installs_it() -> None:
    async with api_server(status(404)) as (cluster, _):
        with pytest.raises(KindMissing, match="kubectl apply -f crds/"):
            await cluster.list(PROXY)
        with pytest.raises(NotFound):
            await cluster.get(NAMESPACE, name="none")


async def test_an_apply_is_forced_and_names_its_manager() -> None:
    async with api_server(ok({"metadata": {}})) as (cluster, requests):
        body = {"metadata": {"name": "a", "namespace": "tools"}, "data": {"k": "v"}}
        await cluster.apply(CONFIG_MAP, body, manager="ostiary-operator/config")
        await cluster.apply_status(PROXY, {**body, "status": {}}, manager="ostiary-operator/proxy-status")
    first, second = requests
    assert (first.method, first.content_type) == ("PATCH", "application/apply-patch+yaml")
    assert dict(first.query) == {"fieldManager": "ostiary-operator/config", "force": "true"}
    assert orjson.loads(await first.read())["apiVersion"] == "v1"
    assert second.path == "/apis/ostiary.dev/v1alpha1/namespaces/tools/mcpproxies/a/status"


@pytest.mark.parametrize(
    ("code", "error"), [(403, Forbidden), (409, Conflict), (422, Invalid), (413, Invalid), (500, Busy), (404, NotFound)]
)
async def test_every_refusal_has_its_class_and_the_servers_words(code: int, error: type[ClusterError]) -> None:
    async with api_server(status(code, "the reason")) as (cluster, _):
        with pytest.raises(error, match=f"apply configmaps tools/a: {code}: the reason"):
            await cluster.apply(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "tools"}}, manager="m")


@pytest.mark.parametrize("code", [429, 503])
async def test_a_busy_api_server_is_asked_again_after_its_retry_after(code: int) -> None:
    async with api_server(status(code, Retry_After="0.2"), ok({"metadata": {"name": "a"}})) as (cluster, requests):
        began = time.monotonic()
        await cluster.get(CONFIG_MAP, name="a", namespace="tools")
        assert time.monotonic() - began >= 0.2
    assert len(requests) == 2


async def test_a_write_that_may_have_been_done_is_not_repeated() -> None:
    async with api_server(status(503)) as (cluster, requests):
        with pytest.raises(Busy):
            await cluster.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "tools"}})
    assert len(requests) == 1


async def test_refused_credentials_are_read_again_once() -> None:
    async with api_server(status(401), ok({"metadata": {}})) as (cluster, requests):
        await cluster.get(CONFIG_MAP, name="a", namespace="tools")
    assert [each.headers["Authorization"] for each in requests] == ["Bearer token-1", "Bearer token-2"]


async def test_credentials_that_stay_refused_are_an_error_without_them_in_it() -> None:
    async with api_server(status(401, "Unauthorized")) as (cluster, _):
        with pytest.raises(Unauthorized) as caught:
            await cluster.get(CONFIG_MAP, name="a", namespace="tools")
    assert "token-" not in str(caught.value)


async def test_a_missing_server_is_reported() -> None:
    async def configure() -> Configuration:
        return Configuration(host="http://127.0.0.1:1")

    cluster = RestClient(configure)
    with pytest.raises(Unreachable, match=r"the API server at http://127\.0\.0\.1:1 does not answer"):
        await cluster.list(PROXY)
    await cluster.close()


async def test_names_cannot_leave_their_place_in_the_path() -> None:
    async with api_server(ok({"metadata": {}})) as (cluster, requests):
        await cluster.get(CONFIG_MAP, name="../secrets/x", namespace="tools")
    assert requests[0].raw_path == "/api/v1/namespaces/tools/configmaps/..%2Fsecrets%2Fx"
