"""The pace that the client of a form must keep."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from werkzeug.exceptions import RequestTimeout

from oxillama.server.http.form import TimedBody


class Late:
    """A body whose pieces come half a minute apart, and are taken even so, as where the loop was held up."""

    def __aiter__(self) -> Late:
        return self

    async def __anext__(self) -> bytes:
        with trio.CancelScope(shield=True):
            await trio.sleep(30)
        return b"x"


async def test_bytes_that_come_as_the_time_ends_are_the_last(autojump_clock: Any) -> None:
    late: Any = Late()
    body = TimedBody(late, 20)
    assert await body.more() == b"x"
    with pytest.raises(RequestTimeout):
        await body.more()
