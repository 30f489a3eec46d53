"""Every message of AWS becomes: what failed, why, and what to do."""

from __future__ import annotations

import json

import botocore.exceptions
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    UnauthorizedSSOTokenError,
)

from sageturner_magic.aws.errors import (
    aws_call,
    diagnose,
    explain,
    translate,
    unless,
)
from sageturner_magic.aws.symptoms import TABLE
from sageturner_magic.errors import AwsError, ConfigError
from sageturner_magic.server.worker.gpu_check import Need, misfit


def client_error(code: str, message: str, operation: str = "CreateModel") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"RequestId": "r-1"}},  # type: ignore[typeddict-item]
        operation,
    )


QUOTA = (
    "The account-level service limit 'ml.g5.xlarge for endpoint usage' is 0 Instances, with "
    "current utilization of 0 Instances and a request delta of 1 Instances. Please contact AWS "
    "support to request an increase for this limit."
)
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/digits"

ANSWERS = [
    # (code, message, what the cause says, what the remedy says)
    ("ResourceLimitExceeded", QUOTA, "`ml.g5.xlarge for endpoint usage` is 0", "servicequotas"),
    (
        "ResourceLimitExceeded",
        "The account-level service limit 'Maximum number of serverless endpoints' is 50",
        "serverless",
        "compute.serverless",
    ),
    ("LimitExceededException", "Rate of roles", "quota of the account", "sageturner list"),
    (
        "ValidationException",
        (
            "Could not assume role arn:aws:iam::123456789012:role/r. Please ensure that the role "
            "exists and allows principal 'sagemaker.amazonaws.com' to assume the role."
        ),
        "may not use the execution role",
        "sageturner setup",
    ),
    (
        "ValidationException",
        (
            "Could not access model data at s3://b/k. Please ensure that the role exists and that "
            "its trust relationship policy allows the action 'sts:AssumeRole' for the service "
            "principal 'sagemaker.amazonaws.com'. Also ensure that the role has 's3:GetObject'."
        ),
        "cannot read the artefact",
        "s3:ListBucket",
    ),
    (
        "ValidationException",
        f'Cannot create already existing endpoint "{ARN}".',
        "taken by another endpoint",
        "updated in place",
    ),
    (
        "ValidationException",
        f'Cannot update in-progress endpoint "{ARN}".',
        "another change",
        "sageturner status",
    ),
    (
        "ValidationException",
        (
            'The variant(s) "[AllTraffic]" must be deregistered as scalable target with AWS Auto '
            "Scaling before they can be removed or have their instance type updated."
        ),
        "autoscaling holds on",
        "deploy again",
    ),
    (
        "ValidationException",
        "Could not find model data at s3://b/k.",
        "not where the model looks",
        "deploy again",
    ),
    ("ValidationException", f'Could not find endpoint "{ARN}".', "no such endpoint", "list"),
    (
        "ValidationException",
        "Unsupported manifest media type application/vnd.oci.image.manifest.v1+json for image x",
        "application/vnd.oci.image.manifest.v1+json",
        "builder: layers",
    ),
    ("ValidationError", "Request abc has oversize body.", "larger than", "reference to S3"),
    ("ModelNotReadyException", "Not ready", "still starting", "try again"),
    (
        "BucketAlreadyExists",
        "The requested bucket name is not available.",
        "names are global",
        "overrides.bucket_name",
    ),
    (
        "IllegalLocationConstraintException",
        "The unspecified location constraint is incompatible for the region specific endpoint",
        "another region",
        "overrides.bucket_name",
    ),
    ("InvalidLocationConstraint", "The specified location-constraint is not valid", "region", "--"),
    ("NoSuchBucket", "The specified bucket does not exist", "does not exist", "sageturner setup"),
    (
        "ImageTagAlreadyExistsException",
        (
            "The image tag 'x' already exists in the 'r' repository and cannot be overwritten "
            "because the tag is immutable."
        ),
        "keeps every tag",
        "deploy again",
    ),
    ("ExpiredToken", "The provided token has expired.", "have expired", "--profile lab"),
    ("ExpiredTokenException", "The security token expired", "have expired", "aws sso login"),
    ("InvalidClientTokenId", "The security token is invalid", "does not know", "aws configure"),
    ("SignatureDoesNotMatch", "The signature does not match", "does not know", "clock"),
    ("OptInRequired", "You are not subscribed to this service", "has not enabled", "--region"),
    ("ThrottlingException", "Rate exceeded", "limits how often", "again"),
    ("InternalFailure", "The request processing has failed", "fault of its own", "again"),
    ("ServiceUnavailable", "Try later", "fault of its own", "health.aws.amazon.com"),
    ("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist", "subnet-1", "network"),
    ("KMSInvalidStateException", "key is pending deletion", "KMS key", "kms_key"),
    ("EntityAlreadyExists", "Role with name r already exists.", "exists", "again"),
]


