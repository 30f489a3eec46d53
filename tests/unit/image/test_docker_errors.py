from __future__ import annotations

import pytest

from sageturner_magic.image.docker import errors

COMPLAINTS = {
    "E: Unable to locate package libgmop1": "system_packages",
    "E: Package 'python-is-python9' has no installation candidate": "system_packages",
    "E: Version '9' for 'curl' was not found": "version out of system_packages",
    "ERROR: No matching distribution found for numpy==99": "containers reach the package index",
    "failed to solve: write /x: no space left on device": "docker image prune",
    "exec /bin/sh: exec format error": "docker run --privileged",
    "toomanyrequests: You have reached your pull rate limit": "public.ecr.aws",
    "/bin/sh: 1: python: not found": "base_image of the Debian family",
    "/usr/bin/python: No module named pip": "base_image of the Debian family",
    "python_version is 3.12, the base image has Python 3.9": "set python_version",
    "error: command 'gcc' failed: No such file or directory": "build-essential",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE": "run it again",
    "Temporary failure resolving 'deb.example.org'": "network",
    'Get "https://x/v2/": dial tcp: lookup x: no such host': "network",
    "x509: certificate signed by unknown authority": "certificate authority",
    "manifest for python:9-slim not found: manifest unknown": "base_image",
    "denied: Your authorization token has expired. Reauthenticate": "sageturner doctor",
    "tag invalid: The image tag 'x' cannot be overwritten because the tag is immutable": "new tag",
    "name unknown: The repository with name 'x' does not exist": "sageturner setup",
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_a_complaint_is_shown_with_its_remedy(complaint: str) -> None:
    message = str(errors.explain("the build", complaint))
    assert COMPLAINTS[complaint] in message
    assert complaint in message


def test_the_line_that_matters_is_found_in_the_log_of_the_step() -> None:
    error = errors.explain(
        "the build",
        "The command '/bin/sh -c apt-get …' returned a non-zero code: 100",
        ["Step 3/9 : RUN apt-get …", "Reading package lists...", "E: Unable to locate package foo"],
    )
    assert "E: Unable to locate package foo" in str(error)
    assert "Reading package lists" in error.report()


def test_an_unknown_complaint_shows_the_log() -> None:
    error = errors.explain("the build", "odd", ["first", "second"])
    assert "see the log below" in str(error)
    assert error.report().endswith("first\nsecond")


def test_credentials_in_a_log_do_not_show() -> None:
    error = errors.explain(
        "the build", "https://bob:s3cret@example.org failed", ["https://bob:s3cret@example.org/x"]
    )
    assert "s3cret" not in error.report()


def test_what_may_pass_and_what_new_credentials_mend_is_told_apart() -> None:
    assert errors.is_expired("denied: Your authorization token has expired.")
    assert errors.is_expired("no basic auth credentials")
    assert errors.is_expired(
        'error parsing HTTP 403 response body: unexpected end of JSON input: ""'
    )
    assert not errors.is_expired("no space left on device")
    assert errors.is_passing("received unexpected HTTP status: 503 Service Unavailable")
    assert errors.is_passing("write: connection reset by peer")
    assert errors.is_passing(
        'error parsing HTTP 429 response body: unexpected end of JSON input: ""'
    )
    assert not errors.is_passing("denied: not allowed")
