"""Known errors of calls to AWS: of credentials, the network and the services."""

from __future__ import annotations

from sageturner_magic.aws.symptoms.endpoints import INVOCATION
from sageturner_magic.aws.symptoms.rows import Row, row

QUOTAS_PAGE = "https://{region}.console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas"

CREDENTIALS: tuple[Row, ...] = (
    row(
        r"^(NoCredentialsError|PartialCredentialsError|CredentialRetrievalError)|"
        r"unable to locate credentials",
        "no complete AWS credentials were found: {message}",
        "run `aws configure{profile}` or name a profile with `--profile NAME`",
    ),
    row(
        r"^(NoRegionError)|you must specify a region",
        "no AWS region is set",
        "add `--region eu-west-1` (or yours), or run `aws configure set region eu-west-1{profile}`",
    ),
    row(
        r"^(UnauthorizedSSOTokenError|SSOTokenLoadError|SSOError|TokenRetrievalError|"
        r"NoAuthTokenError)|sso.*(expired|invalid)",
        "the SSO session has expired",
        "run `aws sso login{profile}` and try again",
    ),
    row(
        r"^Login\w*:",
        "the login session has expired",
        "run `aws login{profile}` and try again",
    ),
    row(
        r"^(ExpiredToken|ExpiredTokenException|RequestExpired|TokenRefreshRequired):",
        "the temporary AWS credentials have expired",
        "fetch new ones (`aws sso login{profile}`, or how you got them before) and try again",
    ),
    row(
        r"^(InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|"
        r"SignatureDoesNotMatch|InvalidSignatureException|AuthFailure):",
        "AWS does not know these credentials: {message}",
        "check them with `aws sts get-caller-identity{profile}`, or run `aws configure{profile}`; "
        "a wrong clock of this machine has the same effect",
    ),
    row(
        r"^OptInRequired:|not subscribed|region.*(disabled|not enabled)",
        "the account has not enabled this service or region ({region})",
        "enable the region under Account in the AWS console, or take another with `--region`",
    ),
)

NETWORK: tuple[Row, ...] = (
    row(
        r"^EndpointConnectionError",
        "nothing answers: {message}",
        "check the network, and that the region {region} is spelled right and offers the service",
    ),
    row(
        r"^ProxyConnectionError",
        "the proxy does not answer: {message}",
        "check HTTPS_PROXY and NO_PROXY",
    ),
    row(
        r"^SSLError",
        "the TLS connection was refused: {message}",
        "where a proxy signs with its own certificate, name its bundle in AWS_CA_BUNDLE",
    ),
    row(
        r"^(ConnectTimeoutError|ReadTimeoutError|ConnectionClosedError|HTTPClientError|"
        r"IncompleteReadError|ResponseStreamingError|ConnectionError)",
        "the connection to AWS broke: {message}",
        "run the same command again: it continues where this one stopped",
    ),
)

