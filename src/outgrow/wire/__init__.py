"""How a message crosses from one process to another."""

from outgrow.wire.channel import DESCRIPTORS_MAX, Channel, ChannelClosedError, channel_pair

__all__ = ["DESCRIPTORS_MAX", "Channel", "ChannelClosedError", "channel_pair"]
