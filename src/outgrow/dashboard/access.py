"""Who may look and who may change: loopback alone by default, tokens with a role for others.

Without tokens only programs of this machine reach the page, and of browsers only those that were
pointed at a loopback name: another name in `Host` is a stranger's, who has had it resolved to this
machine to have our visitors' browsers ask for them. A change must come from the page itself.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from outgrow.errors import SettingValueError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Role = Literal["read", "operate"]
ROLES: tuple[Role, ...] = ("read", "operate")
TOKENS_VARIABLE = "OUTGROW_TOKENS"
TOKENS_MAX = 100
TOKEN_CHARACTERS_MIN = 16
COOKIE = "outgrow_token"
_LOOPBACK_NAMES = {"localhost", "ip6-localhost"}
_FORM = "Write a line `NAME ROLE TOKEN` each: ROLE is `read` or `operate`, TOKEN 16 characters up"


class AccessError(Exception):
    """A request that may not be answered.

    Attributes:
        status: Of HTTP: 401 asks for a token, 403 refuses, 421 is not for us.
        text: What is wrong.
        hint: One thing to do.
    """

    def __init__(self, status: int, text: str, hint: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.hint = hint


@dataclass(frozen=True)
class Guest:
    """Who asks.

    Attributes:
        name: As the audit says it.
        may_change: They have the role `operate`.
    """

    name: str
    may_change: bool


class Access:
    """Decides on each request.

    Args:
        tokens: Name and role by the SHA-256 of each token; none where loopback alone may ask.
        hosts: Further names in `Host` that are ours, besides loopback ones; only with tokens.
    """

    def __init__(
        self, tokens: Mapping[bytes, tuple[str, Role]] | None = None, hosts: tuple[str, ...] = ()
    ) -> None:
        self._tokens = dict(tokens or {})
        self._hosts = {host.lower() for host in hosts}

    @property
    def wants_token(self) -> bool:
        """Whether nobody is let in without one."""
        return bool(self._tokens)

    def admit(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Guest:
        """Who asks.

        Args:
            headers: Of the request, looked up by lower-case names.
            cookies: Of the request.

        Raises:
            AccessError: They may not.
        """
        self._check_host(headers.get("host", ""))
        _check_asking_page(headers)
        if not self._tokens:
            return Guest("this machine", may_change=True)
        sort, _, token = headers.get("authorization", "").partition(" ")
        if sort.lower() != "bearer":
            token = cookies.get(COOKIE, "")
        guest = self.guest_of(token.strip())
        if guest is None:
            raise AccessError(
                401,
                "a token is needed" if not token else "the token is not known",
                "Send `Authorization: Bearer TOKEN`, or give it to the page",
            )
        return guest

    def guest_of(self, token: str) -> Guest | None:
        """Whose token it is; None where nobody's."""
        digest = hashlib.sha256(token.encode()).digest()
        found: Guest | None = None
        for known, (name, role) in self._tokens.items():
            if hmac.compare_digest(known, digest):
                found = Guest(name, may_change=role == "operate")
        return found

    def check_change(self, guest: Guest, headers: Mapping[str, str]) -> None:
        """Refuse a change that another site's page asks for, or that the guest may not ask for.

        Raises:
            AccessError: It is refused.
        """
        check_origin(headers)
        if not headers.get("content-type", "").lower().startswith("application/json"):
            # Another site's form can send anything but this without asking first.
            raise AccessError(
                415, "a change must be sent as JSON", "Send `Content-Type: application/json`"
            )
        if not guest.may_change:
            raise AccessError(
                403, f"`{guest.name}` may only look", "Use a token with the role `operate`"
            )

    def _check_host(self, host: str) -> None:
        name = _host_name(host)
        if name in _LOOPBACK_NAMES or _is_loopback(name):
            return
        if self._tokens and (name in self._hosts or not self._hosts):
            return
        raise AccessError(
            421,
            f"`{name[:80]}` is not a name of this observer",
            "Ask for it by `localhost` or 127.0.0.1; for others set tokens",
        )


def check_origin(headers: Mapping[str, str]) -> None:
    """Refuse what a page of another site sends.

    Raises:
        AccessError: It comes from another site.
    """
    site = headers.get("sec-fetch-site", "same-origin")
    origin = headers.get("origin")
    if site not in ("same-origin", "none") or (
        origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    ):
        raise AccessError(
            403, "the change comes from another site's page", "Use the page of this observer"
        )


def check_address(host: str, access: Access) -> None:
    """Refuse to be reached by other machines while nobody needs a token.

    Args:
        host: The address to listen on, or a name for it.
        access: Who may ask.

    Raises:
        SettingValueError: The address is not a loopback one, and there are no tokens.
    """
    if not (access.wants_token or host in _LOOPBACK_NAMES or _is_loopback(_address_of(host))):
        raise SettingValueError(
            f"the page on {host or 'all addresses'} can be reached by other machines, and nobody "
            "needs a token",
            hint=f"Write a line `NAME ROLE TOKEN` for each who may ask, in a file for "
            f"`--tokens-file FILE` or in {TOKENS_VARIABLE}; or leave the page on 127.0.0.1",
        )


def _address_of(host: str) -> str:
    """What a name stands for where somebody listens on it; the name itself where for nothing."""
    try:
        found = socket.getaddrinfo(
            host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        return host
    return str(found[0][4][0])


def _check_asking_page(headers: Mapping[str, str]) -> None:
    """Refuse what another site's page asks for; it could not read it, but keep us busy with it."""
    is_strange = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if is_strange and headers.get("sec-fetch-mode") != "navigate":
        raise AccessError(
            403, "another site's page asks for this", "Open it by itself, not within another page"
        )


def _host_name(host: str) -> str:
    """The name without its port; of an IPv6 address without its brackets."""
    found = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](:\d+)?|([^:\[\]]*)(:\d+)?", host)
    return (found[1] or found[3] or "").lower() if found else host.lower()


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def access_from(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    hosts: tuple[str, ...] = (),
) -> Access:
    """Read the tokens from a file, or from the variable OUTGROW_TOKENS, of the same form.

    Raises:
        SettingValueError: A line is not understood, or the file is open to others.
    """
    environment = os.environ if environment is None else environment
    if path is not None:
        return Access(_tokens_in(_private_text(path), str(path)), hosts)
    return Access(_tokens_in(environment.get(TOKENS_VARIABLE, ""), TOKENS_VARIABLE), hosts)


def _private_text(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise SettingValueError(
                f"{path} holds tokens, and others may read it", hint=f"Run `chmod 600 {path}`"
            )
        return path.read_text()
    except OSError as problem:
        raise SettingValueError(f"{path}: {problem.strerror}", hint=_FORM) from None


def _tokens_in(text: str, source: str) -> dict[bytes, tuple[str, Role]]:
    lines = [line.split() for line in text.replace(";", "\n").splitlines()]
    kept = [line for line in lines if line and not line[0].startswith("#")]
    if len(kept) > TOKENS_MAX:
        raise SettingValueError(f"{source} has more than {TOKENS_MAX} tokens", hint=_FORM)
    tokens: dict[bytes, tuple[str, Role]] = {}
    for number, line in enumerate(kept, 1):
        if len(line) != 3 or line[1] not in ROLES or len(line[2]) < TOKEN_CHARACTERS_MIN:
            # Not the line itself: it may hold a token.
            raise SettingValueError(f"line {number} of {source} is not understood", hint=_FORM)
        role: Role = "operate" if line[1] == "operate" else "read"
        tokens[hashlib.sha256(line[2].encode()).digest()] = (line[0], role)
    return tokens
