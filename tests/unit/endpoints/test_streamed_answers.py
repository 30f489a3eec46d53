"""Streamed answers of endpoints on SageMaker, told by the cells that this process deployed."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from sageturner_magic.aws.session import AwsSession
from sageturner_magic.endpoints import deployed_code, endpoint, leases
from sageturner_magic.endpoints.endpoint import Endpoint
from sageturner_magic.endpoints.sagemaker import SageMakerEndpoints
from sageturner_magic.errors import InvocationError
from sageturner_magic.values import CapturedModule, CellLine, SourceFile

VERSION = "0123456789ab"
MODULE = CapturedModule(
    origin="In[4]",
    files=(SourceFile("sageturner.py", b""),),
    cells=(4,),
    imports=(),
    lines={12: CellLine(4, 3)},
)
FRAME = '  File "/opt/program/sageturner.py", line 12, in predict'
# As the model server writes it when a generator raises after its first piece.
LOG_LINE = json.dumps(
    {"level": "error", "message": "predict raised ValueError: bad row", "traceback": [FRAME]}
)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    boto = boto3.Session("AKID", "SECRET", region_name="eu-west-1")
    found = AwsSession(None, "eu-west-1", "aws", boto)
    monkeypatch.setattr(endpoint, "_find", lambda name, aws: SageMakerEndpoints(found))
    monkeypatch.setattr(
        deployed_code, "our_endpoint", lambda session, name: SimpleNamespace(version=VERSION)
    )
    monkeypatch.setattr(deployed_code, "_deployed", {})
    monkeypatch.setattr(leases, "lease_of", lambda session, name: "")
    return found


def breaks_off(session: AwsSession) -> None:
    """The endpoint answers with one piece and the event that SageMaker sends for a break."""
    events = [
        {"PayloadPart": {"Bytes": b'{"row": 1}\n'}},
        {
            "ModelStreamError": {
                "Message": "The model closed the connection before the response was complete.",
                "ErrorCode": "StreamBroken",
            }
        },
    ]

    class Body:
        def __iter__(self) -> Any:
            return iter(events)

        def close(self) -> None:
            pass

    def answer(**_: object) -> Any:
        content = {"Body": Body(), "ContentType": "application/jsonlines"}
        return SimpleNamespace(status_code=200), content

    session.runtime.meta.events.register("before-call", answer)


def broken_stream(session: AwsSession) -> InvocationError:
    breaks_off(session)
    with Stubber(session.logs) as logs:
        logs.add_response("describe_log_streams", {"logStreams": [{"logStreamName": "s"}]})
        events = [{"timestamp": 1, "message": LOG_LINE}]
        logs.add_response("get_log_events", {"events": events, "nextBackwardToken": "b"})
        stream = Endpoint("digits").invoke_stream({"rows": 2})
        assert next(stream) == {"row": 1}
        with pytest.raises(InvocationError, match="broke off") as raised:
            next(stream)
    return raised.value


def test_an_answer_that_breaks_off_is_told_by_the_cell_whose_line_raised(
    session: AwsSession,
) -> None:
    deployed_code.remember("digits", VERSION, MODULE)
    told = broken_stream(session).report()
    assert "In[4], line 3, in predict" in told
    assert "sageturner.py" not in told
    assert "bad row" in told


def test_cells_of_another_version_are_not_named(session: AwsSession) -> None:
    deployed_code.remember("digits", "ba9876543210", MODULE)
    told = broken_stream(session).report()
    assert "In[4]" not in told
    assert "line 12, in predict" in told
