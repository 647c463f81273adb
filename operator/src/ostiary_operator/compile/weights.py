"""The weights of policies and catalogues: the cost of keeping and matching their patterns.

A policy that is too heavy is invalid. The budget limits the sum of several at a proxy or in a namespace.
"""

from ostiary_core.contract.documents import CatalogueConfig, EntryDocument
from ostiary_core.errors import PatternError
from ostiary_core.policy.access import CompiledPolicy
from ostiary_core.policy.budget import PROXY_WEIGHT
from ostiary_core.policy.visibility import compile_catalogue
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.filed import EncodedDocument
from ostiary_operator.compile.policies import EncodedPolicy


def policy_weight(encoded: EncodedPolicy, cache: Cache) -> int:
    """Return the weight of a policy's rules, in instructions."""
    return cache.get(("policy weight", encoded.digest), lambda: CompiledPolicy.build(encoded.document).weight)


def catalogue_weight(entry: EncodedDocument[EntryDocument], cache: Cache) -> int:
    """Return the weight of a proxy's catalogue, in instructions."""
    catalogue = entry.document.catalogue
    if catalogue is None:
        return 0
    return cache.get(("catalogue weight", catalogue.model_dump_json()), lambda: _weigh(catalogue))


def _weigh(catalogue: CatalogueConfig) -> int:
    try:
        return sum(matcher.weight for matcher in compile_catalogue(catalogue).values())
    except PatternError:
        return PROXY_WEIGHT + 1  # a version from before the current limits
