"""How a message crosses from one process to another, and what a call takes with it."""

from outgrow.wire.answering import Answerer, AnsweringConnection
from outgrow.wire.baggage import Baggage, packed_baggage, unpack_baggage
from outgrow.wire.balancing import Peers
from outgrow.wire.calling import Call, CallingConnection, CallLostError
from outgrow.wire.channel import DESCRIPTORS_MAX, Channel, ChannelClosedError, channel_pair
from outgrow.wire.codec import ArgumentsCodec, Codec
from outgrow.wire.deadline import (
    DEFAULT_SECONDS,
    EDGE,
    LONG_NS,
    NEVER_NS,
    Deadline,
    Frame,
    current,
    deadline,
    late,
    on_missed,
    remaining_seconds,
)
from outgrow.wire.faults import Fault, crossed_error, error_of, fault_of
from outgrow.wire.sockets import Certificates, Meeting, connect, listen, meeting_of

__all__ = [
    "DEFAULT_SECONDS",
    "DESCRIPTORS_MAX",
    "EDGE",
    "LONG_NS",
    "NEVER_NS",
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
    "channel_pair",
    "connect",
    "crossed_error",
    "current",
    "deadline",
    "error_of",
    "fault_of",
    "late",
    "listen",
    "meeting_of",
    "on_missed",
    "packed_baggage",
    "remaining_seconds",
    "unpack_baggage",
]
