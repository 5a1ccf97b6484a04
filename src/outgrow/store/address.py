"""Where a database is: its URL, understood."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from outgrow.errors import DatabaseUrlError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SQLITE = re.compile(r"sqlite(\+aiosqlite)?://(/(?P<path>[^?]*))?(?P<options>\?.*)?")
_POSTGRES = re.compile(r"postgres(ql)?(\+asyncpg)?://(?P<rest>.*)", re.DOTALL)
# A user or password with a `/` in it, which ends the name of the host.
_BARE_SLASH = re.compile(r"[^@/?#]*/[^?#]*@")
_OTHER_DRIVER = re.compile(r"(sqlite|postgres(?:ql)?)(\+\w+)://")

# Of the URL of events and jobs alone, in this order: see `durable_place`.
DURABLE_OPTIONS = ("fast", "pgbouncer")
_DURABLE_OPTION = re.compile(rf"[?&]({'|'.join(DURABLE_OPTIONS)})=")

WRITE_SO = "Write `/`, `?`, `#` and `@` in a password as %2F, %3F, %23 and %40"


@dataclass(frozen=True)
class Address:
    """Where a database is.

    Attributes:
        kind: Which database it is.
        target: The absolute path of the file, empty for one that lasts as long as its `Database`;
            or what asyncpg is given. May hold a password.
        shown: As people may see it: without a password.
        variable: The environment variable that sets it; empty where there is none.
    """

    kind: Literal["sqlite", "postgresql"]
    target: str
    shown: str
    variable: str = ""

    def __repr__(self) -> str:
        return f"<Address {self.shown}>"

    @property
    def correct_it(self) -> str:
        """What to do where it is wrong, for the end of a hint."""
        return f"correct {self.variable}" if self.variable else "correct its URL"


def address_of(url: str, *, variable: str = "") -> Address:
    """The address that a URL means.

    Raises:
        DatabaseUrlError: It is no URL of a database that we know; a password is not repeated.
    """
    if found := _SQLITE.fullmatch(url):
        return _file(found["path"] or "", found["options"], variable)
    if found := _POSTGRES.fullmatch(url):
        rest = found["rest"]
        if _BARE_SLASH.match(rest):
            shown = _without_password(rest)
            raise DatabaseUrlError(f"{shown} cannot be understood", hint=WRITE_SO)
        if option := _DURABLE_OPTION.search(rest):
            raise DatabaseUrlError(
                f"{variable or 'the URL of a database'} has `{option[1]}`, which is for events and "
                "jobs alone",
                hint=f"Give that URL to {DURABLE_VARIABLE}, and services one of the server itself",
            )
        return Address("postgresql", f"postgresql://{rest}", _without_password(rest), variable)
    named = variable or "the URL of a database"
    if found := _OTHER_DRIVER.match(url):
        raise DatabaseUrlError(
            f"{named} asks for the driver `{found[2][1:]}`, which is not used here",
            hint=f"Write `{found[1]}://` without `{found[2]}`",
        )
    scheme = url.split("://", 1)[0] if "://" in url else ""
    what = f"begins with `{scheme}://`" if scheme else "has no `://`"
    raise DatabaseUrlError(f"{named} {what}, which is neither SQLite nor PostgreSQL")


def _file(path: str, options: str | None, variable: str) -> Address:
    if options:
        named = variable or "the URL of a database"
        raise DatabaseUrlError(f"{named} has `{options}`; SQLite's takes no options", hint="")
    if path in ("", ":memory:"):
        return Address("sqlite", "", "sqlite://", variable)
    absolute = str(Path(path).resolve())
    return Address("sqlite", absolute, f"sqlite:///{absolute}", variable)


def _without_password(rest: str) -> str:
    # A password with a bare `/`, `?` or `@` is no valid URL, and must not be shown all the same:
    # so the last `@` ends it, wherever that stands.
    before, at, after = rest.rpartition("@")
    user = re.split(r"[:/?#]", before, maxsplit=1)[0]
    return f"postgresql://{user}{at}{re.split('[?#]', after, maxsplit=1)[0]}"


def variable_of(service: str) -> str:
    """The environment variable for the database of one service, such as `ORDERS_DATABASE_URL`."""
    return re.sub(r"\W", "_", service).upper() + "_DATABASE_URL"


DURABLE_VARIABLE = "OUTGROW_DURABLE_URL"
DURABLE_FOLDER, DURABLE_FILE = ".outgrow", "durable.db"


def url_of_durable(environment: Mapping[str, str], folder: str | Path = DURABLE_FOLDER) -> str:
    """The URL of the store of events and jobs.

    It is where `OUTGROW_DURABLE_URL` says, else on the PostgreSQL server that `DATABASE_URL` names,
    else in the file `durable.db` of a folder, `.outgrow` as a rule.
    """
    if url := environment.get(DURABLE_VARIABLE):
        return url
    shared = environment.get("DATABASE_URL", "")
    return shared if shared.startswith("postgres") else f"sqlite:///{Path(folder) / DURABLE_FILE}"


def url_of_service(
    service: str, given: str | None, environment: Mapping[str, str]
) -> tuple[str, str]:
    """The URL of a service's database, and the environment variable that sets it.

    The service's own variable counts most, then what the code says, then `DATABASE_URL`, which may
    be meant for many services; without any of them it is a file of its own in `.outgrow`.
    """
    own = variable_of(service)
    if url := environment.get(own):
        return url, own
    if given is None and (url := environment.get("DATABASE_URL")):
        return url, "DATABASE_URL"
    return given or f"sqlite:///.outgrow/{service}.db", own
