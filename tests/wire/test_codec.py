from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mig import errors
from jupyter_mig.wire import codec
from jupyter_mig.wire.messages import BindRequest, ErrorBody, LeaseRequest, LeaseView, SliceView

WORDS = st.text(max_size=30)
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200)


@given(
    request=st.builds(
        LeaseRequest,
        kernel_id=NAMES,
        size=NAMES,
        label=WORDS,
        patience_seconds=st.none() | st.floats(min_value=0, max_value=1e9),
        wait_seconds=st.floats(min_value=0, max_value=1e9),
    )
)
def test_requests_travel_unchanged(request: LeaseRequest) -> None:
    """What is encoded decodes to the same."""
    assert codec.decode(codec.encode(request), LeaseRequest) == request


@given(
    error=st.sampled_from(errors.family()).flatmap(
        lambda kind: st.builds(kind, WORDS, situation=WORDS, next_step=WORDS)
    )
)
def test_errors_travel_unchanged(error: errors.JupyterMigError) -> None:
    """Every error of the tree arrives as the same class with the same words."""
    body = codec.decode(codec.encode(codec.body_of(error)), ErrorBody)
    arrived = codec.error_in(body)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)


def test_an_error_of_a_newer_broker_keeps_its_words() -> None:
    """An unknown kind is a plain error, not a failure to read."""
    error = codec.error_in(ErrorBody("invented-later", "Words.", "More.", "Do."))
    assert type(error) is errors.JupyterMigError
    assert str(error) == "Words.\nMore.\nDo."


def test_a_view_of_a_newer_broker_can_be_read() -> None:
    """Unknown fields of views are passed over, in nested ones too."""
    slice_view = SliceView("MIG-1", "1g.5gb", 1, 14, "GPU-1", 0, "A100", 7)
    view = LeaseView("l", "k", "granted", 2, "1g.5gb", "", 0.0, slice_view)
    newer = msgspec.to_builtins(view) | {"colour": "red"}
    newer["slice"]["weight"] = 5
    assert codec.decode(codec.encode(newer), LeaseView) == view


@pytest.mark.parametrize("body", [b'{"pid":1,"uid":0}', b'{"pid":"1"}', b'{"pid":0}', b"{}", b"1"])
def test_requests_are_read_strictly(body: bytes) -> None:
    """Unknown fields, other types and impossible values are refused."""
    with pytest.raises(errors.BadRequest) as caught:
        codec.decode(body, BindRequest)
    assert not set(str(caught.value)) & set("`'\"%\n")


@given(st.binary(max_size=200))
def test_no_body_is_a_bug(body: bytes) -> None:
    """Whatever bytes come, they are read or refused."""
    with suppress(errors.BadRequest):
        assert codec.decode(body, LeaseRequest).kernel_id
