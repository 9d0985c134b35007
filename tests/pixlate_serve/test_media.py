"""Which format an Accept header prefers (RFC 9110, 12.5.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate_serve.media import MEDIA_TYPES, wanted_format
from pixlate_serve.refusals import Refusal


@pytest.mark.parametrize(("accept", "expected"), [
    (None, "webp"), ("", None), ("*/*", "webp"), ("image/*", "webp"), ("image/png", "png"), ("IMAGE/PNG", "png"), ("image/jpg", "jpeg"),
    ("image/png, image/jpeg", "png"), ("image/png;q=0.5, image/jpeg", "jpeg"), ("image/png;q=0.5, */*;q=0.1", "png"), ("image/png, image/webp", "webp"),
    ("text/html,application/xhtml+xml,image/avif,image/apng,*/*;q=0.8", "avif"), ("image/webp;q=0, */*", "png"), ("*/*;q=0", None),
    ("application/json", None), ("image/png;q=nonsense", "png"), ("application/octet-stream", "webp"), (" image/gif ; q=1.0 ", "gif"), ("image/heic", None),
])  # fmt: skip
def test_accept_header_chooses_the_format_and_prefers_that_of_the_source(accept: str | None, expected: str | None) -> None:
    if expected is not None:
        assert wanted_format(None, accept, "webp") == expected
    elif accept == "":
        assert wanted_format(None, accept, "webp") == "webp"
    else:
        with pytest.raises(Refusal) as refusal:
            wanted_format(None, accept, "webp")
        assert refusal.value.status == 406


@given(st.text(max_size=80))
def test_any_accept_header_gives_a_format_or_a_refusal(accept: str) -> None:
    try:
        assert wanted_format(None, accept, "png") in MEDIA_TYPES
    except Refusal as refusal:
        assert refusal.status == 406
