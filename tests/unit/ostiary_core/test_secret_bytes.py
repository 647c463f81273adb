"""A secret cannot leave by accident."""

import copy
import json
import pickle

import orjson
import pytest

from ostiary_core.secret_bytes import SecretBytes

SECRET = SecretBytes(b"canary")


def test_no_text_of_it_holds_the_secret() -> None:
    assert "canary" not in f"{SECRET} {SECRET!r} {[SECRET]} {{'a': SECRET}}"


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, orjson.dumps])
def test_nothing_serialises_it(write: object) -> None:
    assert callable(write)
    with pytest.raises(TypeError):
        write(SECRET)


def test_an_empty_one_is_still_a_secret() -> None:
    assert bool(SecretBytes(b""))
    assert len(SecretBytes(b"")) == 0
