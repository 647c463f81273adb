import pytest

from ostiary_core.contract.documents import AccessRule, AccessRules, Catalogue, CatalogueSelection, PolicyDocument
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.access import Access, CompiledPolicy, Reason
from ostiary_core.policy.visibility import Visibility

TOOLS, RESOURCES = Primitive.TOOLS, Primitive.RESOURCES
EVERYTHING = AccessRule(name="all", effect="Allow")


def visibility(
    *, include: list[str] | None = None, exclude: list[str] | None = None, rules: list[AccessRule] | None = None,
    default: str = "Allow", invalid: bool = False,
) -> Visibility:  # fmt: skip
    selection = CatalogueSelection(include=include, exclude=exclude) if include or exclude else None
    documents = []
    if rules is not None:
        documents = [
            PolicyDocument(
                namespace="ns", name="p", uid="u", generation=1, tier="owner", access=AccessRules(rules=rules)
            )
        ]
    access = Access([CompiledPolicy.build(document) for document in documents])
    return Visibility.build(Catalogue(tools=selection) if selection else None, access, default=default, invalid=invalid)


def test_what_is_not_in_the_catalogue_exists_for_nobody() -> None:
    subject = visibility(include=["read_*"], exclude=["read_secret"], rules=[EVERYTHING])

    assert subject.shows(TOOLS, "read_a")
    for name in ("write_a", "read_secret"):
        assert subject.decide(TOOLS, Verb.CALL, name).reason is Reason.NOT_IN_CATALOGUE
    assert subject.shows(RESOURCES, "file:///anything")


def test_the_catalogue_never_widens_what_policies_allow() -> None:
    assert not visibility(include=["read_*"], rules=[]).shows(TOOLS, "read_a")


def test_without_a_policy_the_gateways_default_decides() -> None:
    assert visibility(default="Allow").decide(TOOLS, Verb.CALL, "x").allowed
    assert visibility(default="Deny").decide(TOOLS, Verb.CALL, "x").reason is Reason.NO_POLICY


def test_a_policy_that_allows_lifts_the_default() -> None:
    assert visibility(default="Deny", rules=[EVERYTHING]).decide(TOOLS, Verb.CALL, "x").allowed


def test_where_policies_cannot_be_trusted_nothing_passes() -> None:
    subject = visibility(invalid=True, rules=[EVERYTHING])

    assert subject.decide(TOOLS, Verb.LIST, "x").reason is Reason.POLICY_INVALID
    assert not subject.shows_all(TOOLS)
    assert not subject.may_use_some(TOOLS, Verb.CALL)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (visibility(), True),
        (visibility(exclude=["x"]), False),
        (visibility(rules=[EVERYTHING]), False),
        (visibility(default="Deny"), False),
    ],
)
def test_a_list_passes_unread_only_where_nothing_could_be_hidden(subject: Visibility, expected: bool) -> None:
    assert subject.shows_all(TOOLS) is expected
