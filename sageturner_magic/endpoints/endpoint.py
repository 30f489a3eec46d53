"""Find an endpoint by name, wherever it runs, and use it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sageturner_magic.aws import refused
from sageturner_magic.aws.endpoints import find_endpoint
from sageturner_magic.calls import checked, in_thread
from sageturner_magic.constants import REQUEST_SECONDS, EndpointType
from sageturner_magic.context import AwsOptions, current_notebook
from sageturner_magic.endpoints import deployed_code, elsewhere
from sageturner_magic.endpoints.kind import EndpointDescription, Price, Send
from sageturner_magic.endpoints.local import LocalEndpoints, LocalState
from sageturner_magic.endpoints.payload import encode
from sageturner_magic.endpoints.prediction import Prediction, PredictionStream
from sageturner_magic.endpoints.sagemaker import SageMakerEndpoints
from sageturner_magic.endpoints.server_log import with_cells
from sageturner_magic.endpoints.usage import Usage
from sageturner_magic.errors import AwsError, EndpointError, Finding, InvocationError, UsageError
from sageturner_magic.values import InvokeOptions, Request

if TYPE_CHECKING:
    from sageturner_magic.endpoints.removal import LeftOver

MOST_HOURS = 455 * 24
"""As long as CloudWatch keeps anything."""


class UsesEndpoint:
    """What an endpoint can be asked for; the result of `deploy` can be asked, too."""

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint, wherever it runs."""
        raise NotImplementedError

    @checked
    def invoke(
        self,
        payload: object,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        timeout_s: float = REQUEST_SECONDS,
        custom_attributes: str = "",
        inference_id: str = "",
        session_id: str = "",
        target_variant: str = "",
    ) -> Prediction:
        """Send one request and return the decoded answer.

        Args:
            payload: Anything JSON can hold (numpy, pandas and dates too); bytes go as they are.
            content_type: Media type of the request; JSON unless the payload is bytes.
            accept: Media type wanted for the answer.
            timeout_s: Seconds to wait for the answer.
            custom_attributes, inference_id, session_id, target_variant: Of SageMaker; see
                `values.InvokeOptions`.

        Raises:
            InvocationError: The payload, the endpoint or the model is at fault; it says which,
                with the model's own message and frames.
            EndpointError: The endpoint is no longer there.
        """
        options = InvokeOptions(custom_attributes, inference_id, session_id, target_variant)
        return self.endpoint.send(encode(payload, content_type, accept, timeout_s, options))

    ainvoke = in_thread(invoke)

    @checked
    def invoke_stream(
        self,
        payload: object,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        timeout_s: float = REQUEST_SECONDS,
        custom_attributes: str = "",
        inference_id: str = "",
        session_id: str = "",
        target_variant: str = "",
    ) -> PredictionStream:
        """Send one request and read the answer as the model makes it.

        Args:
            payload: As for `invoke`.
            content_type: As for `invoke`.
            accept: As for `invoke`.
            timeout_s: Seconds to wait for each piece. SageMaker has limits of its own: 60 s to the
                first byte, 8 minutes in all.
            custom_attributes, inference_id, session_id, target_variant: As for `invoke`.

        Returns:
            An iterator over the pieces that `predict` yields.

        Raises:
            InvocationError: As for `invoke`; also in the middle of the answer.
            EndpointError: The endpoint is no longer there.

        Example:
            >>> for token in Endpoint("chat").invoke_stream({"prompt": "Once upon"}):
            ...     print(token, end="", flush=True)
        """
        options = InvokeOptions(custom_attributes, inference_id, session_id, target_variant)
        return self.endpoint.send_stream(encode(payload, content_type, accept, timeout_s, options))

    ainvoke_stream = in_thread(invoke_stream)

    def status(self) -> EndpointDescription:
        """Return its state, version, address and cost. Raises EndpointError if it is gone."""
        return self.endpoint.describe()

    astatus = in_thread(status)

    @checked
    def logs(self, *, last: int | None = None) -> Iterator[str]:
        """Return the lines that its server wrote so far, oldest first, or the `last` of them."""
        lines = self.endpoint._log()
        return lines if last is None else iter(deque(lines, max(last, 0)))

    def follow_logs(self) -> Iterator[str]:
        """Return the same lines, then new ones as they come, until its server ends."""
        return self.endpoint._log(follow=True)

    def delete(self) -> None:
        """Delete it, and what was created for it and nothing else uses, without asking.

        Safe to repeat after an interrupt.

        Raises:
            EndpointError: It is not there, not ours, or busy.
            AwsError: A call failed.
        """
        self.endpoint._target.delete(self.endpoint.name)
        if notebook := current_notebook():
            notebook.ended(self.endpoint.name)

    adelete = in_thread(delete)


