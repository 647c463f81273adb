"""One change that weakens protection, and the texts in its message."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND

#: Characters of one text in a message, and the most names that it lists.
_TEXT: Final = 200
_MOST_NAMES: Final = 8
#: The reason of an Event that counts changes without one of their own.
MORE: Final = "MoreWeakened"
#: The reasons of Events.
REASONS: Final = frozenset(
    {
        "AccessRemoved",
        "AllowWidened",
        "AnonymousAdmitted",
        "AuditLowered",
        "AuthenticationRemoved",
        "AuthenticationWidened",
        "BlockRemoved",
        "CatalogueWidened",
        "DenyRemoved",
        "GuardLoosened",
        "GuardRemoved",
        "LimitLoosened",
        "LimitRemoved",
        "MaskLoosened",
        "MaskRemoved",
        MORE,
        "PinningLowered",
        "PolicyAttached",
        "PolicyDeleted",
        "PolicyDetached",
        "RoutingChanged",
        "SettingLoosened",
        "SubjectsChanged",
        "SwitchedToShadow",
        "TransformChanged",
        "TransformRemoved",
        "UpstreamChanged",
        "ValidationLoosened",
    }
)


@dataclass(frozen=True, slots=True)
class Weakening:
    """One change that weakens protection: its object, its field, and both values.

    ``kind`` is empty for the gateway itself, ``uid`` then too. ``reason`` is one word for programs.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    reason: str
    field: str
    before: str
    after: str

    @property
    def message(self) -> str:
        """The change as one sentence."""
        return f"{self.field}: {short(self.before)} → {short(self.after)}"


def weakening(subject: EntryDocument | PolicyDocument, reason: str, field: str, before: str, after: str) -> Weakening:
    """Return a change of a proxy or a policy."""
    kind = POLICY_KIND if isinstance(subject, PolicyDocument) else PROXY_KIND
    return Weakening(kind, subject.namespace, subject.name, subject.uid, reason, field, before, after)


def listed(items: Collection[str]) -> str:
    """Return names in order, the first few of many."""
    names = sorted(map(short, items))
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return (", ".join(names[:_MOST_NAMES]) or "none") + more


def short(text: str) -> str:
    """Return a text as one line of limited length: names of rules and URLs are user input."""
    line = "".join(each if each.isprintable() else "�" for each in text[: _TEXT + 1])
    return line if len(line) <= _TEXT else f"{line[: _TEXT - 1]}…"