@pytest.mark.parametrize(("code", "message", "why", "do"), ANSWERS)
def test_an_answer_of_aws_is_explained(code: str, message: str, why: str, do: str) -> None:
    error = translate(
        client_error(code, message),
        what="create the model",
        where="model digits-1",
        profile="lab",
        region="eu-west-1",
    )
    (finding,) = error.findings
    assert isinstance(error, AwsError)
    assert finding.what == "Could not create the model"
    assert finding.where == "model digits-1"
    assert why in finding.why
    assert do in finding.do
    assert "{" not in finding.why + finding.do.replace("{role", "")
    assert "r-1" in finding.details


# botocore has it since 1.41: `aws login`.
LoginRefreshRequired: type[BotoCoreError] = getattr(
    botocore.exceptions, "LoginRefreshRequired", type("LoginRefreshRequired", (BotoCoreError,), {})
)

NETWORK = [
    (NoCredentialsError(), "credentials", "aws configure --profile lab"),
    (NoRegionError(), "region", "--region"),
    (UnauthorizedSSOTokenError(), "SSO session has expired", "`aws sso login --profile lab`"),
    (LoginRefreshRequired(), "login session", "`aws login --profile lab`"),
    (EndpointConnectionError(endpoint_url="https://x"), "nothing answers", "eu-west-1"),
    (ProxyConnectionError(proxy_url="http://p"), "proxy", "HTTPS_PROXY"),
    (SSLError(endpoint_url="https://x", error="bad"), "TLS", "AWS_CA_BUNDLE"),
    (ReadTimeoutError(endpoint_url="https://x"), "connection", "continues where"),
]


@pytest.mark.parametrize(("error", "why", "do"), NETWORK)
def test_what_keeps_boto3_from_calling_is_explained(error: Exception, why: str, do: str) -> None:
    translated = translate(error, what="list", profile="lab", region="eu-west-1")
    assert why in translated.findings[0].why
    assert do in translated.findings[0].do


def test_an_answer_nobody_knows_still_shows_all_that_aws_said() -> None:
    error = translate(client_error("NewCode", "something new"), what="try")
    assert "NewCode: something new" in str(error)
    assert error.findings[0].do and "r-1" in error.report()


def test_errors_that_are_not_of_aws_pass_unchanged() -> None:
    with pytest.raises(ConfigError), aws_call("try"):
        raise ConfigError("mine")
    with pytest.raises(ZeroDivisionError), aws_call("try"):
        raise ZeroDivisionError


def test_an_expected_answer_is_none_and_others_are_raised() -> None:
    def fail(code: str) -> str:
        raise client_error(code, "m")

    assert unless("^NoSuch", lambda: fail("NoSuchEntity")) is None
    assert unless("^NoSuch", lambda: "there") == "there"
    with pytest.raises(ClientError):
        unless("^NoSuch", lambda: fail("Other"))


