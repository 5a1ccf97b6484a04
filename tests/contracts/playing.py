"""Two workers of one subscription, who do what they are told, and whether that was right."""

from __future__ import annotations

from typing import Literal

from outgrow.store.durable.ids import new_id
from outgrow.store.durable.protocol import DurableStore
from outgrow.store.durable.records import Delivery, EventOutcome, Lease
from tests.contracts.durable import BROKEN, HandClock, event, handled

TOPIC = "Played"
How = Literal["done", "failed", "returned"]


class Player:
    """Publishes, takes, settles, dies and replays; order is checked all along."""

    def __init__(self, store: DurableStore, clock: HandClock) -> None:
        self.store, self.clock = store, clock
        self.mail = f"mail-{new_id()}"  # runs share a store
        self.leases: list[Lease] = []
        self.held: list[list[Delivery]] = [[], []]
        self.published_count = 0
        self.ended: list[tuple[str, int]] = []
        self.replayed: set[int] = set()

    async def begin(self) -> None:
        await self.store.log.subscribe(self.mail, TOPIC, attempts_max=3)
        self.leases = [await self.store.crew.register(name) for name in "ab"]

    async def play(self, what: str, key: int, which: int) -> None:
        """One step."""
        worker = which % 2
        mine = self.held[worker]
        if what == "append":
            number = self.published_count
            await self.store.log.append([event(f"k{key}", TOPIC, body=b"%d" % number)])
            self.published_count += 1
        elif what == "take":
            await self._take(worker, which + 1)
        elif what in ("done", "failed", "returned") and mine:
            await self._settle(worker, which, what, key * 10)  # type: ignore[arg-type]
        elif what == "bury":
            await self.store.crew.bury(self.leases[worker])
            mine.clear()
            self.leases[worker] = await self.store.crew.register("again")
        elif what == "stray":
            known = {one.position for one in mine[:1]}
            await self.store.log.strays(self.leases[worker], self.mail, known)
            del mine[1:]
        elif what == "replay":
            await self._replay()
        self.clock.move(10)

    async def _take(self, worker: int, limit: int) -> None:
        got = await self.store.log.take(self.leases[worker], self.mail, limit=limit)
        busy = {one.event.key for one in self.held[1 - worker]}
        assert not busy & {one.event.key for one in got}, "two at a time"
        self.held[worker] += got

    async def _settle(self, worker: int, which: int, how: How, pause_ms: int) -> None:
        """As a worker does, which goes through the events of a key in their order."""
        mine = self.held[worker]
        chosen = mine[which % len(mine)].event.key
        one = next(each for each in mine if each.event.key == chosen)
        outcome = EventOutcome(
            position=one.position,
            attempt=one.attempt,
            how=how,
            failure=BROKEN,
            retry_after_ms=pause_ms,
        )
        assert await self.store.log.settle(self.leases[worker], self.mail, [outcome]) == [True]
        if how == "done":
            mine.remove(one)
            self._end(one)
        else:
            mine[:] = [each for each in mine if each.event.key != chosen]

    async def _replay(self) -> None:
        letters = await self._letters()
        if letters:
            await self.store.dead.replay(numbers=letters)
            self.replayed.add(len(self.ended))

    async def _letters(self) -> list[int]:
        letters = await self.store.dead.letters(limit=1_000)
        return [letter.number for letter in letters if letter.source == self.mail]

    def _end(self, one: Delivery) -> None:
        self.ended.append((one.event.key or "", int(one.event.body)))

    async def finish(self) -> None:
        """Do the rest, and see that nothing is lost, stuck, repeated or out of order."""
        for lease in self.leases:
            await self.store.crew.leave(lease)
        lease = await self.store.crew.register("last")
        self.clock.move(1_000)
        while got := await self.store.log.take(lease, self.mail, limit=50):
            for one in got:
                self._end(one)
            assert all(await self.store.log.settle(lease, self.mail, handled(got)))
            self.clock.move(1_000)
        dead = await self._letters()
        assert len(self.ended) + len(dead) == self.published_count, "lost, or stuck"
        assert len(set(self.ended)) == len(self.ended), "done twice"
        if not self.replayed:  # who comes back from the dead comes late
            for key in {key for key, _ in self.ended}:
                order = [number for one, number in self.ended if one == key]
                assert order == sorted(order), "not in the order of their commits"
        views = {view.name: view for view in await self.store.log.subscriptions()}
        view = views[self.mail]
        assert (view.unread_count, view.parked_count) == (0, 0), "stuck"
