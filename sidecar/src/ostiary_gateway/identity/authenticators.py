"""The authenticators of all proxies, made from the policies that are in force.

The methods of one policy are shared by all proxies that it governs.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import EntryDocument
from ostiary_core.policy.authentication import in_force
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.identity.api_keys import ApiKeys
from ostiary_gateway.identity.authenticator import AuthenticationMethod, Authenticator, Outcomes


class Authenticators:
    """Makes authenticators; :meth:`take` may be called from the thread that builds a config.

    ``clock`` returns epoch seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.outcomes: Final = Outcomes()
        self._clock = clock
        self._methods: dict[str, tuple[AuthenticationMethod, ...]] = {}

    def take(self, entry: EntryDocument, policies: Mapping[str, CompiledPolicy]) -> Authenticator | None:
        """Return the authenticator of an entry; None where every caller is anonymous.

        ``policies`` are by digest.
        """
        found = in_force(policies)
        if not found:
            return None
        methods = [method for key, config in found.items() for method in self._methods_of(key, config)]
        anonymous = any(config.anonymous for config in found.values())
        return Authenticator(entry.identity, methods, anonymous=anonymous, outcomes=self.outcomes)

    def _methods_of(self, digest: str, config: AuthenticationConfig) -> tuple[AuthenticationMethod, ...]:
        methods = self._methods.get(digest)
        if methods is None:
            methods = self._methods[digest] = tuple(self._made(config))
        return methods

    def _made(self, config: AuthenticationConfig) -> Iterable[AuthenticationMethod]:
        if config.api_keys is not None:
            yield ApiKeys(config.api_keys, clock=self._clock)

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Drop what no proxy uses any more."""
        used = {digest for proxy in snapshot.proxies.values() for digest in proxy.policies}
        for digest in self._methods.keys() - used:
            del self._methods[digest]
        self.outcomes.forget(changed - snapshot.proxies.keys())
