"""What a client may send, and how long it may take for it."""

from __future__ import annotations

from ..problems import Problem

HEADER_BYTES = 65_536
"""Bytes of a request's line and headers at most; SageMaker sends a few hundred."""

HEADER_SECONDS = 10.0
"""Seconds from the first byte of a request to the end of its headers."""

BODY_GAP_SECONDS = 10.0
"""Seconds without a byte of a body that has begun."""

BODY_SECONDS = 60.0
"""Seconds from the first byte of a body to its last: SageMaker gives up on the whole by then."""

IDLE_SECONDS = 75.0
"""Seconds that a connection without a request is kept; longer than load balancers keep theirs."""

WRITE_GAP_SECONDS = 30.0
"""Seconds that a client may leave the bytes of its answer unread."""

LINGER_SECONDS = 2.0
"""How long what a client still sends is read after its connection was refused."""

DISCARDED_FACTOR = 8
"""How many times the allowed body is read and thrown away, so that the client reads its 413."""

ONCE = (b"host", b"authorization", b"transfer-encoding")
"""Headers of which two would let two programs read one request differently."""


def too_large(limit: int) -> Problem:
    """The refusal (413) of a body of more than `limit` bytes."""
    message = f"the body is larger than {limit:,} bytes (serving.max_body_mb)"
    return Problem(413, "PayloadTooLarge", message)
