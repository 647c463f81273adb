"""The guide to bounds matches the code."""

import re
from pathlib import Path
from typing import Any

from fenced_blocks import fenced_blocks

from ostiary_core.contract.bounds import BoundsConfig as Compiled
from ostiary_gateway.limits.counters import Bound
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.server.response import Response
from ostiary_operator.api.load import parse_settings
from ostiary_operator.api.settings import Bounds, GatewaySettings
from ostiary_operator.compile.gateway_settings import settings_document

GUIDE = Path(__file__).parents[3] / "docs/guides/bounds.md"


def row(scope: str) -> list[str]:
    """The cells of a scope's row in the table of defaults, behind its name."""
    found = re.search(rf"\(`{re.escape(scope)}`\) \|(.*)\|", GUIDE.read_text())
    assert found is not None, scope
    return [cell.strip() for cell in found[1].split("|")]


def test_the_table_holds_the_defaults() -> None:
    bounds = Bounds()
    shares: dict[str, Any] = {
        "bounds": bounds,
        "bounds.perProxy": bounds.per_proxy,
        "bounds.perPrincipal": bounds.per_principal,
    }
    for scope, share in shares.items():
        connections = [str(bounds.connections)] if scope == "bounds" else [""]
        assert row(scope) == [*connections, *map(str, (share.requests_in_flight, share.streams, share.bytes_in_flight))]
    source = bounds.per_source
    assert row("bounds.perSource") == [
        *map(str, (source.connections, source.requests_in_flight, source.streams, source.bytes_in_flight))
    ]
    assert row("bounds.perServer") == [str(bounds.per_server.connections), "", "", ""]


def test_its_example_is_accepted_and_becomes_what_the_gateway_enforces() -> None:
    settings = parse_settings(fenced_blocks("docs/guides/bounds.md", "yaml")[0])
    document = settings_document(settings)
    limiter = Limiter(lambda _: Response(503))
    limiter.set_bounds(document.bounds, trusted_proxies=document.trusted_proxies)

    source = next(each for each in limiter.scopes if each.scope == "source")
    assert document.trusted_proxies == ["10.0.0.0/8"]
    assert (source.connections, source.requests, source.streams, source.bytes) == (500, 200, 200, 32 << 20)


def test_the_metrics_it_names_are_counted_by_scope_and_bound() -> None:
    gateway, source, principal, proxy = Limiter(lambda _: Response(503)).scopes
    assert [each.scope for each in (gateway, source, principal, proxy)] == [
        "gateway",
        "source",
        "principal",
        "proxy",
    ]
    assert not principal.bounds(Bound.CONNECTIONS)
    assert not proxy.bounds(Bound.CONNECTIONS)
    assert gateway.bounds(Bound.CONNECTIONS)
    assert source.bounds(Bound.CONNECTIONS)


def test_the_defaults_of_the_settings_reach_the_contract_whole() -> None:
    bounds = settings_document(GatewaySettings()).bounds
    assert isinstance(bounds, Compiled)
    assert bounds.connections == Bounds().connections
    assert bounds.message_values == Bounds().message_values
    assert bounds.per_source.connections == Bounds().per_source.connections


def test_one_source_leaves_a_quarter_of_everything_to_all_others() -> None:
    bounds = settings_document(GatewaySettings()).bounds
    whole, source = bounds.model_dump(), bounds.per_source.model_dump()
    assert {name: share / whole[name] for name, share in source.items()} == dict.fromkeys(source, 0.75)


def test_where_the_system_carries_fewer_connections_a_source_has_the_same_share_of_them() -> None:
    limiter = Limiter(lambda _: Response(503))
    limiter.carried = 400
    limiter.set_bounds(settings_document(GatewaySettings()).bounds, trusted_proxies=[])
    gateway, source, *_ = limiter.scopes
    assert (gateway.connections, source.connections) == (400, 300)
