"""A forecast put to the test: what is sent, how far, and what the test answers."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from outgrow.cli import mixing
from outgrow.cli.baseline import compared, read_knee, save_knee
from outgrow.cli.bearing import asked_of, bearing
from outgrow.cli.loading import LoadTest
from outgrow.cli.mixing import Mix
from outgrow.cli.scenario import Visitors, visitor_in
from outgrow.cli.sending import Sender
from outgrow.cli.show import talk
from outgrow.cli.warming import warm_up
from outgrow.errors import RefusedError, SettingValueError
from outgrow.placement import ApiClient, ControlClient, read_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.cli.baseline import Compared, Knee
    from outgrow.cli.bearing import Bearing
    from outgrow.cli.loading import Found
    from outgrow.cli.mixing import Source

ANSWER_SECONDS = 60.0
LOG_LINES = 5000
RATE_RATIO_MAX = 1.5
"""Where nobody says how many requests a second may be sent: so much of the forecast's upper end."""
_SEED = 1


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked of a load test.

    Attributes:
        yes: The app may be loaded.
        at: Whether so much is borne; None where the limit is looked for.
        baseline: Where the knee before is kept.
        tolerance_percent: By which the knee may be lower than that.
        save: Where the knee is written to.
        plan: Whose forecast is verified; None for that of now.
        rate_max: No request more a second; None for 1.5 times the limit.
        seconds: That it may take.
        requests: A file of examples.
        scenario: A file of Python.
        warm_up: Requests a second that stand for the traffic of now; None where that is there.
        headers: Sent along.
    """

    yes: bool
    at: str | None
    baseline: Path | None
    tolerance_percent: float
    save: Path | None
    plan: Path | None
    rate_max: float | None
    seconds: float
    requests: Path | None
    scenario: Path | None
    warm_up: float | None
    headers: Sequence[str]

    def knee_before(self) -> Knee | None:
        """The baseline, if there is one; what makes no sense is refused before anything is sent.

        Raises:
            SettingValueError: Options do not go together, or say nothing that is understood.
            SettingsFileError: A file cannot be read.
        """
        if self.at is not None:
            asked_of(self.at, 1.0)
            if self.baseline is not None or self.save is not None:
                raise SettingValueError(
                    "`--at` looks no further than that traffic, and finds no knee",
                    hint="Ask for it in a run of its own, without `--baseline` and `--save`",
                )
        if self.warm_up is not None and self.scenario is None:
            raise SettingValueError(
                "`--warm-up` needs to know what to send", hint="Name a file by `--scenario`"
            )
        return None if self.baseline is None else read_knee(self.baseline)

    def check_allowed(self) -> None:
        """Refuse to send anything where nobody has said that it may be.

        Raises:
            SettingValueError: Nobody has.
        """
        if not self.yes:
            raise SettingValueError(
                "verify loads the app that runs, and slows down what others ask of it",
                hint="Say `--yes` where that may be; `--rate-max` and `--seconds` bound it",
            )


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What came of a load test.

    Attributes:
        rate_max: No more was to be sent a second.
        bearing: Whether what was asked about is borne; None where nothing was.
        compared: The knee beside the baseline; None where there is none.
    """

    found: Found
    rate_max: float
    bearing: Bearing | None
    compared: Compared | None

    @property
    def is_good(self) -> bool:
        """What was asked is so; the forecast held, where nothing else was asked."""
        if self.bearing is not None:
            return bool(self.bearing.is_borne)
        if self.compared is not None:
            return bool(self.compared.is_kept)
        return bool(self.found.told["is_held"])

    @property
    def told(self) -> dict[str, Any]:
        """For programs."""
        return {
            **self.found.told,
            "end": self.found.end,
            "at": self.bearing and self.bearing.told,
            "baseline": self.compared and msgspec.to_builtins(self.compared),
        }


