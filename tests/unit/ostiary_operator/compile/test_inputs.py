import base64
from typing import Any

import pytest

from ostiary_operator.api.yaml_reader import read_documents
from ostiary_operator.compile.inputs import InvalidObject, references_from_objects, resources_from_objects
from ostiary_operator.compile.model import Missing, ReferenceKey

Made = dict[str, Any]


def made(kind: str, name: str, namespace: str | None = None, labels: dict[str, str] | None = None, **rest: Any) -> Made:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"kind": kind, "metadata": {key: value for key, value in metadata.items() if value}, **rest}


def proxy(name: str, secret: str) -> Made:
    tls = {"caCertificateRefs": [{"kind": "Secret", "name": secret}]}
    spec = {"servers": [{"name": "s", "url": "https://s.example.com/mcp", "tls": tls}]}
    return made("MCPProxy", name, "team-a", spec=spec)


def test_a_list_is_opened_and_other_kinds_are_passed_over() -> None:
    items = [
        made("MCPProxy", "a", "x"),
        made("Deployment", "d", "x"),
        {"kind": "List", "items": [made("MCPPolicy", "p")]},
    ]

    resources = resources_from_objects([{"kind": "List", "items": items}], "sys")

    assert [item["metadata"]["name"] for item in resources.proxies] == ["a"]
    assert [item["metadata"]["name"] for item in resources.policies] == ["p"]


def test_namespaces_exist_by_being_used() -> None:
    objects = [
        made("MCPProxy", "a", "team-a"),
        made("MCPProxy", "b"),
        made("Namespace", "team-c", labels={"env": "prod"}),
    ]

    assert resources_from_objects(objects, "sys").namespaces == {
        "team-a": {"kubernetes.io/metadata.name": "team-a"},
        "default": {"kubernetes.io/metadata.name": "default"},
        "team-c": {"kubernetes.io/metadata.name": "team-c", "env": "prod"},
    }


def test_of_secrets_only_those_enter_that_a_proxy_refers_to() -> None:
    other = made("Secret", "other", "team-a", {"ostiary.dev/usage": "ca"}, stringData={"password": "hush"})
    usable = made(
        "Secret", "ca", "team-a", {"ostiary.dev/usage": "ca"}, data={"ca.crt": base64.b64encode(b"PEM").decode()}
    )
    unlabelled = made("Secret", "plain", "team-a", stringData={"ca.crt": "PEM"})

    resources = resources_from_objects([proxy("a", "ca"), proxy("b", "plain"), other, usable, unlabelled], "sys")

    assert resources.references == {
        ReferenceKey("Secret", "team-a", "ca"): {"ca.crt": "PEM"},
        ReferenceKey("Secret", "team-a", "plain"): Missing.NOT_LABELLED,
    }
    assert "hush" not in repr(resources)


def test_data_that_is_no_text_is_left_out() -> None:
    data = {"good": base64.b64encode(b"text").decode(), "binary": base64.b64encode(b"\xff").decode(), "bad": "!"}
    secret = made("Secret", "ca", "a", {"ostiary.dev/usage": "ca"}, data=data, stringData={"good2": "more"})
    key = ReferenceKey("Secret", "a", "ca")

    assert references_from_objects([secret], wanted=[key]) == {key: {"good": "text", "good2": "more"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("just words", "is not a Kubernetes object"),
        ("metadata: {name: a}", "kind: is required"),
        ("kind: MCPProxy", "metadata.name: is required"),
        (
            "kind: MCPProxy\nmetadata: {name: a}\n---\nkind: MCPProxy\nmetadata: {name: a, namespace: default}",
            "appears twice",
        ),
    ],
)
def test_a_document_that_is_no_object_is_refused_with_a_message(text: str, words: str) -> None:
    with pytest.raises(InvalidObject, match=words):
        resources_from_objects([document.value for document in read_documents(text)], "sys")
