"""Values of every kind, a policy that masks them all, and a search for them in what was received or written."""

import base64
import json
import re
from typing import Any

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.masks import MaskConfig
from ostiary_operator.demo.mock_server.scenarios.customers import CUSTOMERS

ADA, GRACE = CUSTOMERS[0], CUSTOMERS[1]
#: A value of each kind.
VALUES = {
    "CardNumber": ADA.card,
    "USSSN": GRACE.ssn or "",
    "IBAN": ADA.iban,
    "Email": ADA.email,
    "Phone": ADA.phone,
    "IPAddress": ADA.last_ip,
    "Secret": ADA.api_key,
    "employee": ADA.employee,
}
TEXT = "; ".join(f"{kind} {value}" for kind, value in VALUES.items())


def masking() -> PolicyDocument:
    """A policy that masks all kinds."""
    kinds = [{"kind": kind} for kind in VALUES if kind != "employee"]
    detect = [*kinds, {"pattern": r"EMP-\d{6}", "name": "employee"}]
    config = {"name": "all", "directions": ["Results"], "detect": detect, "action": "Mask"}
    return PolicyDocument(
        namespace="default",
        name="masks",
        uid="uid-masks",
        generation=1,
        tier="owner",
        access=None,
        masks=[MaskConfig.model_validate_json(json.dumps(config))],
    )


def leaked(text: str) -> list[str]:
    """The kinds whose values are in what a client got, plain or encoded."""
    decoded = [
        base64.b64decode(each).decode("utf-8", "replace") for each in re.findall(r"[A-Za-z0-9+/]{80,}={0,2}", text)
    ]
    plain = "\n".join([text, *decoded])
    digits = re.sub(r"[\s-]", "", plain)
    return [kind for kind, value in VALUES.items() if value in plain or re.sub(r"[\s-]", "", value) in digits]


def unescaped(message: Any) -> str:
    """All texts of a message, also those in JSON within texts."""
    texts: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(key)
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        else:
            texts.append(str(value))
            if isinstance(value, str) and value.startswith(("{", "[")):
                walk(_parsed(value))

    walk(message)
    return "\n".join(texts)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
