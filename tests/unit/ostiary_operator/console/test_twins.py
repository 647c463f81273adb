"""The twin of a page is its model as JSON."""

import enum
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from markupsafe import Markup

from ostiary_operator.console.empty_states import EmptyReason, empty
from ostiary_operator.console.paging import paged
from ostiary_operator.console.twins import as_json, twin


class State(enum.Enum):
    UP = "Up"


@dataclass(frozen=True, slots=True)
class Drawn:
    upstream_seconds: float
    drawing: Markup
    state: State
    at: datetime
    names: frozenset[str]
    by_name: dict[str, object]


def test_a_twin_has_the_members_of_the_model_in_camel_case() -> None:
    model = Drawn(0.5, Markup("<svg>"), State.UP, datetime(2026, 1, 2, tzinfo=UTC), frozenset("ba"), {"x_y": (1, None)})

    assert json.loads(twin(model)) == {
        "upstreamSeconds": 0.5,
        "state": "Up",
        "at": "2026-01-02T00:00:00+00:00",
        "names": ["a", "b"],
        "byName": {"x_y": [1, None]},
    }


def test_pages_of_lists_and_empty_states_are_data_too() -> None:
    assert as_json(paged(["a"], 1)) == {"rows": ["a"], "number": 1, "last": 1, "total": 1}
    assert as_json(empty(EmptyReason.NO_RIGHT))["reason"] == "NoRight"


def test_a_name_of_a_hostile_server_stays_exact_and_can_be_sent() -> None:
    assert json.loads(twin(["<script>\u202e\x00", "half\ud800"])) == ["<script>\u202e\x00", "half\\ud800"]


def test_what_is_no_data_is_a_bug_of_the_page() -> None:
    with pytest.raises(TypeError, match="a model of a page holds object"):
        twin(object())
