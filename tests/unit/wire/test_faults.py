"""Exceptions as values: what survives, and what is said of where they were raised."""

from __future__ import annotations

import msgspec
import pytest

from outgrow.errors import RemoteError
from outgrow.wire import Fault, crossed_error, error_of, fault_of


class TeaError(Exception):
    def __init__(self, sku: str) -> None:
        super().__init__(f"no {sku}")
        self.sku = sku


def raised(depth: int = 0) -> TeaError:
    """One that came through so many calls."""

    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        raise TeaError("tea")

    with pytest.raises(TeaError) as caught:
        deeper(depth)
    return caught.value


def sent(error: Exception, *, is_traced: bool = True) -> Exception:
    """As it arrives in another process."""
    written = msgspec.msgpack.encode(fault_of(error, is_traced=is_traced))
    return error_of(msgspec.msgpack.decode(written, type=Fault))


def test_an_exception_of_plain_values_passes_as_it_is() -> None:
    error = raised()
    assert crossed_error(error) is error
    group = ExceptionGroup("both", [error, ValueError(1)])
    assert crossed_error(group) is group


def test_a_group_within_one_process_keeps_where_its_parts_were_raised() -> None:
    part = raised()
    group = ExceptionGroup("both", [part, KeyError(object())])
    crossed = crossed_error(group)
    assert isinstance(crossed, ExceptionGroup)
    assert crossed is not group
    assert crossed.exceptions[0] is part
    assert part.__traceback__ is not None


def test_a_part_whose_class_is_not_known_is_a_remote_error() -> None:
    class LocalError(Exception):
        pass

    group = ExceptionGroup("both", [LocalError("here"), ValueError("there")])
    for arrived in (crossed_error(group), sent(group)):
        assert isinstance(arrived, ExceptionGroup)
        assert [type(each) for each in arrived.exceptions] == [RemoteError, ValueError]


def test_a_trace_names_files_lines_and_functions_and_no_more_than_twenty() -> None:
    trace = fault_of(raised(50), is_traced=True).trace
    assert len(trace) == 20
    assert trace[-1].startswith("test_faults.py:")
    assert trace[-1].endswith(" in raised.<locals>.deeper")
    assert fault_of(raised()).trace == []


def test_notes_of_the_user_stay_and_those_of_hops_become_one() -> None:
    error = raised()
    error.add_note("look here")
    for hop in range(3):
        error = sent(error)
        assert isinstance(error, TeaError)
        try:
            raise error
        except TeaError as again:
            error = again
        assert error.__notes__[0] == "look here", hop
        assert len(error.__notes__) == 2
    lines = error.__notes__[1].splitlines()
    assert lines[0] == "Raised in another process:"
    assert lines[-1].endswith("in raised.<locals>.deeper")
    assert len(lines) == 5  # the title, two hops, and two calls where it began


def test_a_fault_without_the_newer_fields_is_read() -> None:
    old = {"module": "builtins", "name": "KeyError", "arguments": ["a"], "attributes": {}}
    error = error_of(msgspec.convert({**old, "text": "'a'"}, Fault))
    assert type(error) is KeyError


@pytest.mark.parametrize("notes", ["no list", [1]])
def test_a_fault_that_makes_no_sense_is_a_remote_error_or_harmless(notes: object) -> None:
    fault = Fault("builtins", "ValueError", ["a"], {"__notes__": notes}, "a", trace=["b"])
    assert isinstance(error_of(fault), ValueError | RemoteError)
    empty = Fault("builtins", "ExceptionGroup", ["none"], {}, "none")
    assert isinstance(error_of(empty), RemoteError)
