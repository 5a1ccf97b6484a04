"""Every behaviour is the same under both servers, or differs as the table says."""

from __future__ import annotations

import pytest

from .compare import Pair
from .registry import Behaviour, behaviours


def case(behaviour: Behaviour) -> object:
    """A behaviour as a test case."""
    marks = [pytest.mark.slow] if behaviour.slow else []
    return pytest.param(behaviour, id=f"{behaviour.area}: {behaviour.title}", marks=marks)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("behaviour", [case(each) for each in behaviours()])
def test_both_servers_show_the_same_or_the_documented_difference(
    behaviour: Behaviour, pair: Pair
) -> None:
    seen = pair.observe(behaviour)
    assert seen == seen.expected(behaviour), seen.output
