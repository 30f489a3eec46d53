"""The table of known AWS errors, each with its cause and its remedy.

Each row's pattern is matched against `Code: message` of an API error, or against a
FailureReason, a line of an endpoint's log, a registry's answer. Sources of the rows: the
messages that AWS's services are known to send (developer guides, public issues of the SDKs).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A known problem.

    Attributes:
        pattern: Searched for in `Code: message`; its groups may be used in `why` and `do`.
        why: The cause. `{message}` is AWS's own; also {region}, {profile}, {instance_type}.
        do: The remedy.
    """

    pattern: re.Pattern[str]
    why: str
    do: str


def _row(pattern: str, why: str, do: str) -> Row:
    return Row(re.compile(pattern, re.IGNORECASE), why, do)


QUOTAS_PAGE = "https://{region}.console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas"

CREDENTIALS: tuple[Row, ...] = (
    _row(
        r"^(NoCredentialsError|PartialCredentialsError|CredentialRetrievalError)|"
        r"unable to locate credentials",
        "no complete AWS credentials were found: {message}",
        "run `aws configure{profile}` or name a profile with `--profile NAME`",
    ),
    _row(
        r"^(NoRegionError)|you must specify a region",
        "no AWS region is set",
        "add `--region eu-west-1` (or yours), or run `aws configure set region eu-west-1{profile}`",
    ),
    _row(
        r"^(UnauthorizedSSOTokenError|SSOTokenLoadError|SSOError|TokenRetrievalError|"
        r"NoAuthTokenError)|sso.*(expired|invalid)",
        "the SSO session has expired",
        "run `aws sso login{profile}` and try again",
    ),
    _row(
        r"^Login\w*:",
        "the login session has expired",
        "run `aws login{profile}` and try again",
    ),
    _row(
        r"^(ExpiredToken|ExpiredTokenException|RequestExpired|TokenRefreshRequired):",
        "the temporary AWS credentials have expired",
        "fetch new ones (`aws sso login{profile}`, or how you got them before) and try again",
    ),
    _row(
        r"^(InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|"
        r"SignatureDoesNotMatch|InvalidSignatureException|AuthFailure):",
        "AWS does not know these credentials: {message}",
        "check them with `aws sts get-caller-identity{profile}`, or run `aws configure{profile}`; "
        "a wrong clock of this machine has the same effect",
    ),
    _row(
        r"^OptInRequired:|not subscribed|region.*(disabled|not enabled)",
        "the account has not enabled this service or region ({region})",
        "enable the region under Account in the AWS console, or take another with `--region`",
    ),
)

NETWORK: tuple[Row, ...] = (
    _row(
        r"^EndpointConnectionError",
        "nothing answers: {message}",
        "check the network, and that the region {region} is spelled right and offers the service",
    ),
    _row(
        r"^ProxyConnectionError",
        "the proxy does not answer: {message}",
        "check HTTPS_PROXY and NO_PROXY",
    ),
    _row(
        r"^SSLError",
        "the TLS connection was refused: {message}",
        "where a proxy signs with its own certificate, name its bundle in AWS_CA_BUNDLE",
    ),
    _row(
        r"^(ConnectTimeoutError|ReadTimeoutError|ConnectionClosedError|HTTPClientError|"
        r"IncompleteReadError|ResponseStreamingError|ConnectionError)",
        "the connection to AWS broke: {message}",
        "run the same command again: it continues where this one stopped",
    ),
)

