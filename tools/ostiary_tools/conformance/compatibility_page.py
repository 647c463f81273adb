"""Renders the page `docs/compatibility.md` from the results of clients."""

from collections.abc import Mapping, Sequence
from typing import Final

#: An agent framework, and its reaction to both forms of a denial of a listed tool.
_FRAMEWORKS: Final = (
    (
        "LangChain 1.5.2 (`langchain-mcp-adapters` 0.3.2, `create_agent`)",
        "the run ends with `McpError`",
        "the model reads the reason and continues",
    ),
    (
        "CrewAI 1.15.30 (`crewai-tools`, `MCPServerAdapter`)",
        "the model gets the list of tools again, without a reason",
        "the model reads the reason and continues",
    ),
    (
        "Agno 3.1.10 (`MCPTools`, its function call alone)",
        'the model reads the reason, and that "the MCP server may be unreachable"',
        "the model reads the reason",
    ),
    (
        "Pydantic AI 2.68.0 (`MCPToolset`)",
        "the model reads the reason, as a return of the tool",
        "the model reads the reason and continues",
    ),
)

_YES: Final = ("yes",) * 4
_FLOWS: Final = (
    ("Client registered beforehand, with a secret and without", *_YES, "`test_sign_in.py`"),
    ("Client id metadata document", *_YES, "`test_sign_in.py`"),
    ("Dynamic registration", *_YES, "`test_sign_in.py`"),
    ("Opaque tokens, confirmed by introspection", *_YES, "`test_sign_in.py`"),
    ("An issuer whose certificate has a private authority", *_YES, "`test_sign_in.py`"),
    (
        "A call needs more scopes: a wider token, in the same session",
        *("yes", "yes", "without a refresh token only", "yes"),
        "`test_sign_in_sessions.py`",
    ),
    ("A token expires: a new one, in the same session", *_YES, "`test_sign_in_sessions.py`"),
    ("The issuer signs with a new key during a session", *_YES, "`test_sign_in_faults.py`"),
    ("Passthrough before a server that does its own OAuth", *_YES, "`test_sign_in_passthrough.py`"),
)

_PAGE: Final = """\
<!-- Written by `make conformance WRITE_DOCS=1`. Do not edit. -->
# Compatibility

What unchanged clients can do through an Ostiary gateway, under a policy that allows everything by name, with two
test servers: one on the Python SDK 2.3.0 and one on the TypeScript SDK 2.4.0. The tests repeat every cell at both
servers. A dash means that the client cannot do it, with or without the gateway.

{table}

{legend}

Dashes: `resumption` belongs to sessions, `mrtr` and `listen` to 2026-07-28; in that revision sampling, elicitation and
roots are rounds of `input_required`, and a `subscriptions/listen` stream reports changes. The Inspector's command line
opens a session for each command, and has no command for the rest.

## Across eras

The same clients, at servers that speak the other era only: clients of 2025-11-25 at a stateless server of 2026-07-28,
clients of 2026-07-28 at a server that knows sessions only. The gateway translates ([how](guides/eras.md)). The features
are those of the client's revision, so sampling, elicitation and roots are requests in a session for one, and rounds of
`input_required` for the other, whatever the server does.

{across}

Not carried across: `resumption` of calls, and rounds of `input_required` of a server with sessions, which has none:
there `mrtr` of a client of 2026-07-28 has nothing to go through.

## Signing in with OAuth

The OAuth clients of the official SDKs sign in through a gateway, from the 401 to the call of a tool, at a real
authorization server: `oidc-provider` 9.13.3. A scripted browser follows its redirects and posts its forms. Each
sign-in uses PKCE (S256) and `resource` (RFC 8707). Clients of version 2 do it in the revisions 2025-11-25 and
2026-07-28, those of version 1 in 2025-11-25. Each run of the tests repeats it.

| Flow | Python 1.30.0 | Python 2.3.0 | TypeScript 1.32.2 | TypeScript 2.4.0 | Test, in `tests/protocol` |
|---|---|---|---|---|---|
{flows}

With a refresh token the TypeScript SDK 1.32.2 refreshes where it should ask for more scopes, and its call fails with
the status 403. At a 401 the Python SDKs sign in again where they could refresh; they refresh by their own clock.

GitHub's server, `https://api.githubcopilot.com/mcp/`, does its own OAuth and goes behind `passthrough`
([how](guides/identity-providers.md#servers-with-their-own-oauth)). It needs an account, so no test signs in there: the
tests have a server of the same kind in its place. GitHub registers no clients dynamically; VS Code has a client there.

## Agent frameworks at a tool that may be seen and not called

Measured once, on 29 November 2026, with a scripted model that calls `delete_user` under a policy that lists and denies
it. The middle column is what error -31001 did in earlier versions, the right one what the result with `isError` does.

| Framework | -31001 | `isError` |
|---|---|---|
{frameworks}

Each test run checks the official SDKs (`tests/protocol/test_access.py`, `tests/protocol/test_typescript.py`).
"""


def _table(features: Mapping[str, str], rows: Sequence[str]) -> str:
    head = f"| Client | Revision | {' | '.join(f'`{each}`' for each in features)} |"
    return "\n".join([head, "|---" * (len(features) + 2) + "|", *rows])


def page(features: Mapping[str, str], rows: Sequence[str], across: Sequence[str]) -> str:
    """Return the page.

    Args:
        features: the meaning of each column.
        rows: those of clients at servers of their own era.
        across: those of clients at servers of the other era.
    """
    legend = "\n".join(f"- `{name}`: {meaning}" for name, meaning in features.items())
    flows, frameworks = ("\n".join(f"| {' | '.join(each)} |" for each in lines) for lines in (_FLOWS, _FRAMEWORKS))
    tables = {"table": _table(features, rows), "across": _table(features, across)}
    return _PAGE.format(**tables, legend=legend, flows=flows, frameworks=frameworks)
