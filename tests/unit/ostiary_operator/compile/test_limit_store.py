"""What a gateway's settings refer to for its store: found, kept where it is gone, and never a value."""

import base64
from collections.abc import Mapping
from typing import Any

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.limit_store import LimitStoreConfig
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_operator.compile.model import Compiled

GATEWAY = "ostiary-system/default"
PASSWORD = "hunter2-hunter2"


def gateway(redis: str) -> list[dict[str, Any]]:
    labels = {"ostiary.dev/gateway": "default"}
    settings = {"settings.yaml": f"limitStore: {{redis: {{{redis}}}}}"}
    return [
        {"kind": "Service", "metadata": {"name": "gateway", "namespace": "ostiary-system", "labels": labels}},
        {
            "kind": "ConfigMap",
            "metadata": {
                "name": "settings",
                "namespace": "ostiary-system",
                "labels": labels | {"ostiary.dev/usage": "settings"},
            },
            "data": settings,
        },
    ]


def secret(*, labels: Mapping[str, str] | None = None, **values: str) -> dict[str, Any]:
    return {
        "kind": "Secret",
        "metadata": {
            "name": "limit-store",
            "namespace": "ostiary-system",
            "uid": "7",
            "resourceVersion": "1",
            "labels": {"ostiary.dev/usage": "limit-store"} if labels is None else labels,
        },
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


REFERRING = 'addresses: ["redis:6379"], credentialsRef: {name: limit-store}'


def compiled(*objects: dict[str, Any], previous: Mapping[str, GatewayConfig] | None = None) -> Compiled:
    return compile_resources(resources_from_objects(objects, "ostiary-system"), previous or {})


def store(found: Compiled) -> LimitStoreConfig:
    config = found.configs[GATEWAY].settings.limit_store
    assert config is not None
    return config


def test_the_config_names_the_entries_of_the_gateways_secret_and_delivery_needs_them() -> None:
    found = compiled(*gateway(REFERRING), secret(username="ostiary", password=PASSWORD))
    assert found.configs[GATEWAY].secrets() == set(store(found).secrets)
    assert len(store(found).secrets) == 2
    assert PASSWORD.encode() not in found.configs[GATEWAY].settings.canonical()


def test_without_a_user_name_it_is_the_default_user() -> None:
    credentials = store(compiled(*gateway(REFERRING), secret(password=PASSWORD))).redis.credentials
    assert credentials is not None
    assert credentials.username is None


def test_a_secret_without_the_label_is_not_read() -> None:
    found = compiled(*gateway(REFERRING), secret(labels={}, password=PASSWORD))
    assert store(found).problem == "ReferencesMissing"
    assert "lacks the label ostiary.dev/usage" in found.problems[0].message


def test_a_secret_that_is_gone_leaves_the_last_credentials() -> None:
    first = compiled(*gateway(REFERRING), secret(password=PASSWORD))
    second = compiled(*gateway(REFERRING), previous=first.configs)
    assert store(second) == store(first)
    assert "its last credentials and certificates stay" in second.problems[0].message


def test_other_settings_of_the_store_change_while_its_secret_is_gone() -> None:
    first = compiled(*gateway(REFERRING), secret(password=PASSWORD))
    second = compiled(*gateway(REFERRING.replace("redis:6379", "valkey:6379")), previous=first.configs)
    assert store(second).redis.addresses == ["valkey:6379"]
    assert store(second).secrets == store(first).secrets


def test_without_certificates_from_before_nothing_is_connected_to() -> None:
    tls = 'addresses: ["redis:6379"], tls: {caCertificateRefs: [{kind: ConfigMap, name: ca}]}'
    first = compiled(*gateway('addresses: ["redis:6379"]'))
    second = compiled(*gateway(tls), previous=first.configs)
    assert store(second).problem == "ReferencesMissing", "never without TLS where TLS is wanted"


def test_a_gateway_without_a_store_has_the_config_that_it_always_had() -> None:
    objects = gateway("")
    objects[1]["data"] = {"settings.yaml": "{}"}
    assert b"limitStore" not in compiled(*objects).configs[GATEWAY].settings.canonical()


def test_a_policy_with_limits_counts_in_the_store_and_one_without_does_not() -> None:
    proxy = {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "crm", "namespace": "tools", "uid": "1", "generation": 1},
        "spec": {"servers": [{"name": "crm", "url": "http://crm.tools.svc:8000/mcp"}]},
    }

    def policy(name: str, **spec: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "tools", "uid": name, "generation": 1}
        target = {"targetRefs": [{"kind": "MCPProxy", "name": "crm"}]}
        return {**proxy, "kind": "MCPPolicy", "metadata": metadata, "spec": target | spec}

    sizes = policy("sizes", limits=[{"name": "small", "requestBytes": "1Ki"}])
    counting = policy("counting", limits=[{"name": "few", "requests": 3, "window": "24h"}])
    found = compiled(*gateway('addresses: ["redis:6379"]'), proxy, sizes, counting)
    counts_in = {key.name: status.counts_in for key, status in found.statuses.items() if key.kind == "MCPPolicy"}
    assert counts_in == {"sizes": (), "counting": (GATEWAY,)}
