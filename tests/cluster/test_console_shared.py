"""A console for several people, with exactly the rights that the chart gives it, on a real API server."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from aiohttp import ClientSession, CookieJar
from authorization_server import AuthorizationServer, authorization_server
from charts import CHART, render
from headless_browser import HeadlessBrowser
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.console.access.oidc.sign_in import CALLBACK
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import wait_until

pytestmark = pytest.mark.node
_ROLES = frozenset({"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})
SECRET = "canary-secret-of-the-console"


@dataclass
class SharedConsole:
    """A console process, and two namespaces with an MCPProxy `crm` each; `looks` of each observes its own."""

    control_plane: ControlPlane
    provider: AuthorizationServer
    url: str
    log: Path
    system: str
    own: str
    other: str

    def token(self, namespace: str) -> str:
        return self.control_plane.service_account_token(namespace, "looks")

    async def get(self, path: str, token: str) -> tuple[int, str]:
        async with ClientSession(self.url) as http:
            response = await http.get(path, headers={"Authorization": f"Bearer {token}"})
            return response.status, await response.text()

    async def proxies(self, token: str) -> str:
        """The first page's twin, once it is there."""
        status, text = await self.get("/index.json", token)
        return text if status == 200 else ""


@pytest.fixture(scope="module")
def provider() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        yield running


@pytest.fixture
def console(
    control_plane: ControlPlane, new_namespace: Callable[..., str], provider: AuthorizationServer, tmp_path: Path
) -> Iterator[SharedConsole]:
    control_plane.apply_crds(CHART.parents[1] / "crds")
    system, own, other, port = new_namespace(), new_namespace(), new_namespace(), reserve_port()
    url = f"http://127.0.0.1:{port}"
    objects = render("--set", f"console.enabled=true,console.externalURL={url}", release=system, namespace=system)
    roles = yaml.safe_dump_all([each for each in objects if each["kind"] in _ROLES])
    control_plane.kubectl("create", "-f", "-", input=roles)
    for namespace in (own, other):
        _populate(control_plane, namespace, role=f"{system}-ostiary-observer", user=f"{provider.issuer}#{namespace}")
    provider.add_client(system, secret=SECRET, redirect=f"{url}{CALLBACK}")
    (tmp_path / "secret").write_text(SECRET)
    command = [sys.executable, "-m", "ostiary_operator.cli", "console", "--port", str(port), "--external-url", url]
    command += ["--kubeconfig", str(control_plane.kubeconfig_for_service_account(system, f"{system}-ostiary-console"))]
    command += ["--operator-namespace", system, "--accept-tokens", "--oidc-signing-alg", "ES256"]
    command += ["--oidc-issuer", provider.issuer, "--oidc-client-id", system]
    command += ["--oidc-client-secret-file", str(tmp_path / "secret")]
    log = tmp_path / "log"
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            wait_until(lambda: process.poll() is not None or "serves" in log.read_text(), what="the console to serve")
            yield SharedConsole(control_plane, provider, url, log, system, own, other)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_SECONDS) == 0, log.read_text()
            control_plane.kubectl("delete", "-f", "-", input=roles)


def _populate(control_plane: ControlPlane, namespace: str, *, role: str, user: str) -> None:
    control_plane.kubectl("create", "serviceaccount", "looks", "-n", namespace)
    bind = ("create", "rolebinding", "looks", f"--clusterrole={role}", f"--serviceaccount={namespace}:looks")
    control_plane.kubectl(*bind, f"--user={user}", "-n", namespace)
    proxy: dict[str, Any] = {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "crm", "namespace": namespace},
        "spec": {"servers": [{"name": "main", "url": "http://crm.example:8000/mcp"}]},
    }
    control_plane.kubectl("create", "-f", "-", input=json.dumps(proxy))


async def test_each_viewer_sees_their_own_namespace_and_nothing_of_the_other(console: SharedConsole) -> None:
    own, other = console.token(console.own), console.token(console.other)

    async def each_sees_its_own() -> bool:
        return console.own in await console.proxies(own) and console.other in await console.proxies(other)

    await eventually(each_sees_its_own)
    assert console.other not in await console.proxies(own)
    assert console.own not in await console.proxies(other)
    page = await console.get(f"/proxies/{console.own}/crm.json", own)
    assert page[0] == 200
    hidden = await console.get(f"/proxies/{console.other}/crm.json", own)
    missing = await console.get(f"/proxies/{console.other}/none.json", own)
    assert (hidden[0], hidden[1].replace("crm", "none")) == missing
    assert missing[0] == 404


async def test_one_who_may_see_nothing_is_signed_in_and_sees_nothing(console: SharedConsole) -> None:
    outsider = console.control_plane.service_account_token(console.own, "default")
    status, text = await console.get("/index.json", outsider)
    assert status == 200
    assert console.own not in text
    assert console.other not in text
    assert (await console.get("/index.json", "no-token"))[0] == 401


async def test_a_person_signs_in_at_the_identity_provider_and_has_the_rights_of_their_role_binding(
    console: SharedConsole,
) -> None:
    async with ClientSession(
        console.url, cookie_jar=CookieJar(unsafe=True), headers={"Accept": "text/html"}
    ) as browser:
        begun = await browser.get(f"/sign-in?to=/proxies/{console.own}/crm", allow_redirects=False)
        person = HeadlessBrowser(console.own, redirect=f"{console.url}{CALLBACK}")
        answer = await person.follow(begun.headers["Location"])
        await browser.get(f"{CALLBACK}?{urlencode(answer)}", allow_redirects=False)

        async def sees_the_proxy() -> bool:
            return f"{console.own}/crm" in await (await browser.get("/")).text()

        await eventually(sees_the_proxy)
        assert console.other not in await (await browser.get("/")).text()
    for secret in [SECRET, *console.provider.issued()]:
        assert secret not in console.log.read_text()


async def test_who_looks_at_calls_is_in_the_log_and_no_token_is(console: SharedConsole) -> None:
    token = console.token(console.own)
    await console.get(f"/calls.json?proxy={console.own}/crm", token)
    records = [json.loads(line) for line in console.log.read_text().splitlines() if line.startswith("{")]
    found = [each for each in records if each.get("kind") == "ConsoleRequest"]
    assert [each["stage"] for each in found] == ["RequestReceived", "ResponseComplete"]
    assert found[0]["user"]["username"] == f"system:serviceaccount:{console.own}:looks"
    assert found[0]["requestURI"] == f"/calls.json?proxy={console.own}/crm"
    assert token not in console.log.read_text()
