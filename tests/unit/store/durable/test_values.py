"""Ids, partitions, rates, failures and the watch over workers, without a store."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgrow.errors import DatabaseUrlError
from outgrow.store import DeathWatch, durable_at, durable_place, failure_of, new_id
from outgrow.store.durable.ids import PARTITIONS_COUNT, first_id_of, partition_of
from outgrow.store.durable.rates import refilled
from outgrow.store.durable.records import Lease, Sighting


def test_ids_are_of_version_seven_and_in_the_order_of_time() -> None:
    ids = [new_id(at_ms) for at_ms in range(1_000, 2_000, 7)]
    assert ids == sorted(ids)
    assert {(id.version, id.variant) for id in ids} == {(7, "specified in RFC 4122")}
    assert all(first_id_of(at_ms) <= new_id(at_ms) < first_id_of(at_ms + 1) for at_ms in (0, 5))


def test_two_ids_of_one_millisecond_differ() -> None:
    assert len({new_id(5) for _ in range(1_000)}) == 1_000


def test_the_partition_of_a_key_is_the_same_in_every_version() -> None:
    # Written down: another answer would send later events of a key elsewhere than earlier ones.
    some = UUID(int=7)
    assert [partition_of(key, some) for key in ("", "a", "order-7", "é")] == [0, 3, 26, 62]
    assert partition_of(None, some) == partition_of(None, UUID(int=7))


@given(st.text())
def test_every_key_has_a_partition(key: str) -> None:
    if key.isascii():
        assert 0 <= partition_of(key, UUID(int=0)) < PARTITIONS_COUNT


@given(tokens=st.floats(0, 5), passed_ms=st.integers(-10_000, 10_000), count=st.integers(1, 1_000))
def test_a_bucket_never_holds_more_than_its_burst_nor_loses_by_a_clock(
    tokens: float, passed_ms: int, count: int
) -> None:
    now = refilled((count, 1_000, 5, tokens, 50_000), 50_000 + passed_ms)
    assert tokens <= now <= 5
    if passed_ms <= 0:
        assert now == tokens


def fail(text: str) -> Exception:
    try:
        raise ValueError(text)
    except ValueError as problem:
        return problem


def fail_elsewhere(text: str) -> Exception:
    try:
        raise ValueError(text)
    except ValueError as problem:
        return problem


def test_failures_that_differ_in_numbers_and_names_alone_are_alike() -> None:
    first, second = failure_of(fail("order 7 of 'ann'")), failure_of(fail("order 8 of 'bob'"))
    assert first.fingerprint == second.fingerprint
    assert (first.type, first.text) == ("builtins.ValueError", "order 7 of 'ann'")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(fail("nothing left"), id="another text"),
        pytest.param(fail_elsewhere("order 7"), id="another place"),
        pytest.param(KeyError("order 7"), id="another type"),
    ],
)
def test_failures_of_another_kind_or_place_are_not_alike(other: Exception) -> None:
    assert failure_of(fail("order 7")).fingerprint != failure_of(other).fingerprint


def test_what_no_table_can_hold_of_a_failure_is_left_out() -> None:
    found = failure_of(ValueError("a\0b\ud800" + "x" * 10_000))
    assert found.text.startswith("ab?")
    assert len(found.text) == 4_000


LEASE = Lease(UUID(int=1), 1)


def seen(beat: int, lease: Lease = LEASE) -> list[Sighting]:
    return [Sighting(lease, "w", beat)]


def test_a_worker_whose_signs_stop_is_dead_after_its_lease() -> None:
    watch = DeathWatch()
    assert not watch.look(seen(3), 0)
    for at in range(5, 30, 5):
        assert not watch.look(seen(3), at)
    assert watch.look(seen(3), 30) == seen(3)


def test_a_worker_that_gives_signs_lives() -> None:
    watch = DeathWatch()
    for number in range(100):
        assert not watch.look(seen(number // 5), number * 5)


def test_a_watcher_that_was_frozen_itself_holds_nothing_against_others() -> None:
    watch = DeathWatch()
    watch.look(seen(1), 0)
    assert not watch.look(seen(1), 3_600)
    assert not watch.look(seen(1), 3_605)
    for at in range(3_610, 3_630, 5):
        assert not watch.look(seen(1), at)
    assert watch.look(seen(1), 3_630)


def test_a_worker_that_is_new_has_its_whole_lease() -> None:
    watch = DeathWatch()
    watch.look([], 0)
    for at in range(5, 35, 5):
        assert not watch.look(seen(0), at)
    assert watch.look(seen(0), 35)


def test_a_store_of_durable_work_needs_a_file() -> None:
    with pytest.raises(DatabaseUrlError, match="names none"):
        durable_at("sqlite://")


@pytest.mark.parametrize(
    ("url", "target", "is_fast", "is_pooled"),
    [
        ("sqlite:////srv/jobs.db?fast=true", "/srv/jobs.db", True, False),
        (
            "postgresql://joe:se?cret@db/shop?pgbouncer=true&sslmode=require",
            "postgresql://joe:se?cret@db/shop?sslmode=require",
            False,
            True,
        ),
        ("postgres:///shop?host=/run&fast=false", "postgresql:///shop?host=/run", False, False),
        (
            "postgresql:///shop?pgbouncer=true&host=/run&fast=true",
            "postgresql:///shop?host=/run",
            True,
            True,
        ),
    ],
)
def test_how_a_store_is_kept_stands_in_its_url(
    url: str, target: str, is_fast: bool, is_pooled: bool
) -> None:
    place = durable_place(url)
    assert (place.address.target, place.is_fast, place.is_pooled) == (target, is_fast, is_pooled)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///jobs.db?fast=yes", "`fast` in the URL of events and jobs is neither"),
        ("sqlite:///jobs.db?pgbouncer=true", "no PgBouncer stands before a file"),
        ("sqlite:///jobs.db?mode=ro&fast=true", "has `?mode=ro`"),
        ("postgresql+psycopg://joe:secret@db/shop?fast=true", "asks for the driver"),
    ],
)
def test_a_url_of_a_store_that_means_nothing_is_refused(url: str, says: str) -> None:
    with pytest.raises(DatabaseUrlError, match=re.escape(says)) as caught:
        durable_place(url)
    assert "secret" not in str(caught.value)
