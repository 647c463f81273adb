import hashlib
from typing import cast

import pytest

from ostiary_core.contract.authentication import ApiKeyConfig, ApiKeysConfig
from ostiary_core.contract.documents import SettingsDocument
from ostiary_gateway.errors import Refusal
from ostiary_gateway.identity.api_keys import ApiKeys
from ostiary_gateway.identity.authenticator import AuthenticationMethod, Authenticator, Outcomes
from ostiary_gateway.server.request import Request

BEARER = ApiKeys(ApiKeysConfig(header="authorization", scheme="Bearer", keys=[]))
PLAIN = ApiKeys(ApiKeysConfig(header="x-api-key", keys=[]))


class _Received:
    """The parts of a request that authentication reads."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.target, self.headers, self.repeated = "/mock/mcp", headers, frozenset[str]()


async def refusal(methods: list[AuthenticationMethod], headers: dict[str, str]) -> Refusal:
    authenticator = Authenticator("default/mock", methods, anonymous=False, outcomes=Outcomes())
    with pytest.raises(Refusal) as refused:
        await authenticator.authenticate(cast("Request", _Received(headers)), cast("SettingsDocument", None))
    return refused.value


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ([BEARER], "the header 'Authorization: Bearer CREDENTIAL'"),
        ([PLAIN], "the header 'X-Api-Key: CREDENTIAL'"),
        ([PLAIN, BEARER], "the header 'Authorization: Bearer CREDENTIAL'"),
    ],
)
async def test_a_caller_without_a_credential_learns_how_to_send_one(
    methods: list[AuthenticationMethod], expected: str
) -> None:
    assert (await refusal(methods, {})).message == f"This MCP proxy needs a credential: send {expected}"


@pytest.mark.parametrize("value", ["some-example-key-01", "Basic some-example-key-01", "Token some-example-key-01"])
async def test_a_key_after_the_wrong_scheme_is_refused_with_the_right_one(value: str) -> None:
    found = await refusal([BEARER], {"authorization": value})
    assert found.reason == "CredentialInvalid"
    assert "send the header 'Authorization: Bearer CREDENTIAL'" in found.message
    assert "some-example-key-01" not in found.message + str(found.headers)


async def test_an_unknown_key_is_refused_without_saying_whether_it_was_ever_valid() -> None:
    found = await refusal([BEARER], {"authorization": "Bearer some-example-key-01"})
    assert found.message.endswith("it is unknown, expired or removed")


async def test_refused_callers_are_logged_once_a_minute_for_each_reason_without_their_credential(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    authenticator = Authenticator("default/mock", [BEARER], anonymous=False, outcomes=Outcomes())
    for headers in ({}, {"authorization": "Bearer some-example-key-01"}, {}, {"authorization": "Bearer other-key-02"}):
        with pytest.raises(Refusal):
            await authenticator.authenticate(cast("Request", _Received(headers)), cast("SettingsDocument", None))
    missing, invalid = caplog.messages
    assert missing.startswith("proxy default/mock: refused a caller with 401 CredentialMissing: ")
    assert invalid.startswith("proxy default/mock: refused a caller with 401 CredentialInvalid: ")
    assert "some-example-key-01" not in invalid


def test_counts_and_messages_of_a_proxy_end_with_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    outcomes = Outcomes()
    for _ in range(2):
        outcomes.refused("default/mock", Refusal(401, "CredentialMissing", "send one"))
        outcomes.forget(["default/mock"])
    assert not outcomes.counts
    assert len(caplog.messages) == 2


def keyed(key: str = "some-example-key-01") -> ApiKeys:
    digest = hashlib.sha256(key.encode()).hexdigest()
    entry = ApiKeyConfig(digest=digest, consumer="default/agent")
    return ApiKeys(ApiKeysConfig(header="authorization", scheme="Bearer", keys=[entry]))


def sent(key: str = "some-example-key-01", *, target: str = "/mock/mcp", is_repeated: bool = False) -> Request:
    received = _Received({"authorization": f"Bearer {key}"})
    received.target = target
    received.repeated = frozenset({"authorization"} if is_repeated else ())
    return cast("Request", received)


async def test_a_credential_that_was_verified_is_recognised_without_waiting_and_counted() -> None:
    outcomes = Outcomes()
    authenticator = Authenticator("default/mock", [keyed()], anonymous=False, outcomes=outcomes)

    assert authenticator.recognised(sent()) is None
    principal = await authenticator.authenticate(sent(), cast("SettingsDocument", None))

    assert authenticator.recognised(sent()) is principal
    assert outcomes.counts == {("default/mock", "apiKey", "accepted"): 2}


async def test_a_credential_is_not_recognised_once_its_verdict_is_gone_or_the_methods_changed() -> None:
    authenticator = Authenticator("default/mock", [keyed()], anonymous=False, outcomes=Outcomes())
    await authenticator.authenticate(sent(), cast("SettingsDocument", None))
    later = Authenticator("default/mock", [keyed()], anonymous=False, outcomes=Outcomes())

    assert later.recognised(sent()) is None
    authenticator._verdicts.drop(next(iter(authenticator._verdicts.known)))
    assert authenticator.recognised(sent()) is None


async def test_what_must_be_refused_is_never_recognised() -> None:
    authenticator = Authenticator("default/mock", [keyed()], anonymous=False, outcomes=Outcomes())
    await authenticator.authenticate(sent(), cast("SettingsDocument", None))
    with pytest.raises(Refusal):
        await authenticator.authenticate(sent("other-key-02"), cast("SettingsDocument", None))

    assert authenticator.recognised(sent("other-key-02")) is None
    assert authenticator.recognised(sent(is_repeated=True)) is None
    assert authenticator.recognised(sent(target="/mock/mcp?access_token=x")) is None
    assert authenticator.recognised(cast("Request", _Received({}))) is None


async def test_a_credential_that_may_be_in_several_headers_is_left_to_the_whole_check() -> None:
    authenticator = Authenticator("default/mock", [keyed(), PLAIN], anonymous=False, outcomes=Outcomes())
    principal = await authenticator.authenticate(sent(), cast("SettingsDocument", None))

    assert authenticator.recognised(sent()) is None
    assert await authenticator.authenticate(sent(), cast("SettingsDocument", None)) is principal
