"""A request can be copied out of its answer and sent from elsewhere."""

import ast
import os
import shlex
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.endpoints.payload import encode
from sageturner_magic.endpoints.prediction import SentRequest
from sageturner_magic.endpoints.snippets import INLINE, client_snippets
from sageturner_magic.errors import UsageError
from sageturner_magic.values import InvokeOptions

PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda payload: len(encode(payload).body) < INLINE / 4)
"""What fits into a line, escaped or not."""


def local(payload, content_type=None, accept=""):
    request = encode(payload, content_type, accept)
    return SentRequest(
        **vars(request),
        url="http://127.0.0.1:5000",
        token="secret",
        header_file="/home/a b/authorization",
    )


def remote(payload, content_type=None, profile=""):
    return SentRequest(**vars(encode(payload, content_type)), region="eu-west-1", profile=profile)


def code(sent, label):
    return {snippet.label: snippet.code for snippet in client_snippets("digits", sent)}[label]


def test_a_local_endpoint_is_called_with_curl_and_python():
    assert [each.label for each in client_snippets("digits", local(1))] == ["curl", "Python"]


def test_sagemaker_is_called_with_boto3_the_cli_and_python():
    labels = [each.label for each in client_snippets("digits", remote(1))]
    assert labels == ["boto3", "AWS CLI", "Python"]


def shell_words(command):
    # shlex keeps the end of a continued line as a word; a shell does not.
    return shlex.split(command.replace("\\\n", ""))


@given(PAYLOADS)
def test_curl_sends_the_very_body_as_a_shell_reads_it(payload):
    sent = local(payload)
    words = shell_words(code(sent, "curl"))
    assert words[:2] == ["curl", "http://127.0.0.1:5000/invocations"]
    assert {"Content-Type: application/json", "@/home/a b/authorization"} <= set(words)
    assert "secret" not in code(sent, "curl")  # Others see command lines, and output is saved.
    data = words[words.index("--data-binary") + 1]
    assert data.encode() == sent.body or data == "@request.json"


@given(PAYLOADS)
def test_the_aws_cli_sends_the_very_body_as_a_shell_reads_it(payload):
    sent = remote(payload, profile="it's me")
    words = shell_words(code(sent, "AWS CLI"))
    if words[0] == "printf":
        assert words[1] == "%s" and words[2].encode() == sent.body and words[3] == "|"
        words = words[4:]
        assert words[words.index("--body") + 1] == "fileb:///dev/stdin"
    else:
        assert words[words.index("--body") + 1] == "fileb://request.json"
    assert words[:5] == ["aws", "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "digits"]
    assert words[words.index("--profile") + 1] == "it's me"
    # Version 1 of the AWS CLI does not know it, and no version needs it for fileb://.
    assert "--cli-binary-format" not in words


def test_the_aws_cli_gets_the_bytes_that_a_shell_pipes(tmp_path):
    """A program in the CLI's place opens what follows `fileb://`, as it does."""
    aws = tmp_path / "aws"
    aws.write_text(
        f"#!{sys.executable}\nimport sys\nplace = sys.argv[sys.argv.index('--body') + 1]\n"
        "sys.stdout.write(repr(open(place.removeprefix('fileb://'), 'rb').read()))\n"
    )
    aws.chmod(0o755)
    sent = remote({"text": "it's 100% \\n “fine”"})
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", code(sent, "AWS CLI")], env={"PATH": path}, capture_output=True, text=True
    )
    assert ast.literal_eval(done.stdout) == sent.body, done.stderr


def arguments(source, function):
    """The literal arguments of the call of `function` in `source`."""
    (call,) = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == function
    ]
    keywords = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    return [ast.literal_eval(argument) for argument in call.args], keywords


@given(PAYLOADS)
def test_python_has_the_payload_as_a_literal(payload):
    assert arguments(code(local(payload), "Python"), "invoke") == ([payload], {})


@given(PAYLOADS)
def test_boto3_has_the_very_body(payload):
    sent = remote(payload, profile="team")
    source = code(sent, "boto3")
    assert arguments(source, "invoke_endpoint")[1] == {
        "EndpointName": "digits",
        "ContentType": "application/json",
        "Body": sent.body.decode(),
    }
    assert arguments(source, "Session")[1] == {"profile_name": "team", "region_name": "eu-west-1"}


@pytest.mark.parametrize("payload", [b"\x89PNG\r\n\x1a\n", list(range(5000))])
def test_what_does_not_fit_into_a_line_is_read_from_a_file(payload):
    suffix = "png" if isinstance(payload, bytes) else "json"
    assert f"--data-binary @request.{suffix}" in code(local(payload), "curl")
    assert f'open("request.{suffix}", "rb").read()' in code(local(payload), "Python")
    assert f"--body fileb://request.{suffix}" in code(remote(payload), "AWS CLI")


def test_text_that_curl_would_take_for_a_file_name_is_not_given_inline():
    assert "@request.csv" in code(local("@/etc/passwd", "text/csv"), "curl")


def test_other_types_and_accept_come_along():
    sent = local("1,2", "text/csv", accept="application/json")
    assert "Accept: application/json" in shell_words(code(sent, "curl"))
    keywords = {"content_type": "text/csv", "accept": "application/json"}
    assert arguments(code(sent, "Python"), "invoke") == (["1,2"], keywords)


OPTIONS = InvokeOptions("a=it's", "id 1", "NEW_SESSION", "B")


def test_the_options_of_sagemaker_are_in_each_line_to_copy():
    sent = SentRequest(**vars(encode([1], options=OPTIONS)), region="eu-west-1")
    words = shell_words(code(sent, "AWS CLI"))
    assert words[words.index("--custom-attributes") + 1] == "a=it's"
    assert words[words.index("--target-variant") + 1] == "B"
    calls = {
        label: next(
            each
            for each in ast.walk(ast.parse(code(sent, label)))
            if isinstance(each, ast.Call) and getattr(each.func, "attr", "").startswith("invoke")
        )
        for label in ("boto3", "Python")
    }
    given = {
        label: {each.arg: ast.unparse(each.value) for each in call.keywords}
        for label, call in calls.items()
    }
    boto3 = {"InferenceId": "'id 1'", "TargetVariant": "'B'"}
    assert boto3.items() <= given["boto3"].items()
    assert given["Python"]["session_id"] == "'NEW_SESSION'"
    curl = shell_words(code(SentRequest(**vars(encode([1], options=OPTIONS)), url="u"), "curl"))
    assert {
        "X-Amzn-SageMaker-Custom-Attributes: a=it's",
        "X-Amzn-SageMaker-Inference-Id: id 1",
    } <= {*curl}


@pytest.mark.parametrize(
    "options",
    [
        InvokeOptions("a\r\nX: 1"),
        InvokeOptions("é"),
        InvokeOptions("a" * 1025),
        InvokeOptions(target_variant="B" * 64),
    ],
)
def test_an_option_that_sagemaker_would_refuse_is_not_sent(options):
    with pytest.raises(UsageError, match="visible ASCII"):
        encode([1], options=options)
