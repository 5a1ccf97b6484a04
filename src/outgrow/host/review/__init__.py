"""Reads an app without starting it: what is wrong with its services, and how they hang together."""

from outgrow.host.review.code import Code
from outgrow.host.review.finding import Finding
from outgrow.host.review.links import Link
from outgrow.host.review.picture import (
    DatabaseEntry,
    EdgeEntry,
    FieldEntry,
    JobEntry,
    OperationEntry,
    ParameterEntry,
    Picture,
    ProviderEntry,
    ServiceEntry,
    SubscriptionEntry,
    picture_of,
)
from outgrow.host.review.rules import findings_of
from outgrow.host.review.targets import code_of

__all__ = [
    "Code",
    "DatabaseEntry",
    "EdgeEntry",
    "FieldEntry",
    "Finding",
    "JobEntry",
    "Link",
    "OperationEntry",
    "ParameterEntry",
    "Picture",
    "ProviderEntry",
    "ServiceEntry",
    "SubscriptionEntry",
    "code_of",
    "findings_of",
    "picture_of",
]
