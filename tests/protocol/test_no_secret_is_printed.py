"""No command prints a secret that is in its files, whatever is wrong with them.

Only `ostiary key create` shows one: its own, once.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from canaries import Canaries, objects_of
from command_line import Ostiary, ostiary_command

from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import resources_from_objects

PROXY: dict[str, Any] = {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPProxy"}
HOSTS = "crm.example.com, id.example.com"


def _secret(name: str, usage: str, values: dict[str, str], **annotations: str) -> dict[str, Any]:
    noted = {f"ostiary.dev/{key}": value for key, value in annotations.items()}
    metadata = {"name": name, "namespace": "default", "labels": {"ostiary.dev/usage": usage}, "annotations": noted}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


def _proxy(name: str, credential: dict[str, Any] | None = None, host: str = "crm.example.com") -> dict[str, Any]:
    server = {"name": "up", "url": f"https://{host}/mcp", **({"credential": credential} if credential else {})}
    return {**PROXY, "metadata": {"name": name, "namespace": "default"}, "spec": {"servers": [server]}}


def _reference(secret: str, key: str) -> dict[str, str]:
    return {"name": secret, "key": key}


def _objects(canaries: Canaries, *, is_broken: bool) -> Iterator[dict[str, Any]]:
    """Yield every kind of secret and what refers to it; with ``is_broken`` nothing of it can be used."""
    bad = "\tand a tab" if is_broken else ""
    expires = {"expires": "not a date"} if is_broken else {}
    yield _secret(
        "agent", "api-key", {"key": canaries.new("API key"), "key-next": canaries.new("next API key")}, **expires
    )
    yield _secret(
        "token",
        "credential",
        {"token": canaries.new("bearer") + bad, "value": canaries.new("header") + bad},
        hosts=HOSTS,
    )
    yield _secret(
        "client", "credential", {"secret": canaries.new("client secret") + bad}, hosts="" if is_broken else HOSTS
    )
    if is_broken:
        yield _secret("copy", "api-key", {"key": canaries.new("key with a space") + " "}, groups=",")
        yield from _misplaced(canaries)
    yield _proxy("bearer", {"bearer": {"secretRef": _reference("token", "token")}})
    yield _proxy("header", {"header": {"name": "X-Api-Key", "secretRef": _reference("token", "value")}})
    client = {"tokenEndpoint": "https://id.example.com/token", "clientId": "ostiary"}
    yield _proxy("client", {"clientCredentials": {**client, "clientSecretRef": _reference("client", "secret")}})
    yield _proxy(
        "foreign",
        {"bearer": {"secretRef": _reference("token", "token")}},
        "evil.example.com" if is_broken else "crm.example.com",
    )
    yield {
        **PROXY,
        "kind": "MCPPolicy",
        "metadata": {"name": "agents", "namespace": "default"},
        "spec": {
            "targetRefs": [{"kind": "MCPProxy", "name": "bearer"}],
            "authentication": {"apiKey": {"selector": {}}},
            "subjects": [{"consumers": ["agent"]}],
            "access": {"rules": [{"name": "read", "effect": "Allow", "tools": {"names": ["get_*"]}}]},
            "tests": [
                {
                    "name": "reads",
                    "as": {"consumer": "agent"},
                    "call": {"tool": "get_users"},
                    "expect": "Deny" if is_broken else "Allow",
                }
            ],
        },
    }


def _misplaced(canaries: Canaries) -> Iterator[dict[str, Any]]:
    """Yield objects with secrets in fields that are for something else."""
    value = canaries.new("secret in a credential without a reference")
    yield _proxy("pasted", {"bearer": {"secretRef": value}})
    yield _proxy(
        "unknown", {"bearer": {"secretRef": _reference("token", "token"), "value": canaries.new("unknown field")}}
    )
    header = _proxy("in-header")
    header["spec"]["servers"][0]["headers"] = [{"name": "Authorization", "value": canaries.new("constant header")}]
    yield header
    yield {**_secret("typed", "api-key", {}), "stringData": {"key": {"nested": canaries.new("nested value")}}}
    yield {**_secret("coded", "api-key", {}), "data": {"key": canaries.new("data that is not base64")}}
    yield {**_secret("listed", "credential", {}), "data": [canaries.new("list in place of data")]}


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)


@pytest.mark.parametrize("is_broken", [False, True], ids=["usable", "unusable"])
def test_no_command_prints_a_secret_of_its_files(ostiary: Ostiary, tmp_path: Path, *, is_broken: bool) -> None:
    canaries = Canaries()
    files, out = tmp_path / "files", tmp_path / "out"
    files.mkdir()
    (files / "all.yaml").write_text(yaml.safe_dump_all(list(_objects(canaries, is_broken=is_broken))))
    claims = tmp_path / "claims.json"
    claims.write_text(json.dumps({"iss": "https://id.example.com", "sub": canaries.new("claim of a caller")}))
    explain = ["explain", "--proxy", "bearer", "--tool", "get_users"]
    arguments = json.dumps({"password": canaries.new("argument of a call")})
    commands = [
        ["validate", "--strict", str(files)],
        ["validate", "-o", "json", str(files)],
        ["test", str(files)],
        ["test", "-o", "json", str(files)],
        ["access", str(files)],
        ["access", "-o", "json", str(files)],
        ["access", "-o", "markdown", str(files)],
        [*explain, "--consumer", "agent", "--args", arguments, str(files)],
        [*explain, "--as", str(claims), "-o", "json", "--args", arguments, str(files)],
        ["compile", str(files), "--out", str(out)],
        ["status", "--kubeconfig", str(files / "all.yaml")],
    ]
    outputs: dict[str, str | bytes] = {}
    for number, command in enumerate(commands):
        result = ostiary(*command)
        outputs[f"{number}: {command[0]} {result.code}"] = result.out + result.err
    outputs |= {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file() and "keys" not in str(path)}

    assert any(result.startswith(str(out)) for result in outputs) is not is_broken
    assert canaries.shown_in(outputs) == []


@pytest.mark.parametrize("is_broken", [False, True], ids=["usable", "unusable"])
def test_no_config_status_or_event_of_the_operator_contains_a_secret(*, is_broken: bool) -> None:
    canaries = Canaries()
    objects = list(_objects(canaries, is_broken=is_broken))
    for item in objects:
        item["metadata"]["uid"] = item["metadata"]["name"]
    compiled = compile_resources(resources_from_objects(objects, "ostiary-system"), {})
    shown = dict(objects_of("ostiary_operator")) | dict(objects_of("ostiary_core"))

    assert canaries.shown_in({"repr of the result": repr(compiled), **shown}) == []


def test_whoami_shows_no_credential_when_it_reaches_no_gateway(ostiary: Ostiary, tmp_path: Path) -> None:
    canaries = Canaries()
    file = tmp_path / "key"
    file.write_text(canaries.new("key in a file"))
    broken = tmp_path / "broken"
    broken.write_text(canaries.new("first line of a file") + "\n\n" + canaries.new("second line of a file"))
    password, query = canaries.new("password in the URL"), canaries.new("key in the query")
    commands = [
        ["--key-file", str(file), "http://127.0.0.1:1/a/mcp"],
        ["--key-file", str(broken), "http://127.0.0.1:1/a/mcp"],
        ["--key-file", str(file), f"http://user:{quote(password, safe='')}@127.0.0.1:1/a/mcp"],
        [f"http://127.0.0.1:1/a/mcp?api_key={quote(query, safe='')}"],
    ]
    results = [ostiary("whoami", *command) for command in commands]
    assert all(result.code != 0 for result in results)
    outputs: dict[str, str | bytes] = {str(number): f"{it.out} {it.err}" for number, it in enumerate(results)}
    assert canaries.shown_in(outputs) == []


def test_a_file_that_is_no_yaml_is_reported_without_its_text(ostiary: Ostiary, tmp_path: Path) -> None:
    canaries = Canaries()
    texts = {
        "indented.yaml": f"kind: Secret\ndata:\n  key: {canaries.new('before')}\n broken: [{canaries.new('in')}\n",
        "tagged.yaml": f"kind: Secret\nstringData: !secret {canaries.new('tagged')}\n",
        "repeated.yaml": f"kind: Secret\nkey: {canaries.new('first')}\nkey: {canaries.new('second')}\n",
        "quoted.yaml": f'kind: Secret\nkey: "{canaries.new("quoted")}\\q"\n',
        "text.yaml": canaries.new("text alone"),
    }
    outputs: dict[str, str | bytes] = {}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        for command in (["validate"], ["test"], ["compile", "--out", str(tmp_path / "out")]):
            result = ostiary(*command, str(tmp_path / name))
            outputs[f"{command[0]} {name}"] = result.out + result.err
    assert canaries.shown_in(outputs) == []


def test_a_new_key_is_printed_to_the_owner_alone(ostiary: Ostiary) -> None:
    result = ostiary("key", "create", "support-agent", "--groups", "support")

    manifest = yaml.safe_load(result.out)
    [key] = {**manifest.get("stringData", {}), **manifest.get("data", {})}.values()
    canaries = Canaries()
    canaries.add("the key", key)
    without = {**manifest, "stringData": None, "data": None}
    lines = [line for line in result.err.splitlines() if canaries.shown_in({"line": line})]
    assert canaries.shown_in({"the rest of the manifest": json.dumps(without)}) == []
    assert len(lines) <= 1
