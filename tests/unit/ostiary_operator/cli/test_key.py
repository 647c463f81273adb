"""`ostiary key create`: a Secret on stdout, the key once on stderr, and both fit together."""

import hashlib
import time

import pytest
import yaml
from command_line import Ostiary

from ostiary_operator.compile.api_key_secrets import api_key_secret


def shown_key(err: str) -> str:
    (key,) = (line.strip() for line in err.splitlines() if line.startswith("  "))
    return key


def test_the_secret_on_stdout_holds_the_key_that_is_shown_on_stderr(ostiary: Ostiary) -> None:
    answer = ostiary(
        *("key", "create", "support-agent", "-n", "sales", "--groups", "support,readers", "--label", "app=crm"),
        *("--expires", "2027-01-31T00:00:00Z"),
    )
    assert answer.code == 0
    secret, key = yaml.safe_load(answer.out), shown_key(answer.err)
    assert secret["metadata"] == {
        "name": "support-agent",
        "namespace": "sales",
        "labels": {"ostiary.dev/usage": "api-key", "app": "crm"},
        "annotations": {"ostiary.dev/groups": "readers,support", "ostiary.dev/expires": "2027-01-31T00:00:00Z"},
    }
    read = api_key_secret(secret)
    assert read.digests == (("key", hashlib.sha256(key.encode()).hexdigest()),)
    assert (read.consumer, read.groups, read.defects) == ("support-agent", ("readers", "support"), ())


def test_two_keys_differ_and_are_long(ostiary: Ostiary) -> None:
    one, two = (shown_key(ostiary("key", "create", "agent").err) for _ in range(2))
    assert one != two
    assert len(one) == len(two) == len("ostiary_") + 43


def test_an_expiry_may_be_given_in_days(ostiary: Ostiary) -> None:
    secret = yaml.safe_load(ostiary("key", "create", "agent", "--expires", "90d").out)
    expires_at = api_key_secret(secret).expires_at
    assert expires_at is not None
    assert 89 * 86_400 < expires_at - time.time() <= 90 * 86_400


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("Support Agent",), "is not a name"),
        (("agent", "--consumer", "team/agent"), "ostiary.dev/consumer"),
        (("agent", "--expires", "soon"), "ostiary.dev/expires"),
        (("agent", "--groups", "x" * 129), "ostiary.dev/groups"),
        (("agent", "--label", "app"), "--label app"),
        (("agent", "--label", "app=a b"), "--label 'app=a b' is no label"),
        (("agent", "--label", "ostiary.dev/usage=x"), "is set already"),
        (("agent", "--consumer", ""), "--consumer ''"),
        (("Support_Agent",), "NAME 'Support_Agent'"),
        (("agent", "--expires", "2020-01-01T00:00:00Z"), "--expires '2020-01-01T00:00:00Z': is in the past"),
    ],
)
def test_an_argument_that_the_operator_would_refuse_makes_no_key(
    ostiary: Ostiary, arguments: tuple[str, ...], named: str
) -> None:
    answer = ostiary("key", "create", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert named in answer.err


def test_the_help_of_create_says_where_the_key_is_printed_and_has_examples(ostiary: Ostiary) -> None:
    shown = " ".join(ostiary("key", "create", "--help").out.split())
    assert "the key to stderr" in shown
    assert "ostiary key create support-agent -n sales | kubectl apply" in shown
