"""The wizard as requests meet it: forms in, the page or its twin out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from console_sources import Objects, proxy
from console_viewers import ChosenRights, OneViewer
from evidence_replicas import NoEvidence

from ostiary_core.evidence.recorded_call import RecordedCall
from ostiary_operator.api.objects import ReadOnlyObject
from ostiary_operator.console.access.rights import AllRights, Right, ViewerRights
from ostiary_operator.console.application import ConsoleParts, application
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.pages.new_proxy import NEW_PROXY
from ostiary_operator.console.sources.protocols import ConsoleSources
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.proxy_scope import ProxyScope
from ostiary_operator.view.evidence.reader import MOST_SHOWN, ObservedCall, ObservedCalls

Client = TestClient[web.Request, web.Application]
URL = {"gateway": "ostiary-system/default", "url": "https://mcp.example.com/default/crm/mcp"}
FOUND: Sequence[ReadOnlyObject] = (proxy("crm", urls=[URL]), proxy("secret-plans"))
ONLY_CRM = ChosenRights(dict.fromkeys(Right, frozenset({"default/crm"})))
SECRET = "/default/secret-plans"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@asynccontextmanager
async def console(
    rights: ViewerRights | None = None,
    found: Sequence[ReadOnlyObject] = FOUND,
    evidence: NoEvidence | None = None,
) -> AsyncIterator[Client]:
    sources = ConsoleSources(Objects(found), evidence or NoEvidence())
    parts = ConsoleParts(ConsoleOptions(), OneViewer(rights or AllRights()), sources, (NEW_PROXY,))
    async with TestClient(TestServer(application(parts))) as client:
        yield client


def test_it_is_the_page_for_newcomers() -> None:
    assert (NEW_PROXY.path, NEW_PROXY.title) == ("/new", "New proxy")


async def test_three_steps_lead_to_yaml_and_each_keeps_what_was_typed_before() -> None:
    async with console() as client:
        fields = {"step": "1", "go": "next", "name": "tickets", "namespace": "sales", "description": "Two\r\nlines"}
        first = await (await client.post("/new.json", data=fields)).json()
        assert (first["step"], first["path"]) == (2, "/sales/tickets/mcp")
        assert first["urls"] == ["https://mcp.example.com/sales/tickets/mcp"]
        sent = {**first["form"], "step": "2", "go": "next", "serviceName": "tickets-mcp", "servicePort": "8080"}
        second = await (await client.post("/new.json", data=sent)).json()
        sent = {**second["form"], "step": "3", "go": "next", "access": "Open"}
        third = await (await client.post("/new.json", data=sent)).json()
    assert (third["step"], third["isValid"], third["findings"]) == (4, True, [])
    assert "  description: |-\n    Two\n    lines\n" in third["text"]
    assert "effect: Allow" in third["text"]


async def test_a_file_is_downloaded_under_the_name_of_the_proxy() -> None:
    async with console() as client:
        sent = {"step": "4", "go": "download", "name": "tickets", "url": "http://a.example/mcp", "place": "URL"}
        response = await client.post("/new", data=sent)
        assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''tickets.yaml"
        assert (await response.text()).startswith("apiVersion: ostiary.dev/v1alpha1\nkind: MCPProxy\n")


async def test_the_page_can_be_prefilled_by_its_url() -> None:
    async with console() as client:
        text = await (await client.get("/new", params={"name": "tickets", "namespace": "sales"})).text()
        assert 'value="tickets"' in text
        assert "/sales/tickets/mcp" in text


@pytest.mark.parametrize("identity", ["default/secret-plans", "default/no-such-proxy"])
async def test_a_proxy_that_the_viewer_may_not_see_is_as_one_that_does_not_exist(identity: str) -> None:
    async with console(ONLY_CRM) as client:
        response = await client.get("/new.json", params={"proxy": identity})
        assert response.status == 404
        assert (await response.json())["message"] == f"there is no MCPProxy {identity} that you may see"


async def test_nothing_of_others_changes_what_the_wizard_says() -> None:
    sent = {"name": "a", "path": SECRET, "url": "http://a.example/mcp", "place": "URL", "step": "2"}
    answers = []
    for found in ([proxy("crm", urls=[URL]), proxy("secret-plans")], [proxy("crm", urls=[URL])]):
        async with console(ONLY_CRM, found) as client:
            fields = {**sent, "usedBy": SECRET.removeprefix("/"), "access": "Used"}
            answers.append(await (await client.post("/new.json", data=fields)).text())
    assert answers[0] == answers[1]


async def test_a_path_of_a_proxy_that_the_viewer_sees_is_taken() -> None:
    async with console() as client:
        sent = {"name": "a", "path": "/default/crm", "step": "1", "go": "next"}
        model = await (await client.post("/new.json", data=sent)).json()
    assert (model["step"], list(model["problems"])) == (1, ["path"])


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "\u202etxt.exe",
    "\x1b[2J",
    "a" * 2000,
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_whatever_is_typed_is_shown_and_never_markup(text: str) -> None:
    names = ["name", "namespace", "description", "path", "serviceName", "servicePort", "url", "reference", "secretName"]
    async with console() as client:
        for step in "1234":
            for place in ("Service", "URL", "Reference"):
                sent = {**dict.fromkeys(names, text), "place": place, "credential": "Bearer", "step": step, "go": step}
                body = urlencode({**sent, f"gateway:{text}": "on", "gatewaysSent": "1"})
                response = await client.post("/new", data=body, headers=FORM)
                page = await response.text()
                assert response.status == 200
                assert "<script>alert" not in page
                assert "<img src=x" not in page
                assert 'href="javascript:' not in page


async def test_a_form_of_another_kind_is_refused_and_not_an_error_of_ours() -> None:
    async with console() as client:
        assert (await client.post("/new", json={"name": "a"})).status == 400
        assert (await client.post("/new", data={"step": "99"})).status == 400
        assert (await client.post("/new", data={"go": "check", "yaml": "#" * 40_000})).status == 400
        assert (await client.post("/new", data={"yaml": "#" * 300_000})).status == 413


async def test_nothing_that_is_typed_is_connected_to() -> None:
    asked: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    typed = web.Application()
    typed.router.add_route("*", "/{path:.*}", serve)
    async with TestServer(typed) as server, console() as client:
        for step in "1234":
            url = str(server.make_url("/mcp"))
            sent = {"name": "a", "description": url, "place": "URL", "url": url, "step": step, "go": step}
            model = await (await client.post("/new.json", data=sent)).json()
            assert model["isValid"]
    assert asked == []


async def test_yaml_of_the_viewer_is_judged_by_line_and_field() -> None:
    async with console() as client:
        yaml = "apiVersion: ostiary.dev/v1alpha1\nkind: MCPProxy\nmetadata: {name: a}\nspec:\n  servers: []"
        sent = {"go": "check", "step": "4", "name": "a", "yaml": yaml}
        model = await (await client.post("/new.json", data=sent)).json()
    assert [(each["line"], each["field"]) for each in model["findings"]] == [(5, "spec.servers")]


class OneCall(NoEvidence):
    """Evidence of one call."""

    def __init__(self, principal: str) -> None:
        self._call = RecordedCall(
            number=1, at=1, proxy="default/crm", method="tools/call", name="get_ticket", principal=principal
        )

    async def calls(self, scope: ProxyScope, *, limit: int = MOST_SHOWN) -> Gathered[ObservedCalls]:
        del scope, limit
        return Gathered(ObservedCalls((ObservedCall("g", "r", self._call),)), 1, 1)


@pytest.mark.parametrize(("principal", "is_said"), [("default/bot", True), ("", False)])
async def test_policies_for_consumers_come_with_the_word_that_authentication_must_know_them(
    principal: str, is_said: bool
) -> None:
    sent = {"name": "new", "url": "http://a.example/mcp", "place": "URL", "access": "Used", "usedBy": "default/crm"}
    async with console(evidence=OneCall(principal)) as client:
        page = await (await client.post("/new", data={**sent, "step": "3", "go": "3"})).text()

    assert "1 name was used" in page
    assert ("give this proxy a policy with <code>authentication</code>" in page) is is_said


async def test_a_finding_and_its_remedy_are_one_sentence() -> None:
    async with console() as client:
        page = await (await client.post("/new", data={"step": "1", "go": "next", "name": "New"})).text()

    assert "</code>: is not the name of a Kubernetes object; use lower-case letters" in page
    assert "such as my-server.</li>" in page
