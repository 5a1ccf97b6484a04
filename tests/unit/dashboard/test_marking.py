"""Deploys and restarts are marked once each, whoever reports and however often."""

from __future__ import annotations

from outgrow.dashboard.marking import AWAY_SECONDS, Marking, Release
from outgrow.telemetry import Origin, Report


class Kept:
    """What was passed on, and marked."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.marks: list[tuple[str, str]] = []

    def hear(self, origin: Origin, /) -> None:
        self.passed.append(f"hear {origin.epoch}")

    def take(self, origin: Origin, report: Report, /) -> None:
        self.passed.append(f"take {origin.epoch} {report.number}")

    def left(self, origin: Origin, /) -> None:
        self.passed.append(f"left {origin.epoch}")

    def mark(self, at_ns: int, kind: str, text: str, /) -> None:
        self.marks.append((kind, text))


class Stage:
    """An intake, and a clock that is put forward."""

    def __init__(self, known: dict[str, Release] | None = None) -> None:
        self.now_ns = 10**18
        self.kept = Kept()
        self.intake = Marking(self.kept, lambda: self.now_ns, known)

    def passes(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)

    def leaves(self, origin: Origin) -> None:
        self.intake.take(origin, Report(number=1, at_ns=self.now_ns, is_last=True))
        self.intake.left(origin)


def origin(
    epoch: str, version: int = 1, worker: str = "web/1", commit: str = "", machine: str = "m"
) -> Origin:
    labels = {"commit": commit} if commit else {}
    return Origin(
        app="shop", worker=worker, epoch=epoch, version=version, machine=machine, labels=labels
    )


def test_all_is_passed_on() -> None:
    stage = Stage()
    one = origin("a")
    stage.intake.hear(one)
    stage.leaves(one)
    assert stage.kept.passed == ["hear a", "take a 1", "left a"]


def test_a_version_is_marked_with_its_first_worker_only() -> None:
    stage = Stage()
    for number, machine in ((1, "m"), (2, "m"), (1, "n")):
        stage.intake.hear(origin(f"{number}{machine}", worker=f"web/{number}", machine=machine))
    commit = "0123456789abcdef0123"
    stage.intake.hear(origin("new", version=2, commit=commit))
    assert stage.kept.marks == [
        ("deploy", "version 1"),
        ("deploy", "version 2, commit 0123456789ab"),
    ]


def test_a_worker_that_vanished_was_started_again() -> None:
    stage = Stage()
    stage.intake.hear(origin("a"))
    stage.intake.left(origin("a"))
    stage.passes(1)
    stage.intake.hear(origin("b"))
    assert stage.kept.marks[1:] == [("restart", "web/1 was started again")]


def test_one_that_left_with_a_last_word_was_not() -> None:
    stage = Stage()
    stage.intake.hear(origin("a"))
    stage.leaves(origin("a"))
    stage.intake.hear(origin("b"))
    assert len(stage.kept.marks) == 1


def test_one_that_comes_back_itself_is_no_news() -> None:
    stage = Stage()
    stage.intake.hear(origin("a"))
    stage.intake.left(origin("a"))
    stage.passes(AWAY_SECONDS * 3)
    stage.intake.hear(origin("a"))
    assert len(stage.kept.marks) == 1


def test_an_app_that_was_away_is_a_deploy_again() -> None:
    stage = Stage()
    stage.intake.hear(origin("a"))
    stage.leaves(origin("a"))
    stage.passes(AWAY_SECONDS + 1)
    stage.intake.hear(origin("b"))
    assert [kind for kind, _ in stage.kept.marks] == ["deploy", "deploy"]


def test_what_the_observer_before_has_heard_is_not_marked_again() -> None:
    stage = Stage({"a": (3, "")})
    stage.intake.hear(origin("a", version=3))
    stage.intake.hear(origin("b", version=3, worker="web/2"))
    assert stage.kept.marks == []
    stage.intake.hear(origin("c", version=4))
    assert stage.kept.marks == [("deploy", "version 4")]