class Endpoint(UsesEndpoint):
    """An endpoint that was deployed, by its name.

    Example:
        >>> digits = Endpoint("digits")
        >>> digits.invoke({"pixels": [0.0] * 64})["digit"]
        4
    """

    @checked
    def __init__(
        self,
        name: str,
        *,
        profile: str | None = None,
        region: str | None = None,
        endpoint_type: EndpointType | None = None,
    ) -> None:
        """
        Args:
            name: Its name.
            profile: AWS profile. With a profile or a region, only SageMaker is searched.
            region: AWS region.
            endpoint_type: `local` searches this machine only, any other type SageMaker only.

        Raises:
            UsageError: A local endpoint and one that was seen on SageMaker have this name, and
                nothing says which is meant.
            EndpointError: There is no local endpoint of that name, and AWS cannot be asked. That
                there is none on SageMaker is said when it is used: asking first would cost every
                request a second call, and its caller more permissions.
        """
        self.name = name
        self._target = _find(name, AwsOptions(profile, region, endpoint_type))

    @classmethod
    def at(cls, name: str, aws: AwsOptions) -> Endpoint:
        """Find the endpoint `name` where `aws` says. Raises EndpointError as the constructor."""
        return cls(name, profile=aws.profile, region=aws.region, endpoint_type=aws.endpoint_type)

    @property
    def endpoint(self) -> Endpoint:
        """Itself."""
        return self

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return isinstance(self._target, LocalEndpoints)

    def describe(self) -> EndpointDescription:
        """Its status, version, address and cost."""
        return self._target.describe(self.name)

    @property
    def url(self) -> str:
        """Base address for HTTP clients; empty on SageMaker, where AWS signs requests."""
        return self._target.describe(self.name).url if self.is_local else ""

    def send(self, request: Request) -> Prediction:
        """Send a request that is encoded already; see `invoke`."""
        try:
            return self._target.invoke(self.name, request)
        except InvocationError as error:
            raise self._told(error) from error.__cause__

    def _told(self, error: InvocationError) -> InvocationError:
        """`error` with cells in place of lines of sageturner.py, and where to look next."""
        lines = deployed_code.cells(self._target, self.name)
        told = InvocationError(error.findings[0].what, status=error.status)
        told.findings = tuple(
            replace(
                finding,
                do=finding.do or f"run `sageturner logs {self.name}`",
                why=with_cells(finding.why, lines),
                details=with_cells(finding.details, lines),
            )
            for finding in error.findings
        )
        return told

    def send_stream(self, request: Request) -> PredictionStream:
        """Send a request that is encoded already; see `invoke_stream`."""
        try:
            stream = self._target.invoke_stream(self.name, request)
        except InvocationError as error:
            raise self._told(error) from error.__cause__
        return stream.telling(self._told)

    def sender(self, request: Request, connections: int) -> Send:
        """Return a function that sends this request once per call and returns the outcome.

        Args:
            connections: How many threads call it at a time.
        """
        return self._target.sender(self.name, request, connections)

    def example_request(self) -> object:
        """The value of the code's example_request(); None without one, and on SageMaker."""
        return self._target.example_request(self.name)

    def example_payload(self) -> object:
        """The value of the code's example_request(). Raises UsageError without one."""
        payload = self.example_request()
        if payload is None:
            raise UsageError(
                "There is no payload",
                why=f"the code of `{self.name}` has no example_request()",
                do="write one after the name",
                code="ST11",
            )
        return payload

    def usage(self, hours: float = 3.0) -> Usage:
        """Requests, errors and latencies of the last hours (of a local one, of its server).

        Raises:
            AwsError: CloudWatch does not tell.
            EndpointError: The local server does not.
            UsageError: The range makes no sense.
        """
        if not 0 < hours <= MOST_HOURS:
            raise UsageError(
                f"`--hours` is {hours:g}", do=f"choose more than 0 and at most {MOST_HOURS:,}"
            )
        return self._target.usage(self.name, hours)

    def price(self) -> Price:
        """What it costs, as far as that is known."""
        return self._target.price(self.name)

    def _log(self, *, follow: bool = False) -> Iterator[str]:
        read = self._target.follow if follow else self._target.logs
        known = deployed_code.cells(self._target, self.name)
        for line in read(self.name):
            yield with_cells(line, known)

    def source(self) -> str:
        """The sageturner.py that it runs. Raises EndpointError where there is none."""
        return deployed_code.source(self._target, self.name)

    def client_module(self) -> str:
        """A Python module that calls it, with the types of predict; see `clients`.

        Raises:
            EndpointError: It is on SageMaker, which does not tell the types, or does not respond.
        """
        if isinstance(self._target, LocalEndpoints):
            return self._target.client_module(self.name)
        raise EndpointError(
            f"The types of `{self.name}` cannot be read from SageMaker",
            why="SageMaker passes on requests of predict only",
            do=f"deploy the same code here and write the client from that: `sageturner deploy"
            f" {self.name} -e local`, `sageturner client {self.name} -e local`; its `sagemaker()`"
            " calls the endpoint on SageMaker",
        )

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r})"


