"""The one address that boto3 reaches: which service a request is for, and who answers it."""

from __future__ import annotations

import io
import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from tests.stand import late, pricing
from tests.stand.ecr import Ecr
from tests.stand.faults import Faults
from tests.stand.http import break_off, pieces, respond
from tests.stand.iam import Iam, Principal, bucket_owner
from tests.stand.quotas import Quotas
from tests.stand.sagemaker.api import SageMaker
from tests.stand.sagemaker.runtime import Runtime
from tests.stand.scheduler import Scheduler
from tests.stand.wire import AwsFault, Call, error_answer, json_answer

CONTROL = "/_stand/faults"
SIGNING_NAMES = {
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}
"""Signing name -> botocore's name, where they differ."""
SCOPE = re.compile(r"(?P<key>[^/=,\s]+)/\d{8}/(?P<region>[\w-]+)/(?P<service>[\w-]+)/aws4_request")
INVOCATION = re.compile(r"/endpoints/(?P<name>[^/]+)/(?P<kind>[\w-]+)")
SCHEDULE = re.compile(r"/schedules(?:/(?P<name>[^/]+))?")
ON_SCHEDULES = {
    "POST": "CreateSchedule",
    "PUT": "UpdateSchedule",
    "GET": "GetSchedule",
    "DELETE": "DeleteSchedule",
}
INVOCATIONS = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "async-invocations": "InvokeEndpointAsync",
}
S3_UPLOADS = ("PutObject", "UploadPart")
S3_SMALL_BODIES = ("CreateBucket", "DeleteObjects")


class Front:
    """Every request to AWS: faults first, then who it is, what they may, and the answer."""

    def __init__(
        self,
        iam: Iam,
        ecr: Ecr,
        sagemaker: SageMaker,
        runtime: Runtime,
        quotas: Quotas,
        scheduler: Scheduler,
        faults: Faults,
    ) -> None:
        self._iam = iam
        self._ecr = ecr
        self._sagemaker = sagemaker
        self._runtime = runtime
        self._quotas = quotas
        self._scheduler = scheduler
        self._faults = faults
        self._deleted: dict[str, float] = {}
        self._moto = DomainDispatcherApplication(create_backend_app)

    def handle(self, environ: dict[str, Any]) -> Response:
        """The answer to any request. Raises DropConnection."""
        if environ["PATH_INFO"] == CONTROL:
            return self._control(environ)
        scope = _scope(environ)
        if scope is None:
            fault = AwsFault("MissingAuthenticationToken", "Missing Authentication Token", 403)
            return respond(error_answer(fault, "s3"))
        service = _service(scope["service"], environ["PATH_INFO"])
        try:
            self._faults.strike(service)
            body = b"" if service == "s3" else _take_body(environ)
            call = _parse(environ, service, scope, body)
            self._faults.strike_operation(service, call.operation)
            principal = self._iam.principal(call)
            self._iam.authorise(principal, call)
            return self._answer(call, principal, environ, body)
        except AwsFault as fault:
            return respond(error_answer(fault, service))

    def _answer(
        self, call: Call, principal: Principal, environ: dict[str, Any], body: bytes
    ) -> Response:
        def moto() -> Response:
            if isinstance(environ["wsgi.input"], io.BytesIO):
                environ["wsgi.input"].seek(0)
            return Response.from_app(self._moto, environ)

        if (fault := late.fault_of(call)) and self._faults.take(fault):
            return respond(late.answer(call))
        match call.service:
            case "sagemaker":
                return respond(self._sagemaker.handle(call))
            case "sagemaker-runtime":
                return self._runtime.handle(call, body)
            case "pricing":
                return respond(pricing.handle(call))
            case "service-quotas":
                return respond(self._quotas.handle(call))
            case "ecr":
                return self._ecr.handle(call, principal, moto) or moto()
            case "scheduler":
                return self._scheduler.handle(call, moto)
            case "s3":
                self._check_s3(call, environ)
        return moto()

    def _check_s3(self, call: Call, environ: Mapping[str, Any]) -> None:
        expected = environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER")
        owner = bucket_owner(call.params.get("Bucket", ""))
        if expected and owner and expected != owner:
            raise AwsFault("AccessDenied", "Access Denied", 403)
        bucket = call.params.get("Bucket", "")
        if call.operation == "DeleteBucket" and owner:
            self._deleted[bucket] = time.monotonic()
        since = time.monotonic() - self._deleted.get(bucket, -math.inf)
        if call.operation == "CreateBucket" and since < self._faults.bucket_delay_s:
            raise AwsFault(
                "OperationAborted",
                "A conflicting conditional operation is currently in progress against this "
                "resource. Please try again.",
                409,
            )
        if call.operation in S3_UPLOADS and self._faults.breaks_upload("s3"):
            break_off(environ)

    def _control(self, environ: dict[str, Any]) -> Response:
        """GET shows the faults that are set, PUT sets some of them."""
        if environ["REQUEST_METHOD"] == "PUT":
            values = json.loads(b"".join(pieces(environ)))
            try:
                self._faults.set(**values)
            except ValueError as error:
                return Response(f"{error}\n", 400)
        return respond(json_answer(self._faults.current()))


