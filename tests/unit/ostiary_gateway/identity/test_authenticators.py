"""What the authenticator of a proxy takes from the policies that govern it."""

from gateways import LONG_TIMEOUTS, policy

from ostiary_core.contract.authentication import AuthenticationConfig, IssuerConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument, ServerConfig
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_gateway.identity.authenticator import Authenticator
from ostiary_gateway.identity.authenticators import Authenticators

ISSUER = IssuerConfig(issuer="https://id.example.com", algorithms=["ES256"])
ENTRY = EntryDocument(
    namespace="team",
    name="crm",
    uid="uid-crm",
    generation=1,
    path="/crm",
    hostnames=["gw.example.com"],
    servers=[ServerConfig(name="up", url="http://crm.internal/mcp", timeouts=LONG_TIMEOUTS)],
    policies=[],
)


def needing(name: str, scope: str) -> PolicyDocument:
    return policy(name, {"name": "r", "effect": "Allow", "tools": {"names": ["x"]}, "scopes": [scope]})


def test_the_scopes_of_a_policy_in_shadow_mode_are_not_asked_for() -> None:
    enforced = needing("enforced", "read").model_copy(update={"authentication": AuthenticationConfig(issuers=[ISSUER])})
    shadow = needing("shadow", "write").model_copy(update={"mode": "Shadow"})
    policies = {document.name: CompiledPolicy.build(document) for document in (enforced, shadow)}

    found = Authenticators().take(ENTRY, policies)

    assert isinstance(found, Authenticator)
    assert found.resource is not None
    assert found.resource.scopes == ("read",)