class TestAccessDenied:
    def test_names_action_and_resource_and_prints_the_statement_to_add(self) -> None:
        message = (
            "User: arn:aws:sts::123456789012:assumed-role/Ops/ann is not authorized to perform: "
            "sagemaker:CreateModel on resource: "
            "arn:aws:sagemaker:eu-west-1:123456789012:model/digits-1 because no identity-based "
            "policy allows the sagemaker:CreateModel action"
        )
        error = translate(client_error("AccessDeniedException", message), what="create the model")
        (finding,) = error.findings
        assert "sagemaker:CreateModel on arn:aws:sagemaker" in finding.why
        statement, _ = json.JSONDecoder().raw_decode(finding.details)
        assert statement == {
            "Effect": "Allow",
            "Action": "sagemaker:CreateModel",
            "Resource": "arn:aws:sagemaker:eu-west-1:123456789012:model/digits-1",
        }

    def test_an_explicit_deny_is_not_answered_with_a_statement(self) -> None:
        message = (
            "User: x is not authorized to perform: s3:CreateBucket on resource: "
            '"arn:aws:s3:::b" with an explicit deny in a service control policy'
        )
        (finding,) = translate(client_error("AccessDenied", message), what="set up").findings
        assert "service control policy denies it" in finding.why
        assert "Effect" not in finding.details

    @pytest.mark.parametrize(
        ("operation", "action"),
        [
            ("HeadBucket", "s3:ListBucket"),
            ("PutBucketEncryption", "s3:PutEncryptionConfiguration"),
            ("UploadPart", "s3:PutObject"),
        ],
    )
    def test_s3_does_not_name_the_action_so_the_call_does(
        self, operation: str, action: str
    ) -> None:
        error = translate(
            client_error("AccessDenied", "Access Denied", operation),
            what="set up the bucket",
            resource="arn:aws:s3:::b",
        )
        assert f"{action} on arn:aws:s3:::b" in error.findings[0].why


