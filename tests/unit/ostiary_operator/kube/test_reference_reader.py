"""Which ConfigMaps and Secrets may be referred to, and when they are read again."""

import base64

import pytest
from operator_objects import SYSTEM, populated

from ostiary_operator.compile.model import Missing, ReferenceKey
from ostiary_operator.kube import reference_reader
from ostiary_operator.kube.changed_namespaces import EVERYTHING, NOTHING, ChangedNamespaces
from ostiary_operator.kube.errors import Busy, Forbidden
from ostiary_operator.kube.kinds import CONFIG_MAP, SECRET


def data(**texts: str) -> dict[str, str]:
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


async def test_references_are_read_and_a_secret_only_with_its_label() -> None:
    cluster = populated()
    for name, labels in {"open": {"ostiary.dev/usage": "ca"}, "closed": {}}.items():
        metadata = {"name": name, "namespace": "tools", "labels": labels}
        cluster.put(SECRET, {"metadata": metadata, "data": {**data(ca="PEM"), "binary": "/////w=="}})
    cluster.put(CONFIG_MAP, {"metadata": {"name": "ca", "namespace": "tools"}, "data": {"ca.crt": "PEM"}})
    keys = {name: ReferenceKey("Secret", "tools", name) for name in ("open", "closed", "none")}
    found = await reference_reader.ReferenceReader(cluster).resolve(
        [*keys.values(), ReferenceKey("ConfigMap", "tools", "ca")]
    )
    assert found == {
        keys["open"]: {"ca": "PEM"},
        keys["closed"]: Missing.NOT_LABELLED,
        keys["none"]: Missing.NOT_FOUND,
        ReferenceKey("ConfigMap", "tools", "ca"): {"ca.crt": "PEM"},
    }


async def test_a_reference_is_read_again_only_after_a_change_and_forgotten_when_unused() -> None:
    cluster = populated()
    one, two = (ReferenceKey("ConfigMap", namespace, "ca") for namespace in ("sales", "tools"))
    it = reference_reader.ReferenceReader(cluster)

    async def written(text: str, moved: ChangedNamespaces, *wanted: ReferenceKey) -> list[object]:
        for key in (one, two):
            cluster.put(CONFIG_MAP, {"metadata": {"name": "ca", "namespace": key.namespace}, "data": {"ca": text}})
        return list((await it.resolve(wanted, moved)).values())

    assert await written("1", NOTHING, one, two) == [{"ca": "1"}, {"ca": "1"}]
    assert await written("2", ChangedNamespaces.within(["tools"]), one, two) == [{"ca": "1"}, {"ca": "2"}]
    assert await written("3", NOTHING, two) == [{"ca": "2"}]
    assert await written("4", NOTHING, one, two) == [{"ca": "4"}, {"ca": "2"}]
    assert await written("5", EVERYTHING, one, two) == [{"ca": "5"}, {"ca": "5"}]


async def test_a_private_key_in_a_secret_is_not_kept() -> None:
    cluster = populated()
    pair = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nhush\n"
    metadata = {"name": "pair", "namespace": "tools", "labels": {"ostiary.dev/usage": "ca"}}
    cluster.put(SECRET, {"metadata": metadata, "data": data(pair=pair)})
    key = ReferenceKey("Secret", "tools", "pair")
    assert await reference_reader.ReferenceReader(cluster).resolve([key]) == {
        key: {"pair": "-----BEGIN EC PRIVATE KEY-----"}
    }


async def test_the_operators_own_secrets_can_never_be_referred_to() -> None:
    cluster = populated()
    labels = {"ostiary.dev/usage": "config", "ostiary.dev/config": "default"}
    metadata = {"name": "ostiary-default", "namespace": SYSTEM, "labels": labels}
    cluster.put(SECRET, {"metadata": metadata, "data": data(token="t")})
    key = ReferenceKey("Secret", SYSTEM, "ostiary-default")
    assert await reference_reader.ReferenceReader(cluster).resolve([key]) == {key: Missing.NOT_LABELLED}


async def test_a_missing_right_is_an_answer_and_a_failure_is_none() -> None:
    cluster = populated()
    key = ReferenceKey("Secret", "tools", "ca")
    cluster.fail("get", SECRET, Forbidden("no"))
    assert await reference_reader.ReferenceReader(cluster).resolve([key]) == {key: Missing.FORBIDDEN}
    cluster.fail("get", SECRET, Busy("503"))
    with pytest.raises(Busy):
        await reference_reader.ReferenceReader(cluster).resolve([key])
