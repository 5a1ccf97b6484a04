"""Sockets are shared evenly, and move only where they must."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outgrow.placement.sockets import share_out

names = st.sampled_from([f"web/{number}" for number in range(1, 9)])
owners = st.dictionaries(names, st.sets(st.integers(0, 40)))
serving = st.lists(names, unique=True, min_size=1)
counts = st.integers(1, 32)


def moved(before: dict[str, set[int]], after: dict[str, set[int]]) -> int:
    """How many sockets a worker that serves lost to another."""
    return sum(len(had - after.get(name, set())) for name, had in before.items() if name in after)


@given(counts, owners, serving)
def test_each_socket_goes_to_exactly_one_worker(
    count: int, owners: dict[str, set[int]], serving: list[str]
) -> None:
    shares = share_out(count, owners, serving)
    assert set(shares) == set(serving)
    assert sorted(number for share in shares.values() for number in share) == list(range(count))


@given(counts, owners, serving)
def test_shares_differ_by_one_at_most(
    count: int, owners: dict[str, set[int]], serving: list[str]
) -> None:
    sizes = [len(share) for share in share_out(count, owners, serving).values()]
    assert max(sizes) - min(sizes) <= 1


@given(counts, owners, serving)
def test_nothing_moves_when_nothing_changed(
    count: int, owners: dict[str, set[int]], serving: list[str]
) -> None:
    shares = share_out(count, owners, serving)
    assert share_out(count, shares, serving) == shares


@given(counts, serving, st.data())
def test_a_worker_that_leaves_moves_no_socket_of_the_others(
    count: int, serving: list[str], data: st.DataObject
) -> None:
    before = share_out(count, {}, serving)
    left = data.draw(st.sampled_from(serving))
    rest = [name for name in serving if name != left]
    after = share_out(count, before, rest)
    if rest:
        assert moved({name: before[name] for name in rest}, after) == 0
    else:
        assert after == {}


@given(counts, serving, names)
def test_a_worker_that_comes_takes_its_share_and_no_more_moves(
    count: int, serving: list[str], new: str
) -> None:
    before = share_out(count, {}, [name for name in serving if name != new])
    after = share_out(count, before, [*before, new])
    assert moved(before, after) == len(after[new]) - (0 if before else count)


@given(counts, counts, serving)
def test_more_sockets_move_none_of_the_old_more_than_evenness_asks(
    count: int, more: int, serving: list[str]
) -> None:
    before = share_out(count, {}, serving)
    after = share_out(count + more, before, serving)
    assert moved(before, after) == 0
