"""Known errors of running endpoints: of their invocations, and in their logs."""

from __future__ import annotations

import re

from sageturner_magic.aws.symptoms.rows import Row, row

_TOO_SLOW = row(
    r"received server error \(0\)|invocation timed out|timed out while waiting for a response",
    "the model took longer than the 60 s that SageMaker waits",
    "make predict a generator and ask for a stream (8 minutes), send smaller requests, or "
    "choose a faster instance",
)

MODEL_ERROR: tuple[Row, ...] = (
    # What has reached the model was not too large itself.
    row(
        r"oversize body|(response|answer|payload)\b.*(too large|exceed)",
        "the response is larger than SageMaker passes on (25 MB, serverless 4 MB)",
        "return less, make predict a generator and ask for a stream, or write the result to S3 "
        "and return its address",
    ),
    _TOO_SLOW,
)
"""What SageMaker says of a request that has reached the model."""

INVOCATION: tuple[Row, ...] = (
    row(
        r"^(ModelNotReadyException)\b|model .* not ready",
        "the model is still starting",
        "try again in a moment; `compute.serverless.provisioned_concurrency` avoids cold starts, "
        "and is billed around the clock",
    ),
    row(
        r"oversize body|^413\b|RequestEntityTooLarge|body.*(too large|exceeds|longer than)",
        "the request is larger than SageMaker takes (25 MB, serverless 4 MB)",
        "send less in one request, or a reference to S3 that predict reads",
    ),
    _TOO_SLOW,
)

ENDPOINT_LOG: tuple[Row, ...] = (
    # What the server's own check says before it loads the model (`server/worker/gpu_check.py`).
    row(
        r"SAGETURNER_GPU_MISFIT: (?P<misfit>.+?: CUDA \d+ needs driver [\d.]+ or newer)",
        "{misfit}",
        "set `compute.server.inference_ami_version: al2023-ami-sagemaker-inference-gpu-4-1`, or "
        "install a build for an older CUDA",
    ),
    row(
        r"exec format error",
        "the image was built for another processor than {instance_type} has",
        "deploy again: images are built for the instance's architecture; a Dockerfile of your own "
        "needs `--platform linux/amd64` (`linux/arm64` for Graviton)",
    ),
    row(
        r'CannotStartContainerError|"serve": (executable file not found|no such file|permission '
        r"denied)|exec.*serve.*not found",
        "SageMaker starts the container as `docker run IMAGE serve`, and the image has no `serve`",
        "give the image an exec-form ENTRYPOINT that takes the argument, or a program `serve` on "
        "its PATH",
    ),
    row(
        r"deserialize object on a CUDA device but|No CUDA GPUs are available|"
        r"Found no NVIDIA driver",
        "the code asks for a GPU, and the endpoint has none",
        'load with `map_location="cpu"` and use `"cuda"` only where `torch.cuda.is_available()`; '
        "or choose a GPU as `compute.server.instance_type`, with `install_cuda: true`",
    ),
    row(
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient|"
        r"no CUDA-capable device|cudaErrorInsufficientDriver",
        "the instance's NVIDIA driver is older than the image's CUDA",
        "set `compute.server.inference_ami_version: al2023-ami-sagemaker-inference-gpu-4-1`",
    ),
    row(
        r"error while loading shared libraries: (?P<library>[^:]+)|"
        r"(OSError|ImportError): (?P<library2>lib[\w.+\-]+): cannot open shared object",
        "a system library is missing: {library}{library2}",
        "add its Debian package to `container.generate_container.system_packages`: `libgomp1` has "
        "libgomp.so.1, `libgl1` has libGL.so.1; https://packages.debian.org finds others",
    ),
    row(
        r"ModuleNotFoundError: No module named '(?P<package>\w+)\.(?P<inside>[\w.]+)'",
        "the image has `{package}`, without `{inside}` in it",
        "list the version of `{package}` that the code was written for under `python_packages`, or "
        "the package that adds `{package}.{inside}`",
    ),
    # Libraries say in words of their own which optional dependency they need.
    row(
        r"ModuleNotFoundError: (?P<error>.+)|"
        r"ImportError: (?P<error2>.*\b(install|installed|optional dependency|requires)\b.*)",
        "the code imports what the image does not have: {error}{error2}",
        "add the package to `container.generate_container.python_packages` and deploy again",
    ),
    row(
        r"ImportError: (?P<error>.+)",
        "a package of the image cannot be imported: {error}",
        "list versions that fit together under `python_packages` (`auto` takes the notebook's); "
        "`sageturner plan --verify` tries exactly the image's packages",
    ),
    row(
        r"MemoryError|out of memory|oom-kill|^\s*Killed\b|Cannot allocate memory|"
        r"DefaultCPUAllocator: can't allocate",
        "the model does not fit into the memory",
        "raise `compute.serverless.memory` or choose a larger `compute.server.instance_type`; "
        "fewer `serving.workers` need less",
    ),
    row(
        r"No space left on device",
        "the disk is full",
        "raise `compute.server.volume_gb` (serverless has 5 GB), or make the artefact smaller",
    ),
    # glibc's sem_open and shm_open, without the folder /dev/shm: no path is named.
    row(
        r"OSError: \[Errno (30|38)\] (Read-only file system|Function not implemented)$|"
        r"FileNotFoundError: \[Errno 2\] No such file or directory$",
        "a serverless endpoint has no shared memory",
        "use threads in place of `multiprocessing.Lock`, `Queue` and `Pool`, which need shared "
        "memory, or deploy with `-e server`",
    ),
    row(
        r"Read-only file system|PermissionError: \[Errno 13\] Permission denied: \S",
        "the code writes where it may not: {message}",
        "write below /tmp only: /opt/ml/model is read-only and serverless lets nothing else be "
        "written",
    ),
)

LAST_ERROR: tuple[Row, ...] = (
    row(
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
