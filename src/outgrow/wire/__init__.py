"""How a message crosses from one process to another, and what a call takes with it."""

from outgrow.wire.baggage import Baggage, packed_baggage, unpack_baggage
from outgrow.wire.channel import DESCRIPTORS_MAX, Channel, ChannelClosedError, channel_pair
from outgrow.wire.codec import Codec
from outgrow.wire.deadline import (
    DEFAULT_SECONDS,
    EDGE,
    NEVER_NS,
    Deadline,
    Frame,
    current,
    deadline,
    late,
    remaining_seconds,
)
from outgrow.wire.faults import Fault, crossed_error, error_of, fault_of

__all__ = [
    "DEFAULT_SECONDS",
    "DESCRIPTORS_MAX",
    "EDGE",
    "NEVER_NS",
    "Baggage",
    "Channel",
    "ChannelClosedError",
    "Codec",
    "Deadline",
    "Fault",
    "Frame",
    "channel_pair",
    "crossed_error",
    "current",
    "deadline",
    "error_of",
    "fault_of",
    "late",
    "packed_baggage",
    "remaining_seconds",
    "unpack_baggage",
]
