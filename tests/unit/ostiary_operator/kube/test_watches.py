import itertools
import logging
from typing import Any

import kopf
import pytest
from operator_objects import SYSTEM, proxy
from yarl import URL

from ostiary_operator.api.objects import Object
from ostiary_operator.kube.event_filter import EventFilter
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.informer import Login, make_registry, make_settings
from ostiary_operator.kube.kinds import (
    ACCESS_REVIEW,
    CONFIG_MAP,
    ENDPOINT_SLICE,
    LOCK,
    NAMESPACE,
    POLICY,
    PROXY,
    SECRET,
    SERVICE,
    Kind,
)
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.watch_scopes import Scope, Watched, choose
from ostiary_operator.kube.watches import log_unwatched

EVERY_KIND = (PROXY, POLICY, LOCK, NAMESPACE, SERVICE, ENDPOINT_SLICE, CONFIG_MAP, SECRET)


def seen(**changes: Any) -> Object:
    metadata = {"name": "crm", "namespace": "tools", "uid": "u", "generation": 1, "resourceVersion": "1"}
    return {**proxy("crm"), "metadata": {**metadata, **changes.pop("metadata", {})}, **changes}


def changes(*, familiar: bool = True) -> EventFilter:
    return EventFilter(lambda _uid, _status: familiar)


def test_an_object_that_is_new_matters_and_the_same_again_does_not() -> None:
    it = changes()
    assert it.matters(PROXY, None, seen())
    assert not it.matters(PROXY, "MODIFIED", seen(metadata={"resourceVersion": "2"}))


@pytest.mark.parametrize(
    "metadata",
    [{"generation": 2}, {"labels": {"team": "a"}}, {"deletionTimestamp": "2026-11-21T08:00:00Z"}, {"uid": "v"}],
)
def test_a_change_of_spec_labels_or_deletion_matters(metadata: dict[str, Any]) -> None:
    it = changes()
    it.matters(PROXY, None, seen())
    assert it.matters(PROXY, "MODIFIED", seen(metadata=metadata))


def test_what_a_pass_has_seen_does_not_matter_and_what_came_after_it_does() -> None:
    it = changes()
    it.record(PROXY, seen())
    assert not it.matters(PROXY, None, seen())
    assert it.matters(PROXY, "MODIFIED", seen(metadata={"generation": 2, "resourceVersion": "2"}))


def test_a_late_change_is_reported_again_rather_than_lost() -> None:
    it = changes()
    it.record(PROXY, seen(metadata={"generation": 2, "resourceVersion": "2"}))
    assert it.matters(PROXY, "MODIFIED", seen())
    assert it.matters(PROXY, "MODIFIED", seen(metadata={"generation": 2, "resourceVersion": "2"}))


def test_annotations_and_managed_fields_do_not_matter() -> None:
    it = changes()
    it.matters(PROXY, None, seen())
    assert not it.matters(PROXY, "MODIFIED", seen(metadata={"annotations": {"a": "b"}, "managedFields": [{}]}))


@pytest.mark.parametrize("name", ["consumer", "groups", "expires"])
def test_what_a_secret_says_of_the_consumer_of_its_keys_matters(name: str) -> None:
    it = changes()
    metadata = {"name": "agent", "namespace": "tools", "uid": "u", "labels": {"ostiary.dev/usage": "api-key"}}
    it.matters(SECRET, None, {"metadata": metadata})
    annotated = {"metadata": {**metadata, "annotations": {f"ostiary.dev/{name}": "other"}}}
    assert it.matters(SECRET, "MODIFIED", annotated)


def test_a_status_matters_only_if_it_is_not_ours() -> None:
    ours, theirs = changes(familiar=True), changes(familiar=False)
    for it in (ours, theirs):
        it.matters(PROXY, None, seen())
    assert not ours.matters(PROXY, "MODIFIED", seen(status={"url": "u"}))
    assert theirs.matters(PROXY, "MODIFIED", seen(status={"url": "forged"}))


