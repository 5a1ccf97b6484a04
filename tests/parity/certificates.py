"""Certificates for the tests: an authority of their own, made when first asked for."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

PASSWORD = "let me in"


@functools.cache
def folder() -> Path:
    """A folder with ca.pem, server.pem, server.key, locked.key, client.pem and client.key."""
    place = Path(tempfile.mkdtemp(prefix="parity-certificates-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(place / "ca.pem"))
    server = authority.issue_cert("localhost", "127.0.0.1", common_name="server")
    client = authority.issue_cert("client.test", common_name="client")
    for name, issued in (("server", server), ("client", client)):
        issued.cert_chain_pems[0].write_to_path(str(place / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(place / f"{name}.key"))
    (place / "locked.key").write_bytes(_locked(server.private_key_pem.bytes()))
    return place


def _locked(key: bytes) -> bytes:
    lock = BestAvailableEncryption(PASSWORD.encode())
    loaded = load_pem_private_key(key, None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, lock)
