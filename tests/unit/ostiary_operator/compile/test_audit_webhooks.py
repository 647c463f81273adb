"""Webhooks of audit records: their credentials are entries of the gateway's Secret, and never values."""

import base64
from typing import Any

from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_operator.compile.model import Compiled

GATEWAY = "ostiary-system/default"
TOKEN = "hunter2-hunter2"


def gateway(sinks: str) -> list[dict[str, Any]]:
    labels = {"ostiary.dev/gateway": "default"}
    place = {"namespace": "ostiary-system"}
    return [
        {"kind": "Service", "metadata": {"name": "gateway", "labels": labels, **place}},
        {
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "labels": labels | {"ostiary.dev/usage": "settings"}, **place},
            "data": {"settings.yaml": f"audit: {{sinks: [{sinks}]}}"},
        },
    ]


def secret(labels: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": "Secret",
        "metadata": {
            "name": "hook",
            "namespace": "ostiary-system",
            "uid": "7",
            "resourceVersion": "1",
            "labels": labels,
        },
        "data": {"token": base64.b64encode(TOKEN.encode()).decode()},
    }


HOOK = "{webhook: {url: 'https://audit.example.com/in', credentialRef: {name: hook, key: token}, timeout: 5s}}"


def compiled(*objects: dict[str, Any]) -> Compiled:
    return compile_resources(resources_from_objects(objects, "ostiary-system"), {})


def test_the_config_names_the_entry_of_the_gateways_secret_and_delivery_needs_it() -> None:
    found = compiled(*gateway(f"{{stdout: {{}}}}, {HOOK}, {{otlp: {{}}}}"), secret({"ostiary.dev/usage": "audit"}))
    config = found.configs[GATEWAY]
    assert found.problems == ()
    assert config.settings.audit is not None
    assert config.settings.audit.sinks is not None
    stdout, hook, otlp = config.settings.audit.sinks
    assert (stdout.stdout, otlp.otlp) == (True, True)
    assert hook.webhook is not None
    assert (hook.webhook.url, hook.webhook.timeout) == ("https://audit.example.com/in", 5000)
    assert config.secrets() == {hook.webhook.credential}
    assert TOKEN.encode() not in config.settings.canonical()


def test_a_webhook_without_its_credential_gets_nothing_and_the_others_go_on() -> None:
    for objects in ([], [secret({})]):
        found = compiled(*gateway(f"{{stdout: {{}}}}, {HOOK}"), *objects)
        audit = found.configs[GATEWAY].settings.audit
        assert audit is not None
        assert [sink.stdout for sink in audit.sinks or ()] == [True]
        (problem,) = found.problems
        assert "settings: audit.sinks[1].webhook.credentialRef" in problem.message
        assert "this webhook gets no records until then" in problem.message


def test_a_credential_is_never_sent_without_tls() -> None:
    found = compiled(*gateway(HOOK.replace("https", "http")), secret({"ostiary.dev/usage": "audit"}))
    (problem,) = found.problems
    assert "has a credential for a receiver without TLS" in problem.message
