"""Whose answers are awaited, and by what they are counted."""

import hashlib

from ostiary_core.policy.principal import PASSTHROUGH
from ostiary_gateway.pipeline.continuations.handle import Owner
from ostiary_gateway.pipeline.exchange import Exchange


def owner_of(exchange: Exchange) -> Owner:
    """Return the owner of what waits for the caller of an exchange.

    Callers whose credentials only their server judges have one principal. Their credential tells them apart.
    """
    return Owner(exchange.proxy.uid, exchange.principal.id + credential_mark(exchange))


def credential_mark(exchange: Exchange) -> str:
    """Return what distinguishes callers of one principal, empty where the principal does."""
    given = exchange.request.headers.get("authorization") if exchange.principal is PASSTHROUGH else None
    return "" if given is None else " " + hashlib.sha256(given.encode("utf-8", "surrogateescape")).hexdigest()


def share_of(exchange: Exchange) -> str:
    """Return what a caller's parked calls are counted by: its principal, or its address."""
    if exchange.principal.authenticated:
        return exchange.principal.id
    return f"address {exchange.reservation.client_address}"