SERVICE: tuple[Row, ...] = (
    _row(
        r"(^ResourceLimitExceeded\b|service limit|limit.*exceeded).*"
        r"'?(?P<quota>ml\.[\w.\-]+ for endpoint usage)'? is (?P<limit>\d+)",
        "the account's quota `{quota}` is {limit} instances in {region}",
        "ask for more at " + QUOTAS_PAGE + " (look for `{quota}`), or choose an instance type "
        "that has quota under `compute.server.instance_type`",
    ),
    _row(
        r"^ResourceLimitExceeded\b.*serverless|serverless.*(quota|limit)",
        "a quota for serverless endpoints is used up in {region}: {message}",
        "lower `compute.serverless.max_concurrency` or `memory`, or ask for more at " + QUOTAS_PAGE,
    ),
    _row(
        r"^(ResourceLimitExceeded|LimitExceeded(Exception)?|TooManyBuckets|"
        r"ServiceQuotaExceededException)\b",
        "a quota of the account is used up: {message}",
        "delete what is no longer needed (`sageturner list`), or ask for more at " + QUOTAS_PAGE,
    ),
    _row(
        r"InsufficientInstanceCapacity|CapacityError|insufficient capacity|"
        r"unable to provision requested ML compute capacity",
        "AWS has no free {instance_type} in {region} at the moment",
        "deploy again later, or choose another `compute.server.instance_type` or `--region`",
    ),
    _row(
        r"could not find model data|NoSuchKey",
        "the artefact is not where the model looks for it: {message}",
        "deploy again, which uploads it; an artefact of your own must exist under `artefact`",
    ),
    _row(
        r"could not access (model data|the model artifact)|"
        r"does not grant s3:GetObject|permission.*s3:GetObject",
        "the execution role cannot read the artefact, or it lies in another region",
        "give the role s3:GetObject on the objects, and s3:ListBucket on the bucket for an "
        "uncompressed model; the bucket must be in {region}",
    ),
    _row(
        r"could not assume role|cannot assume role|not authorized to perform: sts:AssumeRole|"
        r"role.*trust(s| relationship).*sagemaker",
        "SageMaker may not use the execution role",
        "run `sageturner setup`, which repairs its trust policy; a role that is younger than a "
        "minute needs a moment. A role of your own needs the principal sagemaker.amazonaws.com",
    ),
    _row(
        r"failed to extract model data archive|unable to extract model data",
        "the archive holds links, or is not a gzipped tar",
        "name the folder under `artefact` and it is packed without links, or pack it with "
        "`tar --dereference -czf model.tar.gz -C FOLDER .`",
    ),
    _row(
        r"(failed to download model data|model data download).*(time|exceed)",
        "the artefact was not downloaded in time",
        "raise `compute.server.download_timeout_s` (up to 3600), or make the artefact smaller",
    ),
    _row(
        r"image size (?P<size>\d+) is greater than (the )?supported size (?P<most>\d+)",
        "the image has {size} bytes and serverless takes {most}",
        "install CPU-only wheels (an `--extra-index-url` of the project's CPU builds), leave "
        "`install_cuda` out and keep the slim base image; or deploy with `-e server`",
    ),
    _row(
        r"unsupported manifest media type (?P<type>\S+)",
        "SageMaker does not take an image of the type {type}",
        "push a single-platform image in Docker's format: deploy again with `builder: layers`, or "
        "build with `--provenance=false --output type=docker`",
    ),
    _row(
        r"does not have ecr:\w+ permission|(requested image|image .*).*(not found|does not exist)|"
        r"CannotPullContainer|failed to pull image|unable to pull image",
        "SageMaker cannot get the image",
        "deploy again, which pushes it; the execution role needs ecr:BatchGetImage, "
        "ecr:GetDownloadUrlForLayer and ecr:BatchCheckLayerAvailability on the repository",
    ),
    _row(
        r"cannot create already existing (?P<kind>model|endpoint configuration|endpoint)",
        "the name is taken by another {kind}",
        "deploy again: an existing endpoint is updated in place. Where somebody else made it, "
        "choose another `name`",
    ),
    _row(
        r"cannot (update|delete) in-?progress endpoint|"
        r"endpoint.*(is|in).*(creating|updating|rollingback|deleting) (state|status)?",
        "another change of this endpoint is under way",
        "wait until `sageturner status` shows it settled, and run the command again",
    ),
    _row(
        r"must be deregistered as scalable target",
        "autoscaling holds on to the variant",
        "deploy again: autoscaling is taken off before the instance type changes",
    ),
    _row(
        r"cannot update.*(serverless|instance|server).*(serverless|instance|server)",
        "a real-time endpoint cannot become serverless",
        "delete it first (`sageturner delete`) or deploy under another `name`",
    ),
    _row(
        r"could not find endpoint|^ValidationError: endpoint \S+ of account \d+ not found",
        "there is no such endpoint in {region}",
        "see `sageturner list` for those that exist, and check `--region` and `--profile`",
    ),
    _row(
        r"ec2:\w+.*(subnet|network|vpc)|VPC.*(permission|not authorized)",
        "the execution role may not connect to your network",
        "run `sageturner setup`, which allows the role to; or leave `network` out",
    ),
    _row(
        r"(one or more )?(subnet|security group)s?.*(does not exist|not found|invalid)|"
        r"^InvalidSubnet|^InvalidGroup",
        "{message}",
        "correct `network.subnets` and `network.security_groups`; they must be in {region}",
    ),
    _row(
        r"^(KMS\w*|\w*Kms\w*Exception)\b|kms:(CreateGrant|Decrypt|GenerateDataKey)",
        "the KMS key cannot be used: {message}",
        "check `kms_key`, and that the key's policy lets you and the execution role use it",
    ),
    _row(
        r"authorization token has expired|no basic auth credentials|denied: Your authorization",
        "the registry's token has expired or was not sent",
        "run the same command again: it fetches a new token and continues",
    ),
    _row(
        r"tag .*cannot be overwritten because the (tag|repository) is immutable|"
        r"^ImageTagAlreadyExistsException",
        "the repository keeps every tag as it is",
        "deploy again: an image that is there is used, and a changed one gets a tag of its own",
    ),
    _row(
        r"toomanyrequests|pull rate limit",
        "the registry of the base image limits anonymous downloads",
        "use the mirror without a limit: "
        "`base_image: public.ecr.aws/docker/library/python:3.12-slim`",
    ),
    _row(
        r"^(BucketAlreadyExists|BucketAlreadyOwnedByYou)\b",
        "bucket names are global, and this one is taken",
        "name another under `overrides.bucket_name`",
    ),
    _row(
        r"^OperationAborted\b", "S3 still deletes a bucket of that name", "run it again in an hour"
    ),
    _row(
        r"^LimitExceeded\b.*policy size", "the role's policies are full", "use another `role_name`"
    ),
    _row(
        r"^(InvalidLocationConstraint|IllegalLocationConstraintException|PermanentRedirect|"
        r"AuthorizationHeaderMalformed)\b",
        "the bucket belongs to another region than {region}",
        "use `--region` of the bucket, or name a bucket of {region} under `overrides.bucket_name`",
    ),
    _row(
        r"^NoSuchBucket\b",
        "the bucket does not exist",
        "run `sageturner setup`, which makes it",
    ),
    _row(
        r"^(EntityAlreadyExists|RepositoryAlreadyExistsException)\b",
        "{message}",
        "run the same command again: what exists is used",
    ),
    _row(
        r"^(Throttling\w*|TooManyRequests\w*|RequestLimitExceeded|SlowDown|Rate exceeded|"
        r"PriorRequestNotComplete|ConcurrentModification\w*)\b|rate exceeded",
        "AWS limits how often this may be called, and ten tries were not enough",
        "wait a minute and run the same command again: it continues where this one stopped",
    ),
    _row(
        r"^(InternalFailure|InternalServer\w*|InternalError|ServiceUnavailable\w*|ServiceFailure|"
        r"ServerException|InternalDependencyException|5\d\d)\b|request to service failed",
        "AWS had a fault of its own: {message}",
        "run the same command again: it continues where this one stopped; "
        "https://health.aws.amazon.com shows known trouble",
    ),
)

