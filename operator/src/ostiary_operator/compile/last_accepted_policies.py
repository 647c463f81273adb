"""Finds the last accepted version of a policy in the previous configs."""

from collections.abc import Mapping

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import PolicyDocument, Tier
from ostiary_core.errors import ContractError, ExpressionError, PatternError
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_operator.compile.authentication_methods import ReferencedObjects, with_current_objects
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.encoded_document import EncodedPolicy, encode_document
from ostiary_operator.compile.resource_parser import ParsedPolicy
from ostiary_operator.compile.scorers import ScorerGrants


class LastAcceptedPolicies:
    """The last accepted version of each policy, by uid; read only when one is needed.

    Only the configs of shared gateways, and of gateways in the policy's own namespace, are trusted. The key of any
    other gateway belongs to another tenant, who could forge everyone's policies with it.
    """

    def __init__(
        self,
        previous: Mapping[str, GatewayConfig],
        objects: ReferencedObjects,
        cache: Cache,
        *,
        operator_namespace: str,
        scorers: ScorerGrants,
    ) -> None:
        self.objects = objects
        self.scorers = scorers
        self._previous = previous
        self._cache = cache
        self._operator_namespace = operator_namespace
        self._by_origin: dict[tuple[str, str], PolicyDocument] | None = None

    def _known(self) -> Mapping[tuple[str, str], PolicyDocument]:
        """Return the newest version of each policy at a namespace's gateways, by namespace and uid."""
        if self._by_origin is None:
            found = [
                (identity.partition("/")[0], *item)
                for identity, config in self._previous.items()
                for item in config.policies.items()
            ]
            # The digest orders versions of one generation, so that the result does not depend on names of gateways.
            found.sort(key=lambda item: (item[2].generation, item[1]))
            self._by_origin = {(namespace, document.uid): document for namespace, _, document in found}
        return self._by_origin

    def find(self, subject: ParsedPolicy, tier: Tier) -> EncodedPolicy | None:
        """Return the last accepted version of a policy, with the tier and the objects of today.

        It is found by uid, so a policy that was deleted and created again has none. Of two versions of one generation,
        that of a shared gateway counts.
        """
        # max() returns the first of equal ones.
        origins = (self._operator_namespace, subject.key.namespace)
        versions = [self._known().get((namespace, subject.uid)) for namespace in origins]
        document = max(filter(None, versions), key=lambda each: each.generation, default=None)
        if document is None:
            return None
        # The tier is computed again, since the operator may have another namespace now.
        current = with_current_objects(document, self.objects, self._cache)
        encoded = encode_document(current.model_copy(update={"tier": tier}))
        if self.scorers.object_to(encoded.document) is not None:
            return None  # what it may read must not leave any more
        # A version from before the current limits may cost more than any gateway accepts.
        runs = self._cache.get(("runs", encoded.digest), lambda: _runs(encoded.document))
        return encoded if runs else None


def _runs(document: PolicyDocument) -> bool:
    try:
        CompiledPolicy.build(document)
    except (PatternError, ExpressionError, ContractError):
        return False
    return True