def test_a_deletion_matters_and_so_does_what_comes_after_it() -> None:
    it = changes()
    it.matters(PROXY, None, seen())
    assert it.matters(PROXY, "DELETED", seen())
    assert it.matters(PROXY, "ADDED", seen())


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (CONFIG_MAP, "data"),
        (CONFIG_MAP, "binaryData"),
        (SECRET, "data"),
        (ENDPOINT_SLICE, "endpoints"),
        (SERVICE, "spec"),
    ],
)
def test_content_matters_where_there_is_no_generation(kind: Kind, part: str) -> None:
    it = changes()
    metadata = {"name": "a", "uid": "u", "resourceVersion": "1", "labels": {"ostiary.dev/gateway": "default"}}
    obj = {"metadata": metadata, part: {"k": "1"}}
    assert it.matters(kind, None, obj)
    assert not it.matters(kind, "MODIFIED", {**obj, "metadata": {**metadata, "resourceVersion": "2"}})
    assert it.matters(kind, "MODIFIED", {**obj, part: {"k": "2"}})


@pytest.mark.parametrize("kind", [SERVICE, ENDPOINT_SLICE])
def test_services_matter_where_proxies_lie_and_thousands_of_others_do_not(kind: Kind) -> None:
    it = changes()
    obj: Object = {"metadata": {"name": "a", "namespace": "tools", "uid": "u"}}
    for event in (None, "ADDED", "MODIFIED", "DELETED"):
        assert not it.matters(kind, event, obj)
    it.follow({"tools"})
    assert it.matters(kind, "MODIFIED", obj)
    assert not it.matters(kind, "MODIFIED", obj)
    assert it.matters(kind, "DELETED", obj)


def test_a_service_that_is_no_gateway_any_more_matters() -> None:
    it = changes()
    metadata = {"name": "a", "namespace": "tools", "uid": "u"}
    assert it.matters(SERVICE, None, {"metadata": {**metadata, "labels": {"ostiary.dev/gateway": "default"}}})
    assert it.matters(SERVICE, "MODIFIED", {"metadata": metadata})


def test_the_echo_of_our_own_write_does_not_matter_but_an_edit_of_it_does() -> None:
    it = changes()
    ours: Object = {
        "metadata": {"name": "a", "namespace": "n", "labels": {"l": "1"}, "ownerReferences": []},
        "data": {"k": "1"},
    }
    it.expect_write(CONFIG_MAP, ours)
    stored: Object = {**ours, "metadata": {**ours["metadata"], "uid": "u", "resourceVersion": "1"}}
    assert not it.matters(CONFIG_MAP, "ADDED", stored)
    assert it.matters(CONFIG_MAP, "MODIFIED", {**stored, "data": {"k": "2"}})
    assert not it.matters(CONFIG_MAP, "MODIFIED", stored)
    assert it.matters(CONFIG_MAP, "DELETED", stored)


class Rights(FakeClient):
    """Answers access reviews: what is denied is (verb, plural, namespace), with * for any."""

    def __init__(self, *denied: tuple[str, str, str]) -> None:
        super().__init__()
        self._denied = denied

    async def create(self, kind: Kind, body: Any) -> Object:
        assert kind == ACCESS_REVIEW
        asked = body["spec"]["resourceAttributes"]
        key = asked["verb"], asked["resource"], asked["namespace"]
        no = any(all(a in ("*", b) for a, b in zip(rule, key, strict=True)) for rule in self._denied)
        return {"status": {"allowed": not no}}


async def test_with_every_right_the_whole_cluster_is_watched_in_one_scope_for_each_selector() -> None:
    watched = await choose(Rights(), OperatorOptions(operator_namespace=SYSTEM))
    every, slices = watched.scopes
    assert (every.namespaces, set(every.kinds), every.selector(ENDPOINT_SLICE)) == (
        *(None, set(EVERY_KIND)),
        "ostiary.dev/gateway",
    )
    assert slices == Scope(None, (ENDPOINT_SLICE,), index=1)
    assert slices.selector(ENDPOINT_SLICE) == "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io"
    assert watched.missing == ()


async def test_what_may_not_be_watched_everywhere_is_watched_in_the_operators_namespace() -> None:
    watched = await choose(Rights(("*", "secrets", "")), OperatorOptions(operator_namespace=SYSTEM))
    assert Scope((SYSTEM,), (SECRET,)) in watched.scopes
    assert watched.missing == ("secrets",)


async def test_the_right_to_list_without_the_right_to_watch_is_not_enough() -> None:
    watched = await choose(Rights(("watch", "configmaps", "*")), OperatorOptions(operator_namespace=SYSTEM))
    assert all(CONFIG_MAP not in scope.kinds for scope in watched.scopes)
    assert watched.missing == ("configmaps",)