_TOO_SLOW = _row(
    r"received server error \(0\)|invocation timed out|timed out while waiting for a response",
    "the model took longer than the 60 s that SageMaker waits",
    "make predict a generator and ask for a stream (8 minutes), send smaller requests, or "
    "choose a faster instance",
)

MODEL_ERROR: tuple[Row, ...] = (
    # What has reached the model was not too large itself.
    _row(
        r"oversize body|(response|answer|payload)\b.*(too large|exceed)",
        "the response is larger than SageMaker passes on (25 MB, serverless 4 MB)",
        "return less, make predict a generator and ask for a stream, or write the result to S3 "
        "and return its address",
    ),
    _TOO_SLOW,
)
"""What SageMaker says of a request that has reached the model."""

INVOCATION: tuple[Row, ...] = (
    _row(
        r"^(ModelNotReadyException)\b|model .* not ready",
        "the model is still starting",
        "try again in a moment; `compute.serverless.provisioned_concurrency` avoids cold starts, "
        "and is billed around the clock",
    ),
    _row(
        r"oversize body|^413\b|RequestEntityTooLarge|body.*(too large|exceeds|longer than)",
        "the request is larger than SageMaker takes (25 MB, serverless 4 MB)",
        "send less in one request, or a reference to S3 that predict reads",
    ),
    _TOO_SLOW,
)

