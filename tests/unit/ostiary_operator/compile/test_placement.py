"""Gateways are found by the labels that they select, and a gateway costs nothing for what it does not serve."""

from collections.abc import Iterable, Mapping

import pytest
from cluster_states import OPERATOR_NAMESPACE
from hypothesis import given
from hypothesis import strategies as st

from ostiary_bench.simulation.fleet import Fleet
from ostiary_operator.api.selectors import LabelSelector
from ostiary_operator.api.settings import GatewaySettings
from ostiary_operator.compile import proxies, statuses
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_operator.compile.model import DiscoveredGateway, ObjectKey
from ostiary_operator.compile.placement import SiteIndex

LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2)
SELECTORS = st.builds(
    lambda labels, absent: LabelSelector.model_validate(
        {
            "matchLabels": labels,
            "matchExpressions": [{"key": key, "operator": "DoesNotExist"} for key in sorted(absent)],
        }
    ),
    LABELS,
    st.sets(st.sampled_from("ab"), max_size=1),
)


def site(number: int, selector: LabelSelector | None, *, usable: bool) -> Site:
    namespace = OPERATOR_NAMESPACE if number % 2 else "tools"
    gateway = DiscoveredGateway(namespace, f"g{number}", f"s{number}", uid=f"u{number}", created="")
    settings = GatewaySettings(external_url="https://a.example.com", proxy_selector=selector) if usable else None
    return Site(gateway, shared=bool(number % 2), settings=settings)


@given(st.lists(st.tuples(st.none() | SELECTORS, st.booleans()), max_size=6), LABELS, st.sampled_from(["tools", "x"]))
def test_the_index_finds_what_asking_each_gateway_finds_and_in_the_same_order(
    given_sites: list[tuple[LabelSelector | None, bool]], labels: Mapping[str, str], namespace: str
) -> None:
    sites = [site(number, selector, usable=usable) for number, (selector, usable) in enumerate(given_sites)]
    expected = tuple(each for each in sites if each.serves(namespace) and each.selects(labels))
    assert SiteIndex(sites).selecting(namespace, labels) == expected


def test_a_divided_fleet_asks_for_each_proxy_only_the_gateways_that_serve_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Site] = []
    concerned: list[int] = []
    selects, of = Site.selects, statuses.GatewayIndex.of

    def counting_selects(it: Site, labels: Mapping[str, str]) -> bool:
        asked.append(it)
        return selects(it, labels)

    def counting_of(it: statuses.GatewayIndex, keys: Iterable[ObjectKey]) -> list[statuses.CompiledGateway]:
        found = of(it, keys)
        concerned.append(len(found))
        return found

    monkeypatch.setattr(Site, "selects", counting_selects)
    monkeypatch.setattr(statuses.GatewayIndex, "of", counting_of)
    resources = resources_from_objects(Fleet(160, 8).objects(), OPERATOR_NAMESPACE)
    compiled = compile_resources(resources, {})
    assert {len(config.entries) for config in compiled.configs.values()} == {20}
    assert len(asked) == 160
    assert set(concerned) == {1}
    assert len(concerned) == 3 * 160  # the statuses of proxies and policies


def test_a_proxy_without_an_entry_is_of_no_gateway() -> None:
    assert proxies.admitted_by_gateway([]) == {}
    assert statuses.GatewayIndex([]).of([]) == []
