from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.contract.server_resilience import CircuitBreakerConfig
from ostiary_gateway.upstream.circuit import PARTS, TRIAL_SECONDS, Circuit, CircuitState, OutcomeWindow

CONFIG = CircuitBreakerConfig(error_percent=50, minimum_requests=4, interval=10_000, open_for=30_000)
ONE, OTHER = object(), object()


def ticket(circuit: Circuit, now: float, owner: object = ONE) -> int:
    """The ticket of a request that is admitted."""
    found = circuit.admit(now, owner)
    assert found is not None
    return found


def opened(config: CircuitBreakerConfig = CONFIG) -> Circuit:
    """A circuit that opens at second 0."""
    circuit = Circuit(config)
    while circuit.is_closed:
        circuit.failed(0.0, ticket(circuit, 0.0))
    return circuit


def test_a_circuit_is_closed_until_enough_requests_have_failed() -> None:
    circuit = Circuit(CONFIG)
    for _ in range(3):
        assert not circuit.failed(1.0, ticket(circuit, 1.0))
    assert circuit.is_closed
    assert circuit.failed(1.0, ticket(circuit, 1.0))
    assert circuit.state(1.0) is CircuitState.OPEN
    assert circuit.opened == 1


def test_a_smaller_share_of_failures_opens_nothing() -> None:
    circuit = Circuit(CONFIG)
    for _ in range(5):
        circuit.succeeded(1.0, ticket(circuit, 1.0))
    for _ in range(4):
        assert not circuit.failed(1.0, ticket(circuit, 1.0))
    assert circuit.counted == (4, 9)
    assert circuit.failed(1.0, ticket(circuit, 1.0))


def test_failures_of_an_earlier_interval_do_not_count() -> None:
    circuit = Circuit(CONFIG)
    for _ in range(3):
        circuit.failed(0.5, ticket(circuit, 0.5))
    assert not circuit.failed(10.5, ticket(circuit, 10.5))
    assert circuit.counted == (1, 1)


def test_an_open_circuit_admits_nothing_until_its_time_is_over() -> None:
    circuit = opened()
    assert circuit.admit(29.9, ONE) is None
    assert circuit.retry_after(29.0) == 1.0
    assert circuit.state(30.0) is CircuitState.HALF_OPEN
    assert circuit.admit(30.0, ONE) is not None


def test_one_trial_at_a_time_is_admitted() -> None:
    circuit = opened()
    first = ticket(circuit, 30.0)
    assert circuit.admit(30.0, OTHER) is None
    assert circuit.retry_after(30.0) == TRIAL_SECONDS
    circuit.released(first)
    assert circuit.admit(30.1, OTHER) is not None


def test_a_request_that_belongs_to_the_trial_passes_with_it_and_does_not_end_it() -> None:
    circuit = opened()
    first, with_it = ticket(circuit, 30.0), ticket(circuit, 30.0)
    circuit.released(with_it)
    assert circuit.admit(30.0, OTHER) is None
    circuit.released(first)
    assert circuit.admit(30.0, OTHER) is not None


def test_a_trial_that_does_not_end_makes_room_for_the_next() -> None:
    circuit = opened()
    hung = ticket(circuit, 30.0)
    assert circuit.admit(59.9, OTHER) is None
    later = ticket(circuit, 60.0, OTHER)
    assert not circuit.failed(60.1, hung)
    circuit.released(hung)
    assert circuit.admit(60.1, ONE) is None
    assert circuit.succeeded(60.2, later)


def test_a_trial_that_succeeds_closes_the_circuit_and_forgets_what_failed() -> None:
    circuit = opened()
    assert circuit.succeeded(30.0, ticket(circuit, 30.0))
    assert circuit.state(30.0) is CircuitState.CLOSED
    assert not circuit.failed(30.0, ticket(circuit, 30.0))
    assert circuit.counted == (1, 1)


def test_a_trial_that_fails_opens_the_circuit_again_for_the_whole_time() -> None:
    circuit = opened()
    assert circuit.failed(31.0, ticket(circuit, 31.0))
    assert circuit.admit(60.9, ONE) is None
    assert circuit.admit(61.0, ONE) is not None
    assert circuit.opened == 2


def test_outcomes_of_requests_from_before_it_opened_are_old_news() -> None:
    circuit = Circuit(CONFIG)
    late = [ticket(circuit, 0.0) for _ in range(6)]
    for each in late[:4]:
        circuit.failed(0.0, each)
    trial = ticket(circuit, 30.0)
    assert not circuit.succeeded(30.0, late[4])
    assert not circuit.failed(30.0, late[5])
    assert circuit.state(30.0) is CircuitState.HALF_OPEN
    assert circuit.succeeded(30.0, trial)


@given(
    events=st.lists(st.tuples(st.floats(0, 4), st.booleans()), max_size=80),
    seconds=st.floats(0.05, 20),
)
def test_a_window_counts_what_is_younger_than_the_interval_and_nothing_older(
    events: list[tuple[float, bool]], seconds: float
) -> None:
    window, now, past = OutcomeWindow(seconds), 1000.0, []
    for gap, failed in events:
        now += gap
        past.append((now, failed))
        window.add(now, failed=failed)
        part = seconds / PARTS
        newest = int(now / part)
        # Independently of rings: every outcome of the last ten parts.
        expected = [bad for at, bad in past if newest - int(at / part) < PARTS]
        assert (window.failed, window.total) == (sum(expected), len(expected))
        sure = [bad for at, bad in past if now - at < seconds - 1.001 * part]
        assert len(sure) <= window.total


ACTIONS = st.lists(
    st.tuples(st.floats(0, 3), st.sampled_from(["ask", "well", "ill", "gone"]), st.integers(0, 5)), max_size=120
)


@given(actions=ACTIONS)
def test_whatever_happens_one_owner_at_most_is_on_trial_and_the_circuit_is_never_stuck(
    actions: list[tuple[float, str, int]],
) -> None:
    config = CircuitBreakerConfig(error_percent=50, minimum_requests=2, interval=2000, open_for=3000)
    circuit, now = Circuit(config), 0.0
    flights: list[tuple[int, object, float]] = []
    for gap, action, which in actions:
        now += gap
        if action == "ask":
            owner = object()
            if (found := circuit.admit(now, owner)) is not None:
                if circuit.state(now) is CircuitState.HALF_OPEN:
                    on_trial = [each for each in flights if each[0] == found]
                    assert not on_trial, "two requests hold one trial"
                flights.append((found, owner, now))
            else:
                assert not circuit.is_closed
                assert circuit.retry_after(now) >= 0
        elif flights:
            ticket_, _, _ = flights.pop(which % len(flights))
            if action == "gone":
                circuit.released(ticket_)
            else:
                (circuit.succeeded if action == "well" else circuit.failed)(now, ticket_)
    assert circuit.admit(now + 6.1, object()) is not None, "after two times openFor it admits a trial in any case"
