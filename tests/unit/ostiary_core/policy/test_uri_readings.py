"""What servers make of a URI: judged as spelled, as WHATWG parsers normalise it, and where it leads once decoded."""

import json
import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resource_spellings import PLAIN, SECRETS
from visibilities import visibility_by_rules, visibility_of

from ostiary_core.errors import AmbiguousURIError
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.decision import DecisionReason
from ostiary_core.policy.uri_readings import read_uri, rule_names
from ostiary_core.policy.visibility import Visibility
from ostiary_tools.toolchain import node

RESOURCES = Primitive.RESOURCES
DENY = {"name": "secret", "effect": "Deny", "resources": {"names": ["file:///secret/*"]}}


def resources(effect: str, *names: str) -> Visibility:
    return visibility_by_rules({"name": "r", "effect": effect, "resources": {"names": list(names)}})


def reads(subject: Visibility, uri: str) -> bool:
    return subject.decide(RESOURCES, Verb.READ, uri).allowed


@pytest.mark.parametrize(
    ("uri", "looked_up"),
    [
        ("file:///docs/../secret/key", "file:///secret/key"),
        ("file:///docs/%2e%2E/secret/key", "file:///secret/key"),
        ("FILE:///secret/key", "file:///secret/key"),
        ("file://localhost/secret/key", "file:///secret/key"),
        ("file:/secret/key", "file:///secret/key"),
        ("file:\\secret\\key", "file:///secret/key"),
        ("file:///sec\tr\r\net/key", "file:///secret/key"),
        ("\x00 file:///secret/key \x1f", "file:///secret/key"),
        ("https://EXAMPLE.com:443", "https://example.com/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("test://Host/a/../b", "test://Host/b"),
        ("urn:a b", "urn:a%20b"),
        ("file:///a^b", "file:///a%5Eb"),
        ("file:///docs/a?b#c", "file:///docs/a"),
    ],
)
def test_a_uri_is_read_as_servers_normalise_it(uri: str, looked_up: str) -> None:
    found = read_uri(uri).looked_up

    assert found[0] == uri
    assert looked_up in found


@pytest.mark.parametrize(
    ("uri", "end"),
    [
        ("file:///secr%65t/key", "file:///secret/key"),
        ("file:///secret%2fkey", "file:///secret/key"),
        ("file:////secret//key", "file:///secret/key"),
        ("file://elsewhere/secret/key", "file:///secret/key"),
        ("file:///secret/key/", "file:///secret/key"),
        ("https://user:word@example.com/a", "https://example.com/a"),
        ("https://example.com./a#b", "https://example.com/a"),
        ("test://HOST/%61?%62", "test://host/a?b"),
        ("docs:./a", "docs:a"),
        ("file:///secr%65t/", "file:///secret/"),
        ("file://elsewhere/secret/", "file:///secret/"),
        ("db://Secre%74/key", "db://Secret/key"),
        ("db:%2F%2fsecret/key", "db://secret/key"),
        ("notes/secre%74", "notes/secret"),
    ],
)
def test_a_uri_is_read_as_where_it_leads(uri: str, end: str) -> None:
    assert end in read_uri(uri).ends_at


@pytest.mark.parametrize(
    "uri",
    [
        *("file:///docs/readme.md", "test://watched-resource", "ui://widget/a.html", "memo://insights"),
        *("urn:isbn:9780141036144", "https://example.com/a/b?c=d", "test://template/{id}/data", "test://x{?q,r}"),
        *("greeting", "My notes", "{scheme}://a", "https://api:{port}/a", "db://main/table?row=1"),
    ],
)
def test_a_plain_uri_or_template_has_its_spelling_as_its_only_reading(uri: str) -> None:
    assert read_uri(uri) == ((uri,), ())


@pytest.mark.parametrize(
    "uri",
    [
        *("file:///docs/..%2fsecret", "file:///docs/..%5csecret", "docs:public/../secret", "docs:public/%2e%2e/secret"),
        *(
            "docs/../secret",
            "docs\\secret",
            "docs/%2e%2e/secret",
            " docs",
            "do\tcs",
            "https://[::1",
            "file:///docs/C:/../../secret",
            "file://a:b:c/",
            "users://../profile",
            "users://..%2fadmin/profile",
        ),
    ],
)
def test_an_undecidable_uri_is_ambiguous(uri: str) -> None:
    with pytest.raises(AmbiguousURIError):
        read_uri(uri)

    assert visibility_by_rules(DENY).decide(RESOURCES, Verb.READ, uri).reason is DecisionReason.AMBIGUOUS_URI


@pytest.mark.parametrize("uri", SECRETS)
def test_no_spelling_of_a_resource_evades_a_rule(uri: str) -> None:
    for names in (["file:///secret/*"], ["file:///secret/key"], ["FILE:/docs/../secr%65t/*"], ["*/secret/*"]):
        assert not reads(resources("Deny", *names), uri)
    assert not reads(resources("Allow", "file:///docs/*"), uri)
    assert not reads(resources("Allow", "file:///docs/*.md", "file:///secret/*.md"), uri)
    assert not reads(visibility_of(catalogue={"resources": {"exclude": ["file:///secret/*"]}}), uri)
    assert not reads(visibility_of(catalogue={"resources": {"include": ["file:///docs/*"]}}), uri)


@pytest.mark.parametrize("uri", PLAIN)
def test_a_plain_spelling_of_what_is_allowed_passes(uri: str) -> None:
    assert reads(resources("Allow", "file:///docs/*"), uri)
    assert reads(resources("Deny", "file:///secret/*"), uri)


def test_a_rule_applies_to_a_resource_however_the_rule_spells_it() -> None:
    assert reads(resources("Allow", "https://Example.com"), "https://example.com/")
    assert reads(resources("Allow", "file:///my docs/*"), "file:///my docs/a")
    assert reads(resources("Allow", "test://t/{id}"), "test://t/{id}")
    assert not reads(resources("Deny", "https://Example.com"), "https://example.com/")
    assert not reads(resources("Deny", "file://localhost/secret/*"), "file:///secret/key")


def test_a_rule_for_one_host_does_not_match_others_and_an_encoded_star_is_no_wildcard() -> None:
    assert rule_names(["file://host/a/*"], denies=True) == ["file://host/a/*"]
    assert rule_names(["test://a/%2A%61"], denies=True) == ["test://a/%2A%61", "test://a/%2Aa"]
    assert rule_names(None, denies=True) is None


def test_a_denial_of_any_reading_is_its_own_evidence() -> None:
    decision = visibility_by_rules(DENY, {"name": "all", "effect": "Allow"}).decide(
        RESOURCES, Verb.READ, "file:///a/../secret/key"
    )

    assert (decision.reason, decision.rule) == (DecisionReason.DENIED, "secret")


def test_where_resources_are_not_governed_no_uri_is_read() -> None:
    tools_only = visibility_by_rules({"name": "t", "effect": "Deny", "tools": {"names": ["x"]}})

    assert reads(tools_only, "file:///docs/..%2fsecret")


PIECES = [
    *("/", "//", "\\", "..", ".", "%2e", "%2E%2e", "%2f", "%5c", "localhost", "secret", "docs", "key", "?", "#", "@"),
    *(":", "80", " ", "\t", "\n", "\x00", "\x1f", "|", "C:", "[::1]", "0x7f.1", "127.0.0.1", "bücher", "example.com"),
    *("{x}", "`", '"', "<", "%", "%zz", "%41", "~", "*", "İ", "é", "%c3%a9", "..;", "\x7f", "^", "q"),
]
STARTS = ["file:///docs/", "FILE:/docs/", "file:", "file://", "https://h/docs/", "http:", "test://docs/", "test:", ""]
URIS = st.builds(
    "".join, st.tuples(st.sampled_from(STARTS), st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
)


@given(URIS)
def test_what_was_read_once_is_read_alike_again(uri: str) -> None:
    try:
        readings = read_uri(uri)
    except AmbiguousURIError:
        return

    for reading in readings.looked_up:
        assert set(read_uri(reading).ends_at) <= {*readings.looked_up, *readings.ends_at}


@pytest.mark.node
def test_what_node_makes_of_a_uri_is_among_its_readings() -> None:
    """Node.js keeps empty segments in front of a file's path; where that leads is read alike."""
    source = random.Random(9)  # noqa: S311  the same URIs every time
    uris = sorted(
        {source.choice(STARTS) + "".join(source.choices(PIECES, k=source.randint(1, 8))) for _ in range(40_000)}
    )
    script = "const all = JSON.parse(require('fs').readFileSync(0)); process.stdout.write(JSON.stringify(all.map("
    script += "(uri) => { try { return new URL(uri).href } catch { return null } })))"
    found = node.ensure()
    done = subprocess.run(
        [found.node, "-e", script],
        env=found.environment(),
        input=json.dumps(uris).encode(),
        capture_output=True,
        check=True,
    )

    missed = [(uri, href) for uri, href in zip(uris, json.loads(done.stdout), strict=True) if not _is_read(uri, href)]

    assert missed == [], missed


def _is_read(uri: str, href: str | None) -> bool:
    try:
        readings = read_uri(uri)
        if href is None or _plain(href) in map(_plain, readings.looked_up):
            return True
        return set(read_uri(href).ends_at) <= {*readings.looked_up, *readings.ends_at}
    except AmbiguousURIError:
        return True


def _plain(uri: str) -> str:
    """Braces, bars and carets mean the same as their escapes, and vice versa."""
    for character in "{}|^":
        uri = uri.replace(f"%{ord(character):02X}", character)
    return uri
