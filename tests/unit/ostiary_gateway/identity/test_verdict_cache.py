"""The cache of accepted credentials: bounded, and never longer than a credential is valid."""

from ostiary_core.policy.principal import Principal
from ostiary_gateway.identity.verdict_cache import ActiveTokens, Verdict, VerdictCache

AUDIENCES = frozenset(["https://gw.example.com/mcp"])
AGENT = Principal(id="consumer:default/agent", method="apiKey")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_a_verdict_is_kept() -> None:
    cache = VerdictCache(clock=Clock())
    cache.keep(digest(1), Verdict(AGENT))
    assert cache.get(digest(1)) is AGENT
    assert cache.get(digest(2)) is None


def test_a_verdict_ends_with_its_own_limit_and_with_the_expiry_of_its_principal() -> None:
    clock = Clock()
    cache = VerdictCache(clock=clock)
    expiring = Principal(id="consumer:default/agent", method="apiKey", expires_at=1100)
    cache.keep(digest(1), Verdict(AGENT, until=1060))
    cache.keep(digest(2), Verdict(expiring))
    cache.keep(digest(3), Verdict(expiring, until=2000))
    clock.now = 1059.9
    assert cache.get(digest(1)) is AGENT
    clock.now = 1060
    assert cache.get(digest(1)) is None
    assert cache.get(digest(2)) is expiring
    clock.now = 1100
    assert cache.get(digest(2)) is cache.get(digest(3)) is None
    assert len(cache) == 0


def test_the_number_of_verdicts_is_bounded_and_the_oldest_is_dropped() -> None:
    cache = VerdictCache(most=2, clock=Clock())
    for number in range(4):
        cache.keep(digest(number), Verdict(AGENT))
    assert len(cache) == 2
    assert [cache.get(digest(number)) is AGENT for number in range(4)] == [False, False, True, True]


def test_an_active_token_is_known_until_its_end() -> None:
    clock = Clock()
    tokens = ActiveTokens(clock=clock)
    tokens.keep(digest(1), Verdict(AGENT, 1030), AUDIENCES)
    tokens.keep(digest(2), Verdict(AGENT, 1000), AUDIENCES)

    assert tokens.find(digest(1), AUDIENCES) == Verdict(AGENT, 1030)
    assert tokens.find(digest(2), AUDIENCES) is None
    clock.now = 1030
    assert tokens.find(digest(1), AUDIENCES) is None
    assert len(tokens) == 0


def test_an_active_token_is_known_for_the_audiences_that_it_was_judged_for_only() -> None:
    tokens = ActiveTokens(clock=Clock())
    tokens.keep(digest(1), Verdict(AGENT), AUDIENCES)

    assert tokens.find(digest(1), AUDIENCES) == Verdict(AGENT)
    assert tokens.find(digest(1), frozenset()) is None