def is_local(name: str, aws: AwsOptions) -> bool:
    """Whether `name` means a local endpoint.

    Raises:
        UsageError: There is one on SageMaker, too, and `aws` does not say which is meant.
    """
    if not _is_here(name, aws):
        return False
    if aws.endpoint_type is None and _is_on_sagemaker(name, aws):
        raise UsageError(
            f"`{name}` is a local endpoint, and also one on SageMaker",
            do="add `-e local` or `-e serverless` (any type on SageMaker) to say which you mean; in"
            ' Python `endpoint_type="local"`',
            code="ST14",
        )
    return True


def no_endpoint(name: str, aws: AwsOptions) -> EndpointError:
    """The error for a name that neither this machine nor SageMaker knows."""
    places = ["on this machine"] if aws.includes_local else []
    if aws.includes_sagemaker:
        places.append(f"on SageMaker in {aws.open().region}")
    return EndpointError(
        f"There is no endpoint `{name}` {' or '.join(places)}",
        do="`sageturner list` shows all endpoints; check `--region` and `--profile`",
        code="ST81",
    )


def _is_here(name: str, aws: AwsOptions) -> bool:
    return aws.includes_local and LocalState().read(name) is not None


def _is_on_sagemaker(name: str, aws: AwsOptions) -> bool:
    try:
        found = find_endpoint(aws.open(), name)
    except AwsError as error:
        # Without AWS the local one is the only one that can be meant; who may not look may invoke.
        return refused(error) and elsewhere.was_on_sagemaker(name)
    if found is None:
        elsewhere.forget_on_sagemaker(name)
    return found is not None and found.ours


def _find(name: str, aws: AwsOptions) -> LocalEndpoints | SageMakerEndpoints:
    if _is_here(name, aws) and (not elsewhere.was_on_sagemaker(name) or is_local(name, aws)):
        return LocalEndpoints()
    if not aws.includes_sagemaker:
        raise LocalEndpoints().missing(name)
    try:
        return SageMakerEndpoints(aws.open())
    except AwsError as error:
        if not aws.includes_local:
            raise
        raise LocalEndpoints().missing(
            name, f"SageMaker was not asked ({error.findings[0].what})"
        ) from None


@dataclass(frozen=True)
class Listing:
    """Endpoints, and what is left of others.

    Attributes:
        endpoints: Local ones first.
        now: Seconds since the epoch.
        left_overs: Of endpoints on SageMaker that something else than `delete` has ended.
    """

    endpoints: tuple[EndpointDescription, ...]
    notes: tuple[Finding, ...]
    now: float
    left_overs: tuple[LeftOver, ...] = ()


def listing(aws: AwsOptions) -> Listing:
    """List all endpoints, with a note where AWS could not be asked."""
    # To invoke an endpoint must not load what knows images.
    from sageturner_magic.endpoints.removal import left_overs

    local, now = LocalEndpoints().list() if aws.includes_local else [], time.time()
    try:
        session = aws.open()
        found = SageMakerEndpoints(session).list()
        left = left_overs(session, {each.name for each in found}, now)
        return Listing((*local, *found), tuple(each.finding for each in left), now, left)
    except AwsError as error:
        if not aws.includes_local:
            raise
        what = "Endpoints on SageMaker are not listed"
        note = Finding(what, why=error.findings[0].what, severity="note")
        return Listing(tuple(local), (note,), now)
