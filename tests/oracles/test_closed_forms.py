"""The analytic parts agree with what is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from outgrow.capacity.closed import Round, approximate, throughput_curve
from outgrow.capacity.flow import through
from outgrow.capacity.queueing import erlang_b, erlang_c, mean_wait_seconds


def test_one_server_waits_as_m_m_1_does() -> None:
    load = np.array([0.1, 0.5, 0.9])
    waits = mean_wait_seconds(1, load, 1.0)
    assert waits == pytest.approx(load / (1 - load))


@pytest.mark.parametrize("servers", [2, 5, 20])
def test_many_servers_wait_as_the_sum_of_erlang_says(servers: int) -> None:
    offered = servers * 0.8
    terms = [offered**n / math.factorial(n) for n in range(servers)]
    last = offered**servers / math.factorial(servers) / (1 - 0.8)
    expected = last / (sum(terms) + last)
    assert float(erlang_c(servers, offered)) == pytest.approx(expected)
    blocked = offered**servers / math.factorial(servers)
    assert float(erlang_b(servers, offered)) == pytest.approx(blocked / (sum(terms) + blocked))


def test_service_that_is_always_the_same_halves_the_wait() -> None:
    exponential = mean_wait_seconds(1, 0.7, 1.0)
    constant = mean_wait_seconds(1, 0.7, 1.0, variability=0.5)
    assert float(constant) == pytest.approx(float(exponential) / 2)


def test_a_full_station_makes_one_wait_for_ever() -> None:
    assert np.isinf(mean_wait_seconds(3, 3.0, 1.0))
    assert float(erlang_c(3, 4.0)) == 1.0


def test_a_flow_of_equal_servers_is_m_m_m() -> None:
    curve = np.arange(1, 6)[None, :] / 0.2
    flow = through(curve, np.array([18.0]))
    assert flow.wait_seconds[0] == pytest.approx(float(mean_wait_seconds(5, 3.6, 0.2)))
    assert flow.hold_seconds[0] == pytest.approx(0.2)
    assert flow.busy_ratio[0] == pytest.approx(0.72)


def closed_by_hand(think: float, demands: list[float], customers: int) -> float:
    """Throughput from the normalisation constants (Buzen's convolution)."""
    constants = [think**n / math.factorial(n) for n in range(customers + 1)]
    for demand in demands:
        for n in range(1, customers + 1):
            constants[n] += demand * constants[n - 1]
    return constants[customers - 1] / constants[customers]


@pytest.mark.parametrize("customers", [1, 2, 7, 30])
def test_a_closed_round_is_that_of_buzen(customers: int) -> None:
    way = Round(
        think_seconds=np.array([0.5]),
        demand_seconds=np.array([[0.02, 0.05, 0.01]]),
        servers=np.array([1, 1, 1]),
    )
    curve = throughput_curve(way, customers)
    assert curve[0, -1] == pytest.approx(closed_by_hand(0.5, [0.02, 0.05, 0.01], customers))


def test_a_pool_of_two_before_one_lock_bears_less_than_either() -> None:
    way = Round(
        think_seconds=np.array([0.01]),
        demand_seconds=np.array([[0.01]]),
        servers=np.array([1]),
    )
    # Two customers, one at most in the lock: by hand, P(both want it) = 1/5 and X = 80 a second.
    assert throughput_curve(way, 2)[0, 1] == pytest.approx(closed_by_hand(0.01, [0.01], 2))
    assert throughput_curve(way, 2)[0, 1] < 100


def test_the_approximation_is_near_the_exact_answer() -> None:
    answer = approximate(
        np.array([20.0]), np.array([1.0]), np.array([[0.03, 0.05]]), np.array([1, 1])
    )
    exact = closed_by_hand(1.0, [0.03, 0.05], 20)
    assert answer.rate_per_second[0] == pytest.approx(exact, rel=0.03)


def test_two_closed_classes_share_a_full_station_by_their_number() -> None:
    answer = approximate(
        np.array([30.0, 10.0]), np.array([0.1, 0.1]), np.array([[0.05], [0.05]]), np.array([1])
    )
    assert answer.rate_per_second.sum() == pytest.approx(20.0, rel=0.01)
    assert answer.rate_per_second[0] == pytest.approx(3 * answer.rate_per_second[1], rel=0.02)
