"""A signed body that is no result (of a later version, say) could end a lookup with an error of msgpack's."""

from __future__ import annotations

import msgpack
import pytest

from parslish.result import RESULT_VERSION, StoredResult

FACTS = [RESULT_VERSION, 0, "app", 1, 1.0, 1.0]


@pytest.mark.parametrize(
    "body",
    [b"", b"\x92", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 600, b"\x81\x90\x00"]
    + [msgpack.packb([*FACTS, outputs]) for outputs in (None, 5, [5])],
)
def test_a_body_that_is_no_result_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        StoredResult.unpack(body)