def verified(folder: str, since: str, wanted: Wanted) -> Answers:
    """Verify a forecast.

    Raises:
        OutgrowError: There is none, nothing answers, or it may not be.
    """
    from outgrow.capacity import Course

    before = wanted.knee_before()
    api, control = ApiClient(folder, seconds=ANSWER_SECONDS), ControlClient(folder)
    chance = random.Random(_SEED)
    if wanted.warm_up is not None:
        wanted.check_allowed()
        since = _warmed(api, control, wanted, chance)
    told = _foretold(api, since, wanted.plan)
    calls = _calls(api, since)
    sender = Sender(control.status()["addresses"][0], wanted.headers)
    source = _source(api, control, since, calls, wanted, sender, chance)
    asked = None if wanted.at is None else asked_of(wanted.at, told["now_per_second"])
    limit = told["saturation_per_second"]
    rate_max = float(wanted.rate_max or RATE_RATIO_MAX * limit["high"])
    course = Course(limit["best"], rate_max, wanted.seconds, asked.per_second if asked else 0.0)
    _announce(told, source, course.rates[-1], wanted.seconds)
    wanted.check_allowed()
    test = LoadTest(
        api=api,
        source=source,
        chance=chance,
        told=told,
        curve=[] if wanted.plan else _curve(api, since, source.routes[0]),
        folder=Path(folder),
    )
    found = asyncio.run(test.run(course, talk))
    if wanted.save is not None:
        save_knee(wanted.save, found)
    return Answers(
        found=found,
        rate_max=rate_max,
        bearing=None if asked is None else bearing(asked, found, source.routes, _promised(api)),
        compared=before and compared(before, found.told, wanted.tolerance_percent),
    )


def _warmed(api: ApiClient, control: ControlClient, wanted: Wanted, chance: random.Random) -> str:
    """Send what stands for the traffic of now; since when."""
    assert wanted.scenario is not None
    assert wanted.warm_up is not None
    sender = Sender(control.status()["addresses"][0], wanted.headers)
    source = Visitors(visitor_in(wanted.scenario), sender, chance, {})
    return asyncio.run(warm_up(api, source, chance, wanted.warm_up, talk))


def _foretold(api: ApiClient, since: str, plan: Path | None) -> dict[str, Any]:
    """The forecast that is verified."""
    if plan is not None:
        return read_plan(plan).forecast
    told = api.get(f"forecast?{urlencode({'times': 1, 'from': since})}")
    if told["refusal"]:
        raise RefusedError(
            f"there is no forecast to verify: {told['refusal']['text']}",
            hint=told["refusal"]["hint"],
        )
    return told


def _curve(api: ApiClient, since: str, route: str) -> list[dict[str, Any]]:
    """What was foretold of the times of a route."""
    query = urlencode({"from": since, "operation": route})
    return api.get(f"forecast/response?{query}")["points"]


def _promised(api: ApiClient) -> list[dict[str, Any]]:
    return api.get("objectives")["objectives"]


def _calls(api: ApiClient, since: str) -> dict[str, float]:
    """How often each route was called."""
    called = api.get(f"operations?{urlencode({'from': since})}")["operations"]
    return {
        one["name"]: float(one["calls"])
        for one in called
        if one["kind"] == "route" and not one["name"].startswith("WEBSOCKET ")
    }


def _source(
    api: ApiClient,
    control: ControlClient,
    since: str,
    calls: dict[str, float],
    wanted: Wanted,
    sender: Sender,
    chance: random.Random,
) -> Source:
    """What is sent: by a scenario, or else written examples before those of log and traces."""
    if wanted.scenario is not None:
        return Visitors(visitor_in(wanted.scenario), sender, chance, calls)
    written = mixing.from_file(wanted.requests) if wanted.requests is not None else []
    entries = control.logs(urlencode({"lines": LOG_LINES, "follow": 0}), follows=False)
    logged = mixing.from_log(one["text"] for one in entries)
    mixed = mixing.mix_of(calls, [*written, *logged, *mixing.from_traces(api, since)])
    left_out = sorted(calls.keys() - {one.route for one in mixed})
    if left_out:
        talk(f"left out, without an example: {', '.join(left_out)}")
    return Mix(sender, chance, mixed)


def _announce(told: dict[str, Any], source: Source, rate_max: float, seconds: float) -> None:
    limit = told["saturation_per_second"]
    talk(
        f"foretold: `{told['first'][0]}` binds at {limit['best']:,.0f} requests/s "
        f"({limit['low']:,.0f} to {limit['high']:,.0f})"
    )
    talk(f"to send: up to {rate_max:,.0f} requests/s, for {seconds:.0f} s at the most")
    for line in source.in_words():
        talk(f"  {line}")
