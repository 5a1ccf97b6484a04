"""How a message crosses from one process to another, and what a call takes with it."""

from outgrow.wire.answering import Answerer, AnsweringConnection
from outgrow.wire.baggage import TRACE, Baggage, packed_baggage, unpack_baggage
from outgrow.wire.balancing import Peers, Repeat
from outgrow.wire.calling import Call, CallingConnection, CallLostError
from outgrow.wire.channel import DESCRIPTORS_MAX, Channel, ChannelClosedError, channel_pair
from outgrow.wire.codec import ArgumentsCodec, Codec
from outgrow.wire.deadline import (
    DEFAULT_SECONDS,
    EARLY_NS,
    EDGE,
    LONG_NS,
    NEVER_NS,
    WEB,
    Deadline,
    Frame,
    calling,
    current,
    deadline,
    edge_name,
    endless,
    is_edge,
    late,
    name_edge,
    on_missed,
    place_edge,
    remaining_seconds,
)
from outgrow.wire.faults import Fault, crossed_error, error_of, fault_of
from outgrow.wire.sockets import Certificates, Meeting, connect, listen, meeting_of

__all__ = [
    "DEFAULT_SECONDS",
    "DESCRIPTORS_MAX",
    "EARLY_NS",
    "EDGE",
    "LONG_NS",
    "NEVER_NS",
    "TRACE",
    "WEB",
    "Answerer",
    "AnsweringConnection",
    "ArgumentsCodec",
    "Baggage",
    "Call",
    "CallLostError",
    "CallingConnection",
    "Certificates",
    "Channel",
    "ChannelClosedError",
    "Codec",
    "Deadline",
    "Fault",
    "Frame",
    "Meeting",
    "Peers",
    "Repeat",
    "calling",
    "channel_pair",
    "connect",
    "crossed_error",
    "current",
    "deadline",
    "edge_name",
    "endless",
    "error_of",
    "fault_of",
    "is_edge",
    "late",
    "listen",
    "meeting_of",
    "name_edge",
    "on_missed",
    "packed_baggage",
    "place_edge",
    "remaining_seconds",
    "unpack_baggage",
]
