"""How a message crosses from one process to another."""

from outgrow.wire.channel import Channel, ChannelClosedError, channel_pair

__all__ = ["Channel", "ChannelClosedError", "channel_pair"]
