"""Decides whether the keys that signed a trail are trusted.

An auditor names keys. Trust extends from a key to the next one that it signed a checkpoint for. Without a named key
those of the trail itself are taken, which proves only that one gateway wrote all of it: anyone who can rewrite it as a
whole can name a key of their own in it.
"""

from collections.abc import Iterable

from ostiary_core.audit.trail_findings import TrailFindingKind, TrailFindings
from ostiary_core.audit.trail_parts import ChainParts


def check_keys(chains: Iterable[ChainParts], named: frozenset[str], findings: TrailFindings) -> tuple[str, ...]:
    """Report each chain that a key signed which is not trusted; return the keys that signed."""
    chains = list(chains)
    own = {chain.key for chain in chains if chain.key is not None}
    trusted = _extended(set(named or own), chains)
    used: dict[str, None] = {}
    for chain in chains:
        for signed in chain.signatures:
            used[signed.key] = None
            if signed.key not in trusted:
                message = f"{chain.id} is signed by the key {signed.key}, which is not trusted: it may be forged"
                findings.problem(TrailFindingKind.UNKNOWN_KEY, message, signed.place)
    return tuple(used)


def _extended(trusted: set[str], chains: Iterable[ChainParts]) -> set[str]:
    """Return trusted keys and those that they hand over to."""
    successors: dict[str, set[str]] = {}
    for chain in chains:
        for signed in chain.signatures:
            if signed.next_key is not None:
                successors.setdefault(signed.key, set()).add(signed.next_key)
    waiting = list(trusted)
    while waiting:
        for key in successors.get(waiting.pop(), ()):
            if key not in trusted:
                trusted.add(key)
                waiting.append(key)
    return trusted