PING = (
    "The primary container for production variant AllTraffic did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)

FAILURES = [
    # (FailureReason, log, instance type, what the cause says, what the remedy says)
    (PING, "ModuleNotFoundError: No module named 'xgboost'", "", "xgboost", "python_packages"),
    (
        PING,
        "ModuleNotFoundError: No module named 'sklearn.frozen'",
        "",
        "the image has `sklearn`, without `frozen` in it",
        "the version of `sklearn`",
    ),
    (
        PING,
        "ImportError: cannot import name 'trapz' from 'scipy.integrate'",
        "",
        "a package of the image cannot be imported",
        "versions that fit together",
    ),
    (
        PING,
        "ImportError: Missing optional dependency 'pyarrow'. Use pip or conda to install pyarrow.",
        "",
        "the code imports what the image does not have",
        "add the package",
    ),
    (PING, "exec /usr/bin/python: exec format error", "ml.m6g.large", "ml.m6g.large", "platform"),
    (PING, "", "ml.g5.xlarge", "driver is older", "inference_ami_version"),
    (
        PING,
        "RuntimeError: The NVIDIA driver on your system is too old (found version 11040)",
        "ml.g5.xlarge",
        "driver is older",
        "inference_ami_version",
    ),
    (PING, "loading weights", "ml.m5.large", "GET /ping", "startup_timeout_s"),
    (PING, "loading weights", "", "GET /ping", "3 minutes"),
    (PING, "MemoryError", "", "memory", "compute.serverless.memory"),
    (PING, 'exec: "serve": executable file not found in $PATH', "", "serve", "ENTRYPOINT"),
    (
        PING,
        "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
        "",
        "libGL.so.1",
        "system_packages",
    ),
    (
        PING,
        "/usr/bin/foo: error while loading shared libraries: libgomp.so.1: cannot open",
        "",
        "libgomp.so.1",
        "system_packages",
    ),
    (PING, "OSError: [Errno 28] No space left on device", "ml.m5.large", "disk", "volume_gb"),
    (PING, "OSError: [Errno 30] Read-only file system: '/opt/x'", "", "writes", "/tmp"),
    (
        PING,
        (
            'Traceback (most recent call last):\n  File "sageturner.py", line 3, in load\n'
            "ValueError: bad weights"
        ),
        "",
        "ValueError: bad weights",
        "sageturner try",
    ),
    (
        'Failed to extract model data archive from URL "s3://b/k".',
        "",
        "",
        "links",
        "--dereference",
    ),
    (
        "Image size 12345678901 is greater than supported size 10737418240",
        "",
        "",
        "12345678901",
        "CPU-only",
    ),
    (
        (
            "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity "
            "error. Please retry using a different ML instance type or after some time."
        ),
        "",
        "ml.g5.xlarge",
        "no free ml.g5.xlarge",
        "instance_type",
    ),
    (
        "Request to service failed. If failure persists after retry, contact customer support.",
        "",
        "",
        "fault of its own",
        "again",
    ),
    ("CannotPullContainerError: image not found", "", "", "cannot get the image", "ecr:"),
    (
        "Unable to successfully stand up your model within the allotted 180 second timeout.",
        "",
        "",
        "GET /ping",
        "3 minutes",
    ),
    (
        (
            "CannotStartContainerError. Please ensure the model container for variant AllTraffic "
            "starts correctly when invoked with 'docker run <image> serve'."
        ),
        "",
        "ml.m5.large",
        "docker run IMAGE serve",
        "ENTRYPOINT",
    ),
    (
        (
            "CannotStartContainerError. Please ensure the model container for variant AllTraffic "
            "starts correctly when invoked with 'docker run <image> serve'."
        ),
        "",
        "ml.g5.xlarge",
        "NVIDIA driver is older than the image's CUDA",
        "set `compute.server.inference_ami_version: al2023-ami-sagemaker-inference-gpu-4-1`",
    ),
    (
        (
            "CannotStartContainerError. Please ensure the model container for variant AllTraffic "
            "starts correctly when invoked with 'docker run <image> serve'."
        ),
        "ModuleNotFoundError: No module named 'torch'",
        "ml.p4d.24xlarge",
        "imports what the image does not have",
        "python_packages",
    ),
    (
        (
            "CannotStartContainerError. Please ensure the model container for variant AllTraffic "
            "starts correctly when invoked with 'docker run <image> serve'."
        ),
        "exec /opt/program/serve: exec format error",
        "ml.m5.large",
        "another processor",
        "architecture",
    ),
    (
        "The primary container for variant AllTraffic did not pass the ping health check.",
        json.dumps({"level": "error", "message": misfit([Need("torch 2.11", 13)], "470.57", 11)}),
        "ml.g5.xlarge",
        "torch 2.11 (CUDA 13) cannot run with this instance's NVIDIA driver 470.57: CUDA 13 needs",
        "inference_ami_version: al2023-ami-sagemaker-inference-gpu-4-1",
    ),
    (
        "The primary container for variant AllTraffic did not pass the ping health check.",
        (
            "RuntimeError: Attempting to deserialize object on a CUDA device but "
            "torch.cuda.is_available() is False. If you are running on a CPU-only machine, please"
        ),
        "",
        "the code asks for a GPU, and the endpoint has none",
        'map_location="cpu"',
    ),
    ("Something that nobody has seen before", "", "", "Something that nobody", "log below"),
    ("", "", "", "gives no reason", "log below"),
]


@pytest.mark.parametrize(("reason", "log", "instance_type", "why", "do"), FAILURES)
def test_a_failed_endpoint_is_diagnosed(
    reason: str, log: str, instance_type: str, why: str, do: str
) -> None:
    finding = diagnose(reason, log, instance_type=instance_type, region="eu-west-1")
    assert finding.what == "The endpoint did not start"
    assert why in finding.why
    assert do in finding.do
    assert reason in finding.details and log in finding.details


@pytest.mark.parametrize(
    ("said", "do"),
    [
        ("denied: Your authorization token has expired. Reauthenticate and try again.", "token"),
        ("no basic auth credentials", "token"),
        ("toomanyrequests: You have reached your pull rate limit.", "public.ecr.aws"),
        (
            (
                "tag invalid: The image tag 'a' already exists in the 'r' repository and cannot be "
                "overwritten because the tag is immutable."
            ),
            "tag of its own",
        ),
        (
            (
                'Received server error (0) from primary with message "Your invocation timed out '
                'while waiting for a response from container primary."'
            ),
            "generator",
        ),
    ],
)
def test_what_a_registry_or_a_model_says_is_in_the_same_table(said: str, do: str) -> None:
    finding = explain(said)
    assert finding and do in finding.do


def test_each_row_has_a_cause_and_a_remedy() -> None:
    for row in TABLE:
        assert row.why and row.do and not row.do.endswith(".")
