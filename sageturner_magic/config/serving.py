"""The `serving` section: how the model server treats requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sageturner_magic.config.section import Section


class Batch(Section):
    """Requests that are predicted together, for code that defines predict_batch()."""

    max_size: int = Field(32, ge=1, description="Most requests in a batch.")
    max_wait_ms: int = Field(
        5,
        ge=0,
        le=10_000,
        description="Milliseconds that a request may wait for others, 0 to 10000.",
    )


class Csv(Section):
    """How requests of the type text/csv are read."""

    types: Literal["infer", "text", "cell"] = Field(
        "infer",
        description="What cells become: with `infer`, numbers in columns that hold nothing but "
        "numbers, as JSON writes them, and text elsewhere; with `text`, text everywhere; with "
        "`cell`, a number wherever Python reads one, so that 00123 becomes 123.",
    )
    header: Literal["absent", "present"] = Field(
        "absent",
        description="Whether the first row has the names of the columns, if the Content-Type has "
        "no `header` parameter.",
    )


class Serving(Section):
    """How the model server treats requests."""

    null_is_a_value = frozenset({"nan"})

    workers: int = Field(
        1,
        ge=1,
        description="Processes that hold a copy of the model each and predict in parallel; memory "
        "grows with them.",
    )
    batch: Batch = Field(
        Batch(), description="Batching of requests; used only if the code has predict_batch()."
    )
    queue: int = Field(256, ge=1, description="Requests that may wait; more are refused at once.")
    timeout_s: int = Field(
        55,
        ge=1,
        le=60,
        description="Seconds that a prediction may take, 1 to 60 (SageMaker waits 60).",
    )
    max_body_mb: int = Field(
        25,
        ge=1,
        le=1024,
        description="Largest request in MB, 1 to 1024. SageMaker itself takes 25, and 4 on "
        "serverless endpoints.",
    )
    nan: Annotated[
        Literal["error", "null"],
        BeforeValidator(lambda value: "null" if value is None else value),
    ] = Field(
        "error",
        description="What a NaN or infinity in an answer becomes, which JSON does not have: an "
        "`error` that names it, or `null`.",
    )
    default_content_type: Literal[
        "application/octet-stream", "application/json", "text/csv", "text/plain"
    ] = Field(
        "application/octet-stream",
        description="How a request without a Content-Type is read, which SageMaker passes on as "
        "application/octet-stream: as bytes, or as a type that you choose.",
    )
    check_answers: Literal["auto", True, "sample", False] = Field(
        "auto",
        description="Whether responses are compared with the type that predict's signature names: "
        "`true`, all, and a wrong one is an error 500; `sample`, one in a hundred, and a wrong one "
        "is logged; `false`, none; `auto`, `true` on local endpoints and `sample` on SageMaker.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="What the log has of the lines that your code and its packages write with "
        "Python's `logging`: those of this level and above.",
    )
    csv: Csv = Field(Csv(), description="How requests of the type text/csv are read.")
    allowed_hosts: list[str] = Field(
        [],
        description="Names under which local endpoints may be addressed, beside localhost and "
        "127.0.0.1: `host.docker.internal`, or the name of a JupyterHub with a proxy. Requests "
        "with another Host or Origin header are refused.",
    )
    metrics: Literal["prometheus", "emf"] = Field(
        "prometheus",
        description="How figures are given out: `prometheus` on GET /metrics, or `emf` as log "
        "lines that become CloudWatch metrics (which CloudWatch bills).",
    )

    def settings(self) -> dict[str, Any]:
        """What was written, as the model server reads it; it has the same defaults."""
        return self.model_dump(mode="json", exclude_none=True, exclude_unset=True)
