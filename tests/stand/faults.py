"""What goes wrong on demand. Every field is a plain value that a test or a person sets."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field, fields
from typing import Any

from tests.stand.wire import AwsFault, DropConnection


@dataclass
class Faults:
    """Faults to inject; with the defaults nothing goes wrong.

    Attributes:
        throttle_percent: This share of all calls, to AWS and to the registry, is throttled.
        reset_percent: This share of all calls to AWS gets its connection reset.
        stall_percent: This share of all calls to AWS is answered only after `stall_s`.
        stall_s: Seconds that a stalled call waits.
        services: Only these services (botocore's names, comma-separated) have the three above;
            empty means all.
        s3_fail_upload: The n-th body that is sent to S3 from now on breaks off half-way.
        s3_fail_every_upload: Every n-th body that is sent to S3 breaks off half-way.
        drop_every_upload: Every n-th upload to the registry breaks off half-way.
        expire_token_after: After this many more requests to the registry, all ECR tokens given
            out until then are expired.
        token_lifetime_s: How long an ECR token is valid; AWS's is 12 hours.
        late_policies: So many times SageMaker sees none of a role's policies yet.
        late_settings: So many times a setting that was made is not seen yet (`stand/late.py`).
        late_roles: So many times IAM shows neither roles nor policies that were made.
        late_tags: So many times SageMaker shows no tags.
        role_delay_s: A role younger than this cannot be assumed yet.
        source_account: With 0, SageMaker sends no aws:SourceAccount when it assumes a role.
        bucket_delay_s: The name of a bucket that was deleted less than this ago is not free yet.
        config_delay_s: An endpoint configuration younger than this is not seen yet.
        endpoint_failure: The next deployment of an endpoint fails with this FailureReason.
        silent_rollbacks: So many updates that fail leave no FailureReason.
        failed_rollbacks: So many updates that fail end as UpdateRollbackFailed.
        operations: Only these operations of AWS (comma-separated) are throttled; empty means all.
        expire_after: After this many more calls of DescribeEndpoint all credentials have expired.
        no_capacity: Instance types (comma-separated) that cannot be had.
        cold_starts: So many invocations are answered with ModelNotReadyException.
        transition_s: Seconds that every change of an endpoint takes on top.
        seed: Makes the share that is hit repeatable.
    """

    throttle_percent: float = 0
    reset_percent: float = 0
    stall_percent: float = 0
    stall_s: float = 5
    services: str = ""
    s3_fail_upload: int = 0
    s3_fail_every_upload: int = 0
    drop_every_upload: int = 0
    expire_token_after: int = 0
    token_lifetime_s: float = 12 * 3600
    late_policies: int = 0
    late_settings: int = 0
    late_roles: int = 0
    late_tags: int = 0
    role_delay_s: float = 0
    source_account: int = 1
    bucket_delay_s: float = 0
    config_delay_s: float = 0
    endpoint_failure: str = ""
    silent_rollbacks: int = 0
    failed_rollbacks: int = 0
    operations: str = ""
    expire_after: int = 0
    no_capacity: str = ""
    cold_starts: int = 0
    transition_s: float = 0
    seed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _random: dict[int, random.Random] = field(default_factory=dict, repr=False)
    _uploads: dict[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def names(cls) -> list[str]:
        return [item.name for item in fields(cls) if not item.name.startswith("_")]

    def set(self, **values: Any) -> None:
        """Set fields by name; text becomes the field's type. Raises ValueError."""
        kinds = {"int": int, "float": float, "str": str}
        types = {item.name: kinds.get(str(item.type)) for item in fields(self)}
        for name, value in values.items():
            kind = types.get(name)
            if kind is None:
                raise ValueError(f"no fault is called {name}; there are {', '.join(self.names())}")
            setattr(self, name, kind(value))

    def clear(self) -> None:
        """Nothing goes wrong any more, and what is counted or drawn begins anew."""
        self._random.clear()
        self._uploads.clear()
        self.set(**{name: getattr(_NONE, name) for name in self.names()})

    def current(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.names()}

    def strike(self, service: str) -> None:
        """Called before every request. Raises AwsFault or DropConnection, or takes its time."""
        if self.services and service not in self.services.split(","):
            return
        if not self.operations and self._hits(self.throttle_percent):
            raise throttled(service)
        if service == "registry":
            return
        if self._hits(self.reset_percent):
            raise DropConnection
        if self._hits(self.stall_percent):
            time.sleep(self.stall_s)

    def strike_operation(self, service: str, operation: str) -> None:
        """Called with every call of AWS whose operation is known. Raises AwsFault."""
        if operation in self.operations.split(",") and self._hits(self.throttle_percent):
            raise throttled(service)
        with self._lock:
            if operation == "DescribeEndpoint" and self.expire_after > 1:
                self.expire_after -= 1
            elif self.expire_after == 1:
                raise AwsFault(
                    "ExpiredTokenException",
                    "The security token included in the request is expired",
                )

    def breaks_upload(self, service: str) -> bool:
        """Whether the upload that starts now, to `s3` or `registry`, is to break off half-way."""
        with self._lock:
            count = self._uploads[service] = self._uploads.get(service, 0) + 1
        every = self.s3_fail_every_upload if service == "s3" else self.drop_every_upload
        this_one = service == "s3" and self.take("s3_fail_upload") == 1
        return this_one or bool(every and count % every == 0)

    def take(self, name: str) -> Any:
        """The value of a fault that strikes once; it is spent. Counts go down by one."""
        with self._lock:
            value = getattr(self, name)
            if value:
                setattr(self, name, value - 1 if isinstance(value, int) else type(value)())
            return value

    def _hits(self, percent: float) -> bool:
        if not percent:
            return False
        with self._lock:
            drawn = self._random.setdefault(self.seed, random.Random(self.seed))
            return drawn.random() * 100 < percent


_NONE = Faults()


def throttled(service: str) -> AwsFault:
    """Throttling in the words of `service`."""
    if service == "s3":
        return AwsFault("SlowDown", "Please reduce your request rate.", 503)
    if service == "registry":
        return AwsFault("TOOMANYREQUESTS", "Rate exceeded", 429)
    if service in ("iam", "sts"):
        return AwsFault("Throttling", "Rate exceeded", 400)
    if service == "sagemaker-runtime":
        return AwsFault("ThrottlingException", "Rate exceeded", 429)
    return AwsFault("ThrottlingException", "Rate exceeded", 400)