ENDPOINT_LOG: tuple[Row, ...] = (
    # What the server's own check says before it loads the model (`server/worker/gpu_check.py`).
    _row(
        r"SAGETURNER_GPU_MISFIT: (?P<misfit>.+?: CUDA \d+ needs driver [\d.]+ or newer)",
        "{misfit}",
        "set `compute.server.inference_ami_version: al2023-ami-sagemaker-inference-gpu-4-1`, or "
        "install a build for an older CUDA",
    ),
    _row(
        r"exec format error",
        "the image was built for another processor than {instance_type} has",
        "deploy again: images are built for the instance's architecture; a Dockerfile of your own "
        "needs `--platform linux/amd64` (`linux/arm64` for Graviton)",
    ),
    _row(
        r'CannotStartContainerError|"serve": (executable file not found|no such file|permission '
        r"denied)|exec.*serve.*not found",
        "SageMaker starts the container as `docker run IMAGE serve`, and the image has no `serve`",
        "give the image an exec-form ENTRYPOINT that takes the argument, or a program `serve` on "
        "its PATH",
    ),
    _row(
        r"deserialize object on a CUDA device but|No CUDA GPUs are available|"
        r"Found no NVIDIA driver",
        "the code asks for a GPU, and the endpoint has none",
        'load with `map_location="cpu"` and use `"cuda"` only where `torch.cuda.is_available()`; '
        "or choose a GPU as `compute.server.instance_type`, with `install_cuda: true`",
    ),
    _row(
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient|"
        r"no CUDA-capable device|cudaErrorInsufficientDriver",
        "the instance's NVIDIA driver is older than the image's CUDA",
        "set `compute.server.inference_ami_version: al2023-ami-sagemaker-inference-gpu-4-1`",
    ),
    _row(
        r"error while loading shared libraries: (?P<library>[^:]+)|"
        r"(OSError|ImportError): (?P<library2>lib[\w.+\-]+): cannot open shared object",
        "a system library is missing: {library}{library2}",
        "add its Debian package to `container.generate_container.system_packages`: `libgomp1` has "
        "libgomp.so.1, `libgl1` has libGL.so.1; https://packages.debian.org finds others",
    ),
    _row(
        r"ModuleNotFoundError: No module named '(?P<package>\w+)\.(?P<inside>[\w.]+)'",
        "the image has `{package}`, without `{inside}` in it",
        "list the version of `{package}` that the code was written for under `python_packages`, or "
        "the package that adds `{package}.{inside}`",
    ),
    # Libraries say in words of their own which optional dependency they need.
    _row(
        r"ModuleNotFoundError: (?P<error>.+)|"
        r"ImportError: (?P<error2>.*\b(install|installed|optional dependency|requires)\b.*)",
        "the code imports what the image does not have: {error}{error2}",
        "add the package to `container.generate_container.python_packages` and deploy again",
    ),
    _row(
        r"ImportError: (?P<error>.+)",
        "a package of the image cannot be imported: {error}",
        "list versions that fit together under `python_packages` (`auto` takes the notebook's); "
        "`sageturner plan --verify` tries exactly the image's packages",
    ),
    _row(
        r"MemoryError|out of memory|oom-kill|^\s*Killed\b|Cannot allocate memory|"
        r"DefaultCPUAllocator: can't allocate",
        "the model does not fit into the memory",
        "raise `compute.serverless.memory` or choose a larger `compute.server.instance_type`; "
        "fewer `serving.workers` need less",
    ),
    _row(
        r"No space left on device",
        "the disk is full",
        "raise `compute.server.volume_gb` (serverless has 5 GB), or make the artefact smaller",
    ),
    # glibc's sem_open and shm_open, without the folder /dev/shm: no path is named.
    _row(
        r"OSError: \[Errno (30|38)\] (Read-only file system|Function not implemented)$|"
        r"FileNotFoundError: \[Errno 2\] No such file or directory$",
        "a serverless endpoint has no shared memory",
        "use threads in place of `multiprocessing.Lock`, `Queue` and `Pool`, which need shared "
        "memory, or deploy with `-e server`",
    ),
    _row(
        r"Read-only file system|PermissionError: \[Errno 13\] Permission denied: \S",
        "the code writes where it may not: {message}",
        "write below /tmp only: /opt/ml/model is read-only and serverless lets nothing else be "
        "written",
    ),
)

LAST_ERROR: tuple[Row, ...] = (
    _row(
        r"^(?P<error>(?!KeyboardInterrupt|SystemExit)(\w+\.)*\w+(Error|Exception)\b.*)$",
        "the model server's last error was: {error}",
        "run `sageturner try`, which loads the model and predicts in a clean process here",
    ),
)

PING = re.compile(
    r"did not pass the ping health check|failed to respond to ping|"
    r"unable to successfully stand up your model within",
    re.IGNORECASE,
)
"""The FailureReasons that say no more than that nothing answered; the log may say why."""

TABLE: tuple[Row, ...] = (*CREDENTIALS, *NETWORK, *INVOCATION, *SERVICE)
