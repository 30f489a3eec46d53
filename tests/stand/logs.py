"""Container output -> CloudWatch logs, as far as the execution role is allowed to write it."""

from __future__ import annotations

import threading
import time

from moto.logs.models import LogsBackend, logs_backends

from tests.stand.actions import Need
from tests.stand.iam import Iam, Principal
from tests.stand.wire import ACCOUNT


def group_of(endpoint: str) -> str:
    return f"/aws/sagemaker/Endpoints/{endpoint}"


class LogStream:
    """One container's stream; lines are written in the order in which they come."""

    def __init__(self, region: str, endpoint: str, stream: str, role: Principal, iam: Iam) -> None:
        self.region = region
        self.group = group_of(endpoint)
        self.stream = stream
        base = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{self.group}:log-stream:"
        self._allowed = all(
            iam.allows(role, need)
            for need in (
                Need("logs:CreateLogGroup", base),
                Need("logs:CreateLogStream", f"{base}{stream}"),
                Need("logs:PutLogEvents", f"{base}{stream}"),
            )
        )
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        if not self._allowed or not line:
            return
        with self._lock:
            backend = self._backend
            self._ensure(backend)
            event = {"timestamp": int(time.time() * 1000), "message": line}
            backend.put_log_events(self.group, self.stream, [event])

    @property
    def _backend(self) -> LogsBackend:
        return logs_backends[ACCOUNT][self.region]

    def _ensure(self, backend: LogsBackend) -> None:
        backend.ensure_log_group(self.group)
        if self.stream not in backend.groups[self.group].streams:
            backend.create_log_stream(self.group, self.stream)