def _scope(environ: Mapping[str, Any]) -> dict[str, str] | None:
    """Access key, region and service out of the signature, in the header or the query."""
    signature = environ.get("HTTP_AUTHORIZATION", "")
    if not signature:
        signature = dict(parse_qsl(environ.get("QUERY_STRING", ""))).get("X-Amz-Credential", "")
    match = SCOPE.search(signature)
    return match.groupdict() if match else None


def _service(signing_name: str, path: str) -> str:
    if signing_name == "sagemaker" and path.startswith("/endpoints/"):
        return "sagemaker-runtime"
    return SIGNING_NAMES.get(signing_name, signing_name)


def _take_body(environ: dict[str, Any]) -> bytes:
    """The body, which stays there to be read again."""
    body = b"".join(pieces(environ))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return body


def _parse(environ: dict[str, Any], service: str, scope: Mapping[str, str], body: bytes) -> Call:
    """Raises AwsFault where the operation cannot be told."""
    operation, params = _operation(environ, service, body)
    if operation in S3_SMALL_BODIES and service == "s3":
        _take_body(environ)
    request = Request(environ)
    token = request.headers.get("X-Amz-Security-Token") or request.args.get("X-Amz-Security-Token")
    return Call(request, service, scope["region"], operation, params, scope["key"], token or "")


def _operation(environ: dict[str, Any], service: str, body: bytes) -> tuple[str, dict[str, Any]]:
    unknown = AwsFault("UnknownOperationException", f"The stand does not know this {service} call")
    if service == "s3":
        try:
            model, labels = get_service_router("s3").match(Request(environ))
        except HTTPException:
            raise AwsFault("MethodNotAllowed", "The method is not allowed here.", 405) from None
        return model.name, labels
    if service == "sagemaker-runtime":
        match = INVOCATION.fullmatch(environ["PATH_INFO"])
        if match is None or match["kind"] not in INVOCATIONS:
            raise unknown
        return INVOCATIONS[match["kind"]], {"EndpointName": match["name"]}
    if service == "scheduler":
        match = SCHEDULE.fullmatch(environ["PATH_INFO"])
        if match is None:
            raise unknown
        name = match["name"]
        operation = ON_SCHEDULES[environ["REQUEST_METHOD"]] if name else "ListSchedules"
        given = json.loads(body or b"{}")
        group = dict(parse_qsl(environ.get("QUERY_STRING", ""))).get("groupName")
        return operation, {**({"GroupName": group} if group else {}), **given, "Name": name or "*"}
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        try:
            return target.rpartition(".")[2], json.loads(body or b"{}")
        except ValueError:
            raise AwsFault("SerializationException", "The body is not JSON") from None
    form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    if "Action" not in form:
        raise unknown
    return form["Action"], form