async def test_a_narrow_operator_watches_its_namespaces_and_needs_no_cluster_wide_right() -> None:
    options = OperatorOptions(operator_namespace=SYSTEM, watch_namespaces=("sales", "tools"))
    watched = await choose(Rights(("*", "*", "")), options)
    assert {scope.namespaces for scope in watched.scopes} == {(SYSTEM, "sales", "tools")}
    assert set(watched.scopes[0].kinds) == set(EVERY_KIND) - {NAMESPACE}
    assert watched.missing == ("namespaces",)


async def test_a_right_in_some_namespaces_is_used_there() -> None:
    options = OperatorOptions(operator_namespace=SYSTEM, watch_namespaces=("sales", "tools"))
    watched = await choose(Rights(("*", "*", ""), ("*", "secrets", "tools")), options)
    assert Scope((SYSTEM, "sales"), (SECRET,)) in watched.scopes


async def test_secrets_are_also_watched_in_the_secret_namespaces_of_an_operator_of_the_whole_cluster() -> None:
    options = OperatorOptions(operator_namespace=SYSTEM, secret_namespaces=("sales", "tools"))
    watched = await choose(Rights(("*", "secrets", ""), ("*", "secrets", SYSTEM)), options)
    assert Scope(("sales", "tools"), (SECRET,)) in watched.scopes


def registry_of(*kinds: Kind) -> kopf.OperatorRegistry:
    options = OperatorOptions(operator_namespace=SYSTEM)
    return make_registry(
        Scope(None, kinds),
        Login(options, kinds, lambda: None),
        changes(),
        lambda _, __: None,
        operator_namespace="ostiary-system",
    )


def test_after_each_complete_listing_kopf_requests_a_check_for_earlier_deletions() -> None:
    told: list[str] = []
    login = Login(OperatorOptions(operator_namespace=SYSTEM), EVERY_KIND, lambda: told.append("listed"))
    proxies, policies = URL("http://api/apis/ostiary.dev/v1alpha1/mcpproxies"), URL("http://api/apis/x/mcppolicies")
    for request in (proxies % {"limit": "250"}, policies % {"limit": "250"}, proxies % {"watch": "true"}):
        login.on_request(request)
    assert told == []
    login.on_request(policies % {"limit": "250", "continue": "2"})
    login.on_request(policies % {"watch": "true"})
    assert told == ["listed"]
    login.on_request(proxies % {"watch": "true"})  # the watch went on where it had ended
    assert told == ["listed"]
    login.on_request(proxies % {"limit": "250"})
    login.on_request(proxies % {"watch": "true"})
    assert told == ["listed", "listed"]


def test_kopf_gets_event_handlers_and_a_login_and_nothing_that_writes() -> None:
    registry = registry_of(*EVERY_KIND)
    assert len(registry._watching.get_all_handlers()) == len(EVERY_KIND)
    assert len(registry._activities.get_all_handlers()) == 1
    for writing in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(writing.get_all_handlers()) == []


def test_kopf_neither_scans_nor_posts_nor_elects_nor_ends_the_process() -> None:
    settings = make_settings(Scope(None, EVERY_KIND))
    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert settings.process.ultimate_exiting_timeout is None


def test_only_labelled_config_maps_and_secrets_ever_reach_the_informer() -> None:
    settings = make_settings(Scope(None, EVERY_KIND))
    assert len(settings.watching.label_selectors) == 3
    assert settings.watching.label_selectors["", "v1", "secrets"] == "ostiary.dev/usage"
    assert settings.watching.label_selectors["", "v1", "configmaps"] == "ostiary.dev/usage"


def test_a_watch_is_tried_again_without_end() -> None:
    backoffs = make_settings(Scope(None, EVERY_KIND)).networking.error_backoffs
    assert list(itertools.islice(iter(backoffs), 6)) == [0.1, 0.25, 0.5, 1.0, 2.0, 2.0]  # type: ignore[arg-type]  # iterable


def test_what_the_chart_gives_no_right_to_watch_is_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        log_unwatched(Watched((), ("configmaps", "secrets")))
    text = "read every 60 s where they are not watched, which needs no further right: configmaps, secrets"
    assert caplog.record_tuples == [("ostiary_operator.kube.watches", logging.INFO, text)]


def test_to_have_no_right_to_watch_our_own_kinds_is_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        log_unwatched(Watched((), (PROXY.resource,)))
    ((_, level, text),) = caplog.record_tuples
    assert level == logging.WARNING
    assert "no right to list and watch mcpproxies.ostiary.dev everywhere: changes are seen within 60 s" in text


def test_with_every_right_there_is_nothing_to_report(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        log_unwatched(Watched((), ()))
    assert not caplog.records
