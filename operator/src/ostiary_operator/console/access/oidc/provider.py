"""The identity provider: its metadata, its keys, and the exchange of a code.

It is named by who installs the console, so its address is not judged. What it answers is: documents are bounded, parsed
strictly, and believed only about endpoints that are safe to send a code or a secret to.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.json_web_tokens.key_set import KeySet, KeySetError, VerificationKey, parse_key_set
from ostiary_core.json_web_tokens.signed_token import SignedToken, TokenNotValid
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.access.errors import ProviderUnavailable, SignInRefused
from ostiary_operator.console.access.oidc.oidc_options import OidcOptions, check_endpoint
from ostiary_operator.console.options import ConsoleOptionsError

_METADATA: Final = "/.well-known/openid-configuration"
#: Seconds for one request to the provider: a person waits.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=5)
_MOST_BYTES: Final = 512 * 1024
#: Seconds after which metadata and keys are read again, and the least between two reads of keys.
_FRESH_SECONDS: Final = 300.0
_DISTANCE_SECONDS: Final = 10.0
#: Seconds for which a provider that did not answer is not asked again: who waited meanwhile is told at once.
_AWAY_SECONDS: Final = 2.0
#: Seconds by which clocks may differ.
_LEEWAY: Final = 60.0
_BASIC: Final = "client_secret_basic"


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What a provider says of itself (OpenID Discovery §3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_methods: Sequence[str]
    names_issuer: bool
    """Whether its responses to a browser name it (RFC 9207 §3)."""


class OidcProvider:
    """A client of one provider.

    ``clock`` returns seconds. Must be used within one event loop.

    Raises:
        ConsoleOptionsError: its certificate authorities cannot be read.
    """

    def __init__(self, options: OidcOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._tls = _tls(options.ca_file)
        self._http: aiohttp.ClientSession | None = None
        self._reading = asyncio.Lock()
        self._reading_keys = asyncio.Lock()
        self._metadata: tuple[float, ProviderMetadata] | None = None
        self._away: tuple[float, str] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    async def metadata(self) -> ProviderMetadata:
        """Return what the provider says of itself; what it said before while it does not answer.

        Raises:
            ProviderUnavailable: it never answered as it must.
        """
        async with self._reading:
            if self._metadata is not None and self._clock() - self._metadata[0] < _FRESH_SECONDS:
                return self._metadata[1]
            if self._away is not None and self._clock() - self._away[0] < _AWAY_SECONDS:
                raise ProviderUnavailable(self._away[1])
            try:
                found = _metadata(await self._get(self._options.issuer.rstrip("/") + _METADATA), self._options.issuer)
            except ProviderUnavailable as error:
                if self._metadata is None:
                    self._away = (self._clock(), str(error))
                    raise
                found = self._metadata[1]
            self._metadata = (self._clock(), found)
            return found

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> str:
        """Exchange a code for an id token (RFC 6749 §4.1.3, RFC 7636 §4.5).

        Other tokens of the answer are dropped.

        Raises:
            SignInRefused: the provider does not accept the code.
            ProviderUnavailable: it does not answer as it must.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form |= {"code_verifier": verifier, "client_id": self._options.client_id}
        metadata = await self.metadata()
        headers: dict[str, str] = {}
        secret = self._options.client_secret
        if secret is not None and _BASIC in metadata.token_methods:
            headers["Authorization"] = _basic(self._options.client_id, secret)
        elif secret is not None:
            form["client_secret"] = secret.reveal().decode()
        status, answer = await self._request("POST", metadata.token_endpoint, form=form, headers=headers)
        if status != 200:
            raise SignInRefused(f"the identity provider does not accept the code ({_error(answer)}): sign in again")
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderUnavailable("the identity provider answered without an id token: the scope openid is needed")
        return token

    async def verified(self, token: str, *, nonce: str) -> Mapping[str, Any]:
        """Return the claims of an id token (OpenID Connect §3.1.3.7).

        Raises:
            SignInRefused: it is not valid for this console, or for this sign-in.
            ProviderUnavailable: the keys of the provider are not known.
        """
        options = self._options
        try:
            parsed = SignedToken.parse(token)
            algorithm = parsed.algorithm(options.algorithms, types=None)
            key = await self._key(parsed.key_id, algorithm)
            parsed.verify(
                key, algorithm=algorithm, issuer=options.issuer, audiences=[options.client_id], leeway=_LEEWAY
            )
        except TokenNotValid as error:
            raise SignInRefused(f"the id token of the identity provider is not accepted: {error}") from None
        claims = parsed.claims
        if claims.get("nonce") != nonce:
            raise SignInRefused("the id token belongs to another sign-in")
        audience = claims["aud"]
        is_shared = isinstance(audience, list) and len(audience) > 1
        if claims.get("azp", None if is_shared else options.client_id) != options.client_id:
            raise SignInRefused("the id token was issued to another client")
        return claims

    async def _key(self, kid: str | None, algorithm: str) -> VerificationKey:
        """Return the key for a token, after one more look at the provider's if it is not known."""
        async with self._reading_keys:
            keys = self._keys
            if keys is None or self._clock() - keys[0] >= _FRESH_SECONDS:
                keys = await self._read_keys()
            found = keys[1].find(kid, algorithm)
            if found is None and self._clock() - keys[0] >= _DISTANCE_SECONDS:
                found = (await self._read_keys())[1].find(kid, algorithm)
        if found is None:
            raise TokenNotValid("the token is signed with a key that its issuer does not publish")
        return found

    async def _read_keys(self) -> tuple[float, KeySet]:
        """Read the keys again; the last ones stay while the provider does not answer."""
        try:
            keys = parse_key_set(await self._get((await self.metadata()).jwks_uri))
        except (KeySetError, ProviderUnavailable) as error:
            if self._keys is None:
                raise ProviderUnavailable(f"the keys of the identity provider cannot be read: {error}") from None
            keys = self._keys[1]
        self._keys = (self._clock(), keys)
        return self._keys

    async def _get(self, url: str) -> dict[str, Any]:
        status, found = await self._request("GET", url)
        if status != 200:
            raise ProviderUnavailable(f"{url} answers {status}")
        return found

    async def _request(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Send a request, and return status and JSON object.

        Redirects are not followed: they would move a secret.
        """
        given = {"Accept": "application/json", **(headers or {})}
        try:
            async with self._session().request(
                method, url, data=form, headers=given, ssl=self._tls, allow_redirects=False
            ) as response:
                body = await response.content.read(_MOST_BYTES + 1)
                while len(body) <= _MOST_BYTES and (more := await response.content.read(_MOST_BYTES)):
                    body += more
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable(f"{url}: {str(error) or type(error).__name__}") from None
        return status, _object(body, url)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), timeout=_TIMEOUT, trust_env=True, auto_decompress=False
            )
        return self._http


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise ConsoleOptionsError(f"--oidc-ca-file {ca_file}: it holds no certificates: {error}") from None


def _metadata(document: Mapping[str, Any], issuer: str) -> ProviderMetadata:
    if document.get("issuer") != issuer:
        raise ProviderUnavailable(f"the metadata of the identity provider are not those of {issuer}")
    methods = document.get("token_endpoint_auth_methods_supported", [_BASIC])
    known = [each for each in methods if isinstance(each, str)] if isinstance(methods, list) else [_BASIC]
    names_issuer = document.get("authorization_response_iss_parameter_supported") is True
    return ProviderMetadata(
        authorization_endpoint=_endpoint(document, "authorization_endpoint"),
        token_endpoint=_endpoint(document, "token_endpoint"),
        jwks_uri=_endpoint(document, "jwks_uri"),
        token_methods=known,
        names_issuer=names_issuer,
    )


def _endpoint(document: Mapping[str, Any], name: str) -> str:
    try:
        return check_endpoint(document.get(name), what=f"{name} of the identity provider")
    except ConsoleOptionsError as error:
        raise ProviderUnavailable(str(error)) from None


def _object(body: bytes, url: str) -> dict[str, Any]:
    if len(body) > _MOST_BYTES:
        raise ProviderUnavailable(f"{url} answers with more than {_MOST_BYTES} bytes")
    try:
        found = strict_json.loads(body)
    except StrictJSONError:
        found = None
    if not isinstance(found, dict):
        raise ProviderUnavailable(f"{url} does not answer with a JSON object")
    return found


def _basic(client: str, secret: SecretBytes) -> str:
    """Return the credentials of a client (RFC 6749 §2.3.1: both are encoded as in a form)."""
    return aiohttp.encode_basic_auth(quote(client, safe=""), quote(secret.reveal().decode(), safe=""))


def _error(answer: Mapping[str, Any]) -> str:
    """Return the code of an error (RFC 6749 §5.2), which is one word."""
    code = answer.get("error")
    return code if isinstance(code, str) and code.isascii() and code.isidentifier() and len(code) < 50 else "no reason"
