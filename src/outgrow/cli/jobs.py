"""`outgrow jobs`: what waits, runs and has failed, of jobs and of events; and what can be done."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args
from uuid import UUID

import msgspec
import typer

from outgrow.cli.kept_work import kept_work
from outgrow.cli.show import EXIT_FAILED, out, out_json, table, talk
from outgrow.errors import SettingValueError
from outgrow.store import FromOffsets, FromTime, JobState, SubscriptionMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from outgrow.store import DeadGroup, DeadLetter, DurableStore, JobView, QueueView, Start
    from outgrow.store import SubscriptionView as Subscription

PAGE = 100
_EACH = 1_000
_OFFSET = re.compile(r"(?P<partition>\d|[1-5]\d|6[0-3]):(?P<offset>[1-9]\d*)")
_RIGHT = {"ready", "running", "held", "later", "unread", "parked", "attempts", "number", "count"}


def jobs(
    action: Annotated[
        str,
        typer.Argument(
            metavar="[ACTION]",
            help="list; show or cancel a job by its id, or retry one now that waits for its time; "
            "pause or resume a queue or subscription; dead: letters by fingerprint; replay or "
            "discard them by fingerprint or number; rewind a subscription to a time, `beginning`, "
            "`end`, or offsets as PARTITION:OFFSET; unsubscribe one that the app no longer has.",
        ),
    ] = "overview",
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="What is meant.")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Of this queue only, for `list`.")] = None,
    state: Annotated[
        str, typer.Option(help=f"In this state, for `list`: {', '.join(get_args(JobState))}.")
    ] = "ready",
    kind: Annotated[
        str | None, typer.Option(help="All of this kind, for `cancel`: such as mail.send.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on after this, for `list` and `dead`.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All, for `replay` and `discard`.")] = False,
    folder: Annotated[str, typer.Option(help="The supervisor's folder.")] = ".outgrow",
    url: Annotated[
        str | None, typer.Option(help="Where events and jobs are kept, instead of in the folder.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """See queues, jobs, subscriptions and dead letters, and act on them.

    Without an action, an overview. Works while the app runs, and while it does not.
    """
    given = _Given(names or [], queue, _state(state), kind, after, every, json)
    do = _ACTIONS.get(action)
    if do is None:
        raise SettingValueError(
            f"`outgrow jobs {action}` means nothing", hint=f"Say one of: {', '.join(_ACTIONS)}"
        )

    async def run() -> int:
        async with kept_work(folder, url) as store:
            return await do(store, given)

    code = asyncio.run(run())
    if code:
        raise typer.Exit(code)


class _Given:
    """What was said on the command line, beside the action."""

    def __init__(
        self,
        names: list[str],
        queue: str | None,
        state: JobState,
        kind: str | None,
        after: str | None,
        every: bool,
        as_json: bool,
    ) -> None:
        self.names = names
        self.queue = queue
        self.state: JobState = state
        self.kind = kind
        self.after = after
        self.every = every
        self.as_json = as_json

    def name(self, what: str) -> str:
        """The one name that an action needs."""
        if len(self.names) != 1:
            raise SettingValueError(
                f"this takes {what}, and {len(self.names) or 'nothing'} was given",
                hint="Say it after the action",
            )
        return self.names[0]

    def id(self) -> UUID:
        """The one id."""
        return _id(self.name("the id of a job"))


def _state(text: str) -> JobState:
    if text not in get_args(JobState):
        raise SettingValueError(
            f"`{text}` is no state of a job", hint=f"Say one of: {', '.join(get_args(JobState))}"
        )
    return cast("JobState", text)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise SettingValueError(
            f"`{text}` is no id of a job", hint="`outgrow jobs list` tells ids"
        ) from None


# What only looks.


async def _overview(store: DurableStore, given: _Given) -> int:
    queues, subscriptions = await store.queue.queues(), await store.log.subscriptions()
    groups = await store.dead.groups()
    if given.as_json:
        out_json(
            {
                "queues": _plain(queues),
                "subscriptions": _plain(subscriptions),
                "dead": _plain(groups),
            }
        )
        return 0
    _print([_queue_row(one) for one in queues], "no queues: nothing was enqueued so far")
    if subscriptions:
        out()
        _print([_subscription_row(one) for one in subscriptions], "")
    if groups:
        out()
        out(f"dead letters, by fingerprint; {sum(one.count for one in groups)} in all")
        _print([_group_row(one) for one in groups], "")
        talk("what they died of: outgrow jobs dead FINGERPRINT   again: outgrow jobs replay ...")
    else:
        talk("which jobs: outgrow jobs list --state running")
    return 0


async def _list(store: DurableStore, given: _Given) -> int:
    after = _id(given.after) if given.after else None
    found = await store.queue.jobs(given.state, queue=given.queue, after=after, limit=PAGE)
    if given.as_json:
        out_json({"jobs": _plain(found)})
        return 0
    _print([_job_row(one) for one in found], f"no jobs are {given.state}")
    if len(found) == PAGE:
        talk(f"more: outgrow jobs list --state {given.state} --after {found[-1].id}")
    return 0


async def _show(store: DurableStore, given: _Given) -> int:
    view = await store.queue.find(given.id())
    if view is None:
        talk("there is no such job, or it ended so long ago that it is forgotten")
        return EXIT_FAILED
    told = _plain([view])[0]
    told["progress"] = _value(view.progress)
    told["result"] = _value(view.result)
    if given.as_json:
        out_json(told)
        return 0
    for name, value in told.items():
        if value not in (None, "", False):
            shown = _when(value) if name.endswith("_ms") else value
            out(f"{name.removesuffix('_ms'):14} {shown}")
    return 0


async def _dead(store: DurableStore, given: _Given) -> int:
    if not given.names:
        groups = await store.dead.groups()
        if given.as_json:
            out_json({"groups": _plain(groups)})
        else:
            _print([_group_row(one) for one in groups], "no dead letters")
        return 0
    before = _number(given.after) if given.after else None
    found = await store.dead.letters(
        fingerprint=given.name("a fingerprint"), before=before, limit=PAGE
    )
    if given.as_json:
        out_json({"letters": _plain(found)})
        return 0
    _print([_letter_row(one) for one in found], "no dead letters have this fingerprint")
    if len(found) == PAGE:
        talk(f"more: outgrow jobs dead {given.names[0]} --after {found[-1].number}")
    return 0


# What changes something.


async def _cancel(store: DurableStore, given: _Given) -> int:
    if given.kind is not None:
        if given.names:
            raise SettingValueError("`cancel` takes an id or --kind", hint="Give one of them")
        count = await _cancel_kind(store, given.kind, given.queue)
        text = f"{count} cancelled" if count else f"no `{given.kind}` waits or runs"
        return _done(given, {"cancelled": count}, text, 0 if count else EXIT_FAILED)
    how = await store.queue.cancel(given.id())
    told = {
        "cancelled": "it will not run",
        "asked": "it runs, and is asked to stop",
        "finished": "it has ended, or is not known",
    }
    return _done(given, {"cancel": how}, told[how], 0 if how != "finished" else EXIT_FAILED)


async def _cancel_kind(store: DurableStore, kind: str, queue: str | None) -> int:
    """Cancel all jobs of a kind, also those that run; returns how many."""
    count = 0
    states: tuple[JobState, ...] = ("held", "later", "ready", "running")
    for state in states:
        after = None
        while page := await store.queue.jobs(state, queue=queue, after=after, limit=_EACH):
            after = page[-1].id
            for one in page:
                if one.kind == kind:
                    count += await store.queue.cancel(one.id) != "finished"
    return count


async def _retry(store: DurableStore, given: _Given) -> int:
    is_started = await store.queue.start_now(given.id())
    told = "it starts now" if is_started else "it does not wait for its time, or is not known"
    if not is_started:
        told += "; dead letters are tried again by `outgrow jobs replay`"
    return _done(given, {"retry": is_started}, told, 0 if is_started else EXIT_FAILED)


async def _unsubscribe(store: DurableStore, given: _Given) -> int:
    name = given.name("a subscription")
    if name not in {one.name for one in await store.log.subscriptions()}:
        talk(f"there is no subscription `{name}`")
        return EXIT_FAILED
    await store.log.unsubscribe(name)
    return _done(given, {"unsubscribed": name}, f"{name} is forgotten, and what waited for it", 0)


def _pausing(*, paused: bool) -> Callable[[DurableStore, _Given], Coroutine[Any, Any, int]]:
    async def pause(store: DurableStore, given: _Given) -> int:
        name = given.name("a queue or a subscription")
        word = "paused" if paused else "resumed"
        try:
            await store.log.pause_subscription(name, paused=paused)
        except SubscriptionMissingError:
            known = {one.name for one in await store.queue.queues()}
            if name not in known:
                talk(f"there is neither a queue nor a subscription `{name}`")
                return EXIT_FAILED
            await store.queue.pause_queue(name, paused=paused)
        return _done(given, {word: name}, f"{name} is {word}", 0)

    return pause


def _on_letters(verb: Literal["replay", "discard"]) -> Callable[..., Coroutine[Any, Any, int]]:
    async def act(store: DurableStore, given: _Given) -> int:
        if not given.names and not given.every:
            raise SettingValueError(
                f"`{verb}` takes a fingerprint, numbers of letters, or --all",
                hint="`outgrow jobs dead` tells them",
            )
        do = getattr(store.dead, verb)
        fingerprint, numbers = None, [int(one) for one in given.names if one.isdigit()]
        if given.names and len(numbers) != len(given.names):
            fingerprint, numbers = given.name("one fingerprint, or numbers"), []
        count = 0
        while True:
            some = await do(fingerprint=fingerprint, numbers=numbers, limit=_EACH)
            count += some
            if some < _EACH or numbers:
                break
        word = "tried again" if verb == "replay" else "discarded"
        return _done(given, {verb: count}, f"{count} {word}", 0 if count else EXIT_FAILED)

    return act


async def _rewind(store: DurableStore, given: _Given) -> int:
    if len(given.names) < 2:
        raise SettingValueError(
            "`rewind` takes a subscription and where to go",
            hint="Such as `outgrow jobs rewind mail.on_order_placed 2026-03-01T12:00`",
        )
    name, *where = given.names
    await store.log.rewind(name, _start(where))
    return _done(given, {"rewind": name}, f"{name} reads on from {' '.join(where)}", 0)


def _start(words: Sequence[str]) -> Start:
    """Where to read on, as it was typed.

    Raises:
        SettingValueError: It is no such place.
    """
    offsets = [_OFFSET.fullmatch(word) for word in words]
    if all(offsets):
        return FromOffsets({int(one["partition"]): int(one["offset"]) for one in offsets if one})
    if len(words) > 1:
        raise SettingValueError(
            f"`{' '.join(words)}` are no offsets", hint="Write each as PARTITION:OFFSET"
        )
    word = words[0]
    return word if word == "beginning" or word == "end" else FromTime(_moment_ms(word))


_ACTIONS: dict[str, Callable[[DurableStore, _Given], Coroutine[Any, Any, int]]] = {
    "overview": _overview,
    "list": _list,
    "show": _show,
    "cancel": _cancel,
    "retry": _retry,
    "pause": _pausing(paused=True),
    "resume": _pausing(paused=False),
    "dead": _dead,
    "replay": _on_letters("replay"),
    "discard": _on_letters("discard"),
    "rewind": _rewind,
    "unsubscribe": _unsubscribe,
}


# How it is shown.


def _done(given: _Given, told: dict[str, Any], text: str, code: int) -> int:
    if given.as_json:
        out_json(told)
    else:
        talk(text)
    return code


def _print(rows: Sequence[Mapping[str, str]], nothing: str) -> None:
    for line in table(rows, _RIGHT) or ([nothing] if nothing else []):
        out(line)


def _queue_row(one: QueueView) -> dict[str, str]:
    oldest = one.oldest_ready_ms
    return {
        "queue": one.name,
        "ready": str(one.ready_count),
        "running": str(one.running_count),
        "held": str(one.held_count),
        "later": str(one.later_count),
        "oldest": "-" if oldest is None else _age(oldest),
        "state": "paused" if one.is_paused else "open",
    }


def _subscription_row(one: Subscription) -> dict[str, str]:
    return {
        "subscription": one.name,
        "event": one.topic,
        "unread": str(one.unread_count),
        "parked": str(one.parked_count),
        "state": "paused" if one.is_paused else "open",
    }


def _group_row(one: DeadGroup) -> dict[str, str]:
    return {
        "fingerprint": one.fingerprint,
        "count": str(one.count),
        "what": one.sample.name,
        "last": _when(one.last_ms),
        "failure": _short(f"{one.sample.failure.type}: {one.sample.failure.text}"),
    }


def _letter_row(one: DeadLetter) -> dict[str, str]:
    return {
        "number": str(one.number),
        "what": one.name,
        "id": str(one.id),
        "attempts": str(one.attempts),
        "died": _when(one.died_ms),
        "failure": _short(f"{one.failure.type}: {one.failure.text}"),
    }


def _job_row(one: JobView) -> dict[str, str]:
    return {
        "id": str(one.id),
        "job": one.kind,
        "queue": one.queue,
        "attempts": f"{one.attempt}/{one.attempts_max}" if one.attempts_max else str(one.attempt),
        "since": _when(one.finished_ms or one.started_ms or one.enqueued_ms),
        "failure": _short(one.failure.text) if one.failure else "",
    }


def _plain(values: Sequence[Any]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(one) for one in values]


def _value(encoded: bytes | None) -> Any:
    return None if encoded is None else msgspec.msgpack.decode(encoded)


def _short(text: str, characters: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[: characters - 3]}..."


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1e3, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _age(at_ms: int) -> str:
    seconds = max(0.0, time.time() - at_ms / 1e3)
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _number(text: str) -> int:
    if not text.isdigit():
        raise SettingValueError(f"`{text}` is no number of a letter", hint="Take one shown")
    return int(text)


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingValueError(
            f"`{text}` is no time",
            hint="Write it as 2026-03-01T12:00, or beginning, or end, or as PARTITION:OFFSET",
        ) from None
    return int(moment.astimezone().timestamp() * 1e3)
