"""grpc.aio, with real protobuf messages of a schema that is built when it runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib import import_module
from typing import Any

import grpc

from . import Place, Ways
from .record import CHUNK, RECORD

CALL_SECONDS = 10.0
_MESSAGE_BYTES_MAX = 16 * 1024 * 1024
_OPTIONS = [
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
]
# Field -> its type, by the names that protobuf gives them.
_RECORD = {
    "id": "INT64",
    "sku": "STRING",
    "name": "STRING",
    "quantity": "INT64",
    "price_cents": "INT64",
    "currency": "STRING",
    "note": "STRING",
    "tags": "STRING",
    "weight_grams": "DOUBLE",
    "is_gift": "BOOL",
}
_descriptors: Any = import_module("google.protobuf.descriptor_pb2")
_pool: Any = import_module("google.protobuf.descriptor_pool")
_factory: Any = import_module("google.protobuf.message_factory")


def _messages() -> tuple[Any, Any]:
    """The classes that generated code would have."""
    file = _descriptors.FileDescriptorProto(name="records.proto", package="bench", syntax="proto3")
    kinds = _descriptors.FieldDescriptorProto
    for name, fields in {"Record": _RECORD, "Blob": {"body": "BYTES"}}.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            label = kinds.LABEL_REPEATED if field == "tags" else kinds.LABEL_OPTIONAL
            kind_number = getattr(kinds, f"TYPE_{kind}")
            message.field.add(name=field, number=number, type=kind_number, label=label)
    pool = _pool.DescriptorPool()
    pool.Add(file)
    found = [pool.FindMessageTypeByName(f"bench.{name}") for name in ("Record", "Blob")]
    record, blob = map(_factory.GetMessageClass, found)
    return record, blob


Record, Blob = _messages()


async def _record(request: Any, _: object) -> Any:
    return request


async def _records(_: object, __: object) -> AsyncIterator[Any]:
    record = Record(**asdict(RECORD))
    while True:
        yield record


async def _chunks(_: object, __: object) -> AsyncIterator[Any]:
    while True:
        yield Blob(body=CHUNK)


async def _blob(request: Any, _: object) -> Any:
    return Blob(body=request.body)


async def serve(place: Place) -> None:
    """Answer."""
    server = grpc.aio.server(options=_OPTIONS)
    record = {
        "request_deserializer": Record.FromString,
        "response_serializer": Record.SerializeToString,
    }
    blob = {
        "request_deserializer": Blob.FromString,
        "response_serializer": Blob.SerializeToString,
    }
    handlers = {
        "record": grpc.unary_unary_rpc_method_handler(_record, **record),
        "blob": grpc.unary_unary_rpc_method_handler(_blob, **blob),
        "records": grpc.unary_stream_rpc_method_handler(_records, **record),
        "chunks": grpc.unary_stream_rpc_method_handler(_chunks, **blob),
    }
    generic = grpc.method_handlers_generic_handler("bench.Records", handlers)
    server.add_generic_rpc_handlers((generic,))
    server.add_insecure_port(_address(place))
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


@asynccontextmanager
async def asking(place: Place) -> AsyncGenerator[Ways]:
    """Call."""
    async with grpc.aio.insecure_channel(_address(place), options=_OPTIONS) as channel:
        record = (Record.SerializeToString, Record.FromString)
        blob = (Blob.SerializeToString, Blob.FromString)
        ask_record = channel.unary_unary("/bench.Records/record", *record)
        ask_blob = channel.unary_unary("/bench.Records/blob", *blob)
        ask_records = channel.unary_stream("/bench.Records/records", *record)
        ask_chunks = channel.unary_stream("/bench.Records/chunks", *blob)
        given = Record(**asdict(RECORD))

        async def echo(body: bytes) -> bytes:
            return (await ask_blob(Blob(body=body), timeout=CALL_SECONDS)).body

        async def records() -> AsyncGenerator[object]:
            stream = ask_records(Record())
            try:
                async for item in stream:
                    yield item
            finally:
                stream.cancel()

        async def chunks() -> AsyncGenerator[object]:
            stream = ask_chunks(Blob())
            try:
                async for item in stream:
                    yield item.body
            finally:
                stream.cancel()

        yield Ways(
            record=lambda: ask_record(given, timeout=CALL_SECONDS),
            blob=echo,
            records=records,
            chunks=chunks,
        )


def _address(place: Place) -> str:
    if place.variant == "tcp":
        return f"127.0.0.1:{place.port}"
    return f"unix:{place.folder / 'grpc.sock'}"
