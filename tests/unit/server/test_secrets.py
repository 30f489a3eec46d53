"""How secrets are read and kept out of logs: signatures, addresses, credentials, masks."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.server import masking
from sageturner_magic.server.aws.credentials import NoCredentials, find_credentials
from sageturner_magic.server.aws.secrets import endpoint_of
from sageturner_magic.server.aws.signing import Credentials, signed_headers

WORD = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=", min_size=1)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(str.strip)


@given(
    host=st.sampled_from(["secretsmanager.eu-west-1.amazonaws.com", "127.0.0.1:4566", "a.b"]),
    body=st.binary(max_size=200),
    target=VALUE,
    keys=st.tuples(WORD, WORD, st.just("") | WORD),
    scope=st.sampled_from([("eu-west-1", "secretsmanager"), ("cn-north-1", "ssm")]),
    now=st.datetimes(datetime(2015, 1, 1), datetime(2099, 1, 1)),
)
def test_signatures_are_those_of_botocore(
    host: str,
    body: bytes,
    target: str,
    keys: tuple[str, str, str],
    scope: tuple[str, str],
    now: datetime,
) -> None:
    region, service = scope
    given = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    utc = now.replace(tzinfo=timezone.utc)
    ours = signed_headers(
        host, given, body, Credentials(*keys), region=region, service=service, now=utc
    )
    request = AWSRequest("POST", f"https://{host}/", headers={**given, "Host": host}, data=body)
    signer = auth.SigV4Auth(BotocoreCredentials(*keys), service, region)
    # botocore has moved its clock from one version to the next.
    clocks = [each for each in ("get_current_datetime", "datetime") if hasattr(auth, each)]
    with patch.object(auth, clocks[0]) as clock:
        clock.return_value = utc
        clock.datetime.utcnow.return_value = now
        signer.add_auth(request)
    assert ours["X-Amz-Date"] == request.context["timestamp"]
    assert ours["Authorization"] == request.headers["Authorization"]


def test_addresses_are_those_of_botocore() -> None:
    session = boto3.Session()
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    for partition in session.get_available_partitions():
        for service in ("secretsmanager", "ssm"):
            for region in session.get_available_regions(service, partition)[:1]:
                client = session.client(service, region, **keys)  # type: ignore[call-overload]
                assert endpoint_of(service, region, {}) == client.meta.endpoint_url, region


def test_addresses_can_be_set_as_for_the_sdks() -> None:
    every = {"AWS_ENDPOINT_URL": "http://all/"}
    own = {**every, "AWS_ENDPOINT_URL_SSM": "http://ssm"}
    assert endpoint_of("ssm", "eu-west-1", own) == "http://ssm"
    assert endpoint_of("secretsmanager", "eu-west-1", own) == "http://all"
    ignored = {**every, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert endpoint_of("ssm", "eu-west-1", ignored) == "https://ssm.eu-west-1.amazonaws.com"


@contextmanager
def credentials_endpoint() -> Iterator[tuple[str, list[Mapping[str, str]]]]:
    """An endpoint as containers have it: its address, and the headers that it was sent."""
    asked: list[Mapping[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(dict(self.headers))
            given = {"AccessKeyId": "ASIA", "SecretAccessKey": "secret", "Token": "token"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(given).encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/role", asked
        server.shutdown()
        thread.join()


def test_credentials_come_from_the_containers_endpoint(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from the file\n")
    with credentials_endpoint() as (address, asked):
        environ = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": address,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "older",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
        }
        assert find_credentials(environ) == Credentials("ASIA", "secret", "token")
    assert asked[0]["Authorization"] == "from the file"


def test_credentials_of_the_environment_come_first() -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/",
    }
    assert find_credentials(environ) == Credentials("AKIA", "secret")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.org/"}, "only https"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"}, "gave no credentials"),
    ],
)
def test_missing_credentials_are_told(environ: dict[str, str], said: str) -> None:
    with pytest.raises(NoCredentials, match=said):
        find_credentials(environ)


@given(value=st.text(min_size=masking.LEAST), around=st.text(max_size=20))
def test_no_form_of_a_value_is_left(value: str, around: str) -> None:
    with patch.object(masking, "_hidden", []):
        masking.hide({"TOKEN": value})
        for text in (value, json.dumps(value), repr(value)):
            shown = masking.masked(f"{around}{text}{around}")
            assert value not in shown or value in f"{around}[secret TOKEN]{around}"


def test_the_lines_of_a_key_are_masked_one_by_one() -> None:
    with patch.object(masking, "_hidden", []):
        masking.hide({"KEY": "-----BEGIN-----\nMIIEowIBAAKCAQEA\n-----END-----\n"})
        assert masking.masked("    MIIEowIBAAKCAQEA") == "    [secret KEY]"