SERVICE: tuple[Row, ...] = (
    row(
        r"(^ResourceLimitExceeded\b|service limit|limit.*exceeded).*"
        r"'?(?P<quota>ml\.[\w.\-]+ for endpoint usage)'? is (?P<limit>\d+)",
        "the account's quota `{quota}` is {limit} instances in {region}",
        "ask for more at " + QUOTAS_PAGE + " (look for `{quota}`), or choose an instance type "
        "that has quota under `compute.server.instance_type`",
    ),
    row(
        r"^ResourceLimitExceeded\b.*serverless|serverless.*(quota|limit)",
        "a quota for serverless endpoints is used up in {region}: {message}",
        "lower `compute.serverless.max_concurrency` or `memory`, or ask for more at " + QUOTAS_PAGE,
    ),
    row(
        r"^(ResourceLimitExceeded|LimitExceeded(Exception)?|TooManyBuckets|"
        r"ServiceQuotaExceededException)\b",
        "a quota of the account is used up: {message}",
        "delete what is no longer needed (`sageturner list`), or ask for more at " + QUOTAS_PAGE,
    ),
    row(
        r"InsufficientInstanceCapacity|CapacityError|insufficient capacity|"
        r"unable to provision requested ML compute capacity",
        "AWS has no free {instance_type} in {region} at the moment",
        "deploy again later, or choose another `compute.server.instance_type` or `--region`",
    ),
    row(
        r"could not find model data|NoSuchKey",
        "the artefact is not where the model looks for it: {message}",
        "deploy again, which uploads it; an artefact of your own must exist under `artefact`",
    ),
    row(
        r"could not access (model data|the model artifact)|"
        r"does not grant s3:GetObject|permission.*s3:GetObject",
        "the execution role cannot read the artefact, or it lies in another region",
        "give the role s3:GetObject on the objects, and s3:ListBucket on the bucket for an "
        "uncompressed model; the bucket must be in {region}",
    ),
    row(
        r"could not assume role|cannot assume role|not authorized to perform: sts:AssumeRole|"
        r"role.*trust(s| relationship).*sagemaker",
        "SageMaker may not use the execution role",
        "run `sageturner setup`, which repairs its trust policy; a role that is younger than a "
        "minute needs a moment. A role of your own needs the principal sagemaker.amazonaws.com",
    ),
    row(
        r"failed to extract model data archive|unable to extract model data",
        "the archive holds links, or is not a gzipped tar",
        "name the folder under `artefact` and it is packed without links, or pack it with "
        "`tar --dereference -czf model.tar.gz -C FOLDER .`",
    ),
    row(
        r"(failed to download model data|model data download).*(time|exceed)",
        "the artefact was not downloaded in time",
        "raise `compute.server.download_timeout_s` (up to 3600), or make the artefact smaller",
    ),
    row(
        r"image size (?P<size>\d+) is greater than (the )?supported size (?P<most>\d+)",
        "the image has {size} bytes and serverless takes {most}",
        "install CPU-only wheels (an `--extra-index-url` of the project's CPU builds), leave "
        "`install_cuda` out and keep the slim base image; or deploy with `-e server`",
    ),
    row(
        r"unsupported manifest media type (?P<type>\S+)",
        "SageMaker does not take an image of the type {type}",
        "push a single-platform image in Docker's format: deploy again with `builder: layers`, or "
        "build with `--provenance=false --output type=docker`",
    ),
    row(
        r"does not have ecr:\w+ permission|(requested image|image .*).*(not found|does not exist)|"
        r"CannotPullContainer|failed to pull image|unable to pull image",
        "SageMaker cannot get the image",
        "deploy again, which pushes it; the execution role needs ecr:BatchGetImage, "
        "ecr:GetDownloadUrlForLayer and ecr:BatchCheckLayerAvailability on the repository",
    ),
    row(
        r"cannot create already existing (?P<kind>model|endpoint configuration|endpoint)",
        "the name is taken by another {kind}",
        "deploy again: an existing endpoint is updated in place. Where somebody else made it, "
        "choose another `name`",
    ),
    row(
        r"cannot (update|delete) in-?progress endpoint|"
        r"endpoint.*(is|in).*(creating|updating|rollingback|deleting) (state|status)?",
        "another change of this endpoint is under way",
        "wait until `sageturner status` shows it settled, and run the command again",
    ),
    row(
        r"must be deregistered as scalable target",
        "autoscaling holds on to the variant",
        "deploy again: autoscaling is taken off before the instance type changes",
    ),
    row(
        r"cannot update.*(serverless|instance|server).*(serverless|instance|server)",
        "a real-time endpoint cannot become serverless",
        "delete it first (`sageturner delete`) or deploy under another `name`",
    ),
    row(
        r"could not find endpoint|^ValidationError: endpoint \S+ of account \d+ not found",
        "there is no such endpoint in {region}; if it had a `lease`, that has ended",
        "deploy it again (its image exists, so nothing is built), or check `--region` and "
        "`--profile`; `sageturner list` shows the endpoints that exist",
    ),
    row(
        r"ec2:\w+.*(subnet|network|vpc)|VPC.*(permission|not authorized)",
        "the execution role may not connect to your network",
        "run `sageturner setup`, which allows the role to; or leave `network` out",
    ),
    row(
        r"(one or more )?(subnet|security group)s?.*(does not exist|not found|invalid)|"
        r"^InvalidSubnet|^InvalidGroup",
        "{message}",
        "correct `network.subnets` and `network.security_groups`; they must be in {region}",
    ),
    row(
        r"^(KMS\w*|\w*Kms\w*Exception)\b|kms:(CreateGrant|Decrypt|GenerateDataKey)",
        "the KMS key cannot be used: {message}",
        "check `kms_key`, and that the key's policy lets you and the execution role use it",
    ),
    row(
        r"authorization token has expired|no basic auth credentials|denied: Your authorization",
        "the registry's token has expired or was not sent",
        "run the same command again: it fetches a new token and continues",
    ),
    row(
        r"tag .*cannot be overwritten because the (tag|repository) is immutable|"
        r"^ImageTagAlreadyExistsException",
        "the repository keeps every tag as it is",
        "deploy again: an image that is there is used, and a changed one gets a tag of its own",
    ),
    row(
        r"toomanyrequests|pull rate limit",
        "the registry of the base image limits anonymous downloads",
        "use the mirror without a limit: "
        "`base_image: public.ecr.aws/docker/library/python:3.12-slim`",
    ),
    row(
        r"^(BucketAlreadyExists|BucketAlreadyOwnedByYou)\b",
        "bucket names are global, and this one is taken",
        "name another under `overrides.bucket_name`",
    ),
    row(
        r"^OperationAborted\b", "S3 still deletes a bucket of that name", "run it again in an hour"
    ),
    row(
        r"^LimitExceeded\b.*policy size", "the role's policies are full", "use another `role_name`"
    ),
    row(
        r"^(InvalidLocationConstraint|IllegalLocationConstraintException|PermanentRedirect|"
        r"AuthorizationHeaderMalformed)\b",
        "the bucket belongs to another region than {region}",
        "use `--region` of the bucket, or name a bucket of {region} under `overrides.bucket_name`",
    ),
    row(
        r"^NoSuchBucket\b",
        "the bucket does not exist",
        "run `sageturner setup`, which makes it",
    ),
    row(
        r"^(EntityAlreadyExists|RepositoryAlreadyExistsException)\b",
        "{message}",
        "run the same command again: what exists is used",
    ),
    row(
        r"^(Throttling\w*|TooManyRequests\w*|RequestLimitExceeded|SlowDown|Rate exceeded|"
        r"PriorRequestNotComplete|ConcurrentModification\w*)\b|rate exceeded",
        "AWS limits how often this may be called, and ten tries were not enough",
        "wait a minute and run the same command again: it continues where this one stopped",
    ),
    row(
        r"^(InternalFailure|InternalServer\w*|InternalError|ServiceUnavailable\w*|ServiceFailure|"
        r"ServerException|InternalDependencyException|5\d\d)\b|request to service failed",
        "AWS had a fault of its own: {message}",
        "run the same command again: it continues where this one stopped; "
        "https://health.aws.amazon.com shows known trouble",
    ),
)

TABLE: tuple[Row, ...] = (*CREDENTIALS, *NETWORK, *INVOCATION, *SERVICE)
"""Every row that an error of a call is compared with, in this order."""
