"""What the command line says of viewers, and what it refuses."""

import argparse
from pathlib import Path

import pytest

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.access.access_arguments import add_arguments, shared_access
from ostiary_operator.console.access.oidc.oidc_options import OidcOptions
from ostiary_operator.console.access.oidc.provider import OidcProvider
from ostiary_operator.console.access.shared_access import SharedAccess
from ostiary_operator.console.options import ConsoleOptionsError

ISSUER = "https://login.example.com"
OIDC = ("--oidc-issuer", ISSUER, "--oidc-client-id", "console")


def parsed(*words: str) -> SharedAccess | None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return shared_access(parser.parse_args(words), namespaces=("sales",))


def test_without_options_the_console_is_for_one_person() -> None:
    assert parsed() is None


def test_tokens_alone_are_a_way_in() -> None:
    assert parsed("--accept-tokens") == SharedAccess(accepts_tokens=True, namespaces=("sales",))


def test_an_identity_provider_has_the_defaults_of_the_api_server() -> None:
    assert parsed(*OIDC) == SharedAccess(OidcOptions(ISSUER, "console"), namespaces=("sales",))


def test_all_options_reach_the_sign_in(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary\n")
    (tmp_path / "key").write_bytes(b"\n" * 32)
    found = parsed(
        *OIDC,
        *("--oidc-client-secret-file", str(tmp_path / "secret")),
        *("--session-key-file", str(tmp_path / "key")),
        *("--oidc-scope", "email", "--oidc-scope", "groups"),
        *("--oidc-username-claim", "email", "--oidc-username-prefix", "oidc:"),
        *("--oidc-groups-claim", "groups", "--oidc-groups-prefix", "oidc:"),
        *("--oidc-required-claim", "tenant=eu=1", "--oidc-signing-alg", "ES256"),
    )
    assert found == SharedAccess(
        OidcOptions(
            ISSUER,
            "console",
            client_secret=SecretBytes(b"canary"),
            scopes=("email", "groups"),
            username_claim="email",
            username_prefix="oidc:",
            groups_claim="groups",
            groups_prefix="oidc:",
            required_claims={"tenant": "eu=1"},
            algorithms=("ES256",),
        ),
        session_key=SecretBytes(b"\n" * 32),
        namespaces=("sales",),
    )
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--oidc-issuer", ISSUER), "--oidc-client-id"),
        (("--oidc-issuer", "http://login.example.com", "--oidc-client-id", "c"), "--oidc-issuer"),
        (("--oidc-client-id", "console"), "--oidc-issuer"),
        (("--session-key-file", "missing"), "--oidc-issuer"),
        (("--accept-tokens", "--session-key-file", "/nowhere/key"), "/nowhere/key"),
        ((*OIDC, "--oidc-client-secret-file", "/dev/null"), "/dev/null"),
        ((*OIDC, "--oidc-signing-alg", "HS256"), "--oidc-signing-alg"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(words: tuple[str, ...], named: str) -> None:
    with pytest.raises(ConsoleOptionsError, match=named):
        parsed(*words)


def test_a_key_of_another_length_and_a_secret_that_is_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff" * 31)
    with pytest.raises(ConsoleOptionsError, match="31 bytes"):
        parsed("--accept-tokens", "--session-key-file", str(tmp_path / "bytes"))
    with pytest.raises(ConsoleOptionsError, match="no text"):
        parsed(*OIDC, "--oidc-client-secret-file", str(tmp_path / "bytes"))


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_certificate_authorities_that_cannot_be_read_are_refused_at_the_start(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConsoleOptionsError, match="--oidc-ca-file"):
        OidcProvider(OidcOptions(ISSUER, "console", ca_file=str(file)))
