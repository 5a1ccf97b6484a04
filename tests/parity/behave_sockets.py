"""Where a server listens: TLS, Unix sockets, inherited file descriptors, ports in use."""

from __future__ import annotations

import socket
import ssl
import stat
import tempfile

from . import certificates
from .launches import launch
from .reasons import EXIT_CODES
from .registry import Difference, alone, on
from .servers import Program, Server
from .wire import Connection, ask, raw, request

TLS = launch(tls_certificate="{certificates}/server.pem", tls_key="{certificates}/server.key")
MUTUAL = launch(
    tls_certificate="{certificates}/server.pem",
    tls_key="{certificates}/locked.key",
    tls_key_password=certificates.PASSWORD,
    tls_client_ca="{certificates}/ca.pem",
)
UNIX = launch(unix_socket="{folder}/probe.sock")
UNIX_TRUSTED = launch(unix_socket="{folder}/probe.sock", trusted_proxies="*")
FORWARDED = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]


def client_context(*, certificate: bool = False) -> ssl.SSLContext:
    """A client that trusts the tests' authority, with a certificate of its own or without."""
    context = ssl.create_default_context(cafile=str(certificates.folder() / "ca.pem"))
    if certificate:
        folder = certificates.folder()
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
    return context


def over_tls(server: Server, target: str, context: ssl.SSLContext, **headers: str) -> Connection:
    """A connection on which one request was sent."""
    connection = Connection(server, context)
    connection.send(request(target, headers=list(headers.items())))
    return connection


@on(TLS, "sockets", "TLS: scheme https, and the certificate's chain holds")
def tls(server: Server) -> object:
    with over_tls(server, "/scope", client_context()) as connection:
        scope = connection.answer().value()
        return scope["scheme"], scope["server"][0], sorted(scope.get("extensions", {}))


@on(TLS, "sockets", "TLS: version and application protocol")
def tls_version(server: Server) -> object:
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with over_tls(server, "/hello", context) as connection:
        assert isinstance(connection.socket, ssl.SSLSocket)
        return connection.socket.version(), connection.socket.selected_alpn_protocol()


@on(TLS, "sockets", "TLS: a client that speaks no more than TLS 1.2")
def tls_older(server: Server) -> object:
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with over_tls(server, "/hello", context) as connection:
        assert isinstance(connection.socket, ssl.SSLSocket)
        return connection.socket.version(), connection.answer().body


@on(TLS, "sockets", "TLS: two requests on one connection, the second large")
def tls_keep_alive(server: Server) -> object:
    with over_tls(server, "/hello", client_context()) as connection:
        first = connection.answer().body
        connection.send(request("/digest", method="POST", body=b"x" * 3_000_000))
        return first, connection.answer().value()[0]


@on(TLS, "sockets", "TLS: a trusted proxy may set the scheme back")
def tls_forwarded(server: Server) -> object:
    headers = {"X-Forwarded-Proto": "http"}
    with over_tls(server, "/scope", client_context(), **headers) as connection:
        return connection.answer().value()["scheme"]


@on(TLS, "sockets", "TLS: plain HTTP on its port is refused")
def plain_on_tls(server: Server) -> object:
    return raw(server, request("/hello"))


@on(
    MUTUAL, "sockets", "client certificates: one of the authority is let in; the key had a password"
)
def mutual(server: Server) -> object:
    with over_tls(server, "/hello", client_context(certificate=True)) as connection:
        return connection.answer().body


@on(MUTUAL, "sockets", "client certificates: none is refused")
def mutual_without(server: Server) -> object:
    return refusal(server, client_context())


def refusal(server: Server, context: ssl.SSLContext) -> object:
    """Whether the handshake or the first request on it fails."""
    try:
        with over_tls(server, "/hello", context) as connection:
            return connection.rest() or "closed"
    except (ssl.SSLError, ConnectionError):
        return "refused"


@alone(
    "sockets",
    "TLS: a certificate that is not there: exit code",
    differs=Difference(
        uvicorn=1,
        outgrow=2,
        reason=EXIT_CODES,
    ),
    slow=True,
)
def no_certificate(program: Program) -> object:
    wanted = launch(tls_certificate="{folder}/none.pem", tls_key="{certificates}/server.key")
    return program.ending(wanted).code


@on(UNIX, "sockets", "Unix socket: served, with its path as `server` and no client")
def unix(server: Server) -> object:
    scope = ask(server, "/scope").value()
    address, port = scope["server"]
    return address == server.address, port, scope["client"]


@on(UNIX, "sockets", "Unix socket: readable and writable for all")
def unix_mode(server: Server) -> object:
    assert isinstance(server.address, str)
    return stat.filemode((server.folder / "probe.sock").stat().st_mode)


@on(UNIX, "sockets", "Unix socket: the peer is not trusted by default")
def unix_untrusted(server: Server) -> object:
    scope = ask(server, "/scope", headers=FORWARDED).value()
    return scope["scheme"], scope["client"]


@on(UNIX_TRUSTED, "sockets", "Unix socket: `trusted_proxies=*` trusts its peer")
def unix_trusted(server: Server) -> object:
    scope = ask(server, "/scope", headers=FORWARDED).value()
    return scope["scheme"], scope["client"]


@alone(
    "sockets",
    "Unix socket: removed at the end",
    differs=Difference(
        uvicorn=(True, True),
        outgrow=(True, False),
        reason="uvicorn means to remove it as well, but its own SIGTERM ends it before it gets"
        " there",
    ),
)
def unix_removed(program: Program) -> object:
    with program.running(UNIX) as server:
        path = server.folder / "probe.sock"
        before = path.exists()
        server.signal(15)
        server.exit_code()
        return before, path.exists()


@alone("sockets", "Unix socket: a file left behind by a crash is taken over", slow=True)
def unix_left(program: Program) -> object:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as dead:
        left = f"{folder}/left.sock"
        dead.bind(left)
        dead.close()
        with program.running(launch(unix_socket="{left}"), left=left) as server:
            return ask(server, "/hello").status_line


@alone("sockets", "an inherited TCP socket is served")
def inherited(program: Program) -> object:
    with program.running(launch(inherit="tcp")) as server:
        scope = ask(server, "/scope").value()
        return scope["server"] == server.address, scope["client"][0], scope["scheme"]


@alone("sockets", "an inherited Unix socket is served", slow=True)
def inherited_unix(program: Program) -> object:
    with program.running(launch(inherit="unix")) as server:
        scope = ask(server, "/scope").value()
        return scope["server"][0] == server.address, scope["client"]


@alone(
    "sockets",
    "a port in use: exit code, and the port is named",
    differs=Difference(
        uvicorn=(3, True),
        outgrow=(1, True),
        reason=EXIT_CODES,
    ),
)
def port_in_use(program: Program) -> object:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        end = program.ending(launch(port="{taken}"), taken=port)
        return end.code, port in end.output


@alone(
    "sockets",
    "an address that this machine does not have: exit code",
    differs=Difference(
        uvicorn=3,
        outgrow=1,
        reason=EXIT_CODES,
    ),
    slow=True,
)
def foreign_address(program: Program) -> object:
    return program.ending(launch(host="192.0.2.1", port="0")).code
