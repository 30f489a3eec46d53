"""What Tab offers: only what fits where the cursor stands (`|` in these tests)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sageturner_magic.config import schema_keys
from sageturner_magic.notebook.completion.cursor import keys_in, place_in
from sageturner_magic.notebook.completion.suggestions import complete
from sageturner_magic.verbs.table import VERBS


class World:
    def endpoints(self):
        return ["digits", "dogs"]

    def captures(self):
        return ["digits", "echo"]

    def variables(self):
        return ["classifier", "scaler"]

    def profiles(self):
        return ["work"]

    def regions(self):
        return ["eu-west-1", "us-east-1"]

    def instance_types(self):
        return ["ml.g5.xlarge", "ml.m5.large", "ml.m5.xlarge"]

    def amis(self):
        return ["al2023-ami-sagemaker-inference-gpu-4-1"]

    def python(self, name):
        return [each for each in ("image", "image.shape") if each.startswith(name)]


def asked(text):
    before, _, after = text.partition("|")
    return complete(before + after, before.count("\n"), len(before.rpartition("\n")[2]), World())


def offered(text):
    found = asked(text)
    return None if found is None else list(found.texts)


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("%sageturner dep|", ["deploy"]),
        ("x = %sageturner inv|", ["invoke"]),
        ("sageturner sta|", ["status"]),
        (
            "%%sageturner |",
            ["code", "deploy", "export", "form", "invoke", "load-test", "plan", "setup", "try"],
        ),
        ("%sageturner deploy --end|", ["--endpoint-type"]),
        ("%sageturner deploy -e |", ["local", "server", "serverless"]),
        ("%sageturner deploy --endpoint-type=serverl|", ["serverless"]),
        ("%sageturner deploy -e local -m gen|", ["generate"]),
        ("%sageturner plan --region eu|", ["eu-west-1"]),
        ("%sageturner plan --profile |", ["work"]),
        ("%sageturner invoke d|", ["digits", "dogs"]),
        ("%sageturner delete |", ["digits", "dogs"]),
        ("%sageturner code |", ["digits", "echo"]),
        ("%sageturner deploy d|", ["digits"]),
        ("%sageturner deploy digits --mem|", ["--memory"]),
        ("%sageturner deploy digits --memory 3|", ["3072"]),
        ("%sageturner deploy digits --instance-type ml.m5.l|", ["ml.m5.large"]),
        ("%sageturner deploy digits --env A=1 --e|", ["--endpoint-type", "--env", "--example"]),
        ("%sageturner deploy digits --model image.s|", ["image.shape"]),
        ("%sageturner setup --show-policy --for deploy,inv|", ["invoke"]),
        ("%%sageturner_predict e|", ["echo"]),
        ("%sageturner status digits --js|", ["--json"]),
        ("%sageturner status unknown|", []),
        ("%sageturner invoke digits {'a': image.s|", ["image.shape"]),
        ("%sageturner invoke digits [|", []),
        ("%%sageturner invoke digits\n[image.|", ["image.shape"]),
        ("%sageturner nothing x|", None),
        ("print(sageturner |", None),
        ("%%time\n%sageturner lis|", ["list"]),
    ],
)
def test_a_line_offers_what_fits(text, texts):
    assert offered(text) == texts


def test_every_verb_is_offered():
    assert offered("%sageturner |") == sorted(VERBS)


def test_a_flag_that_was_given_is_not_offered_again():
    flags = offered("%sageturner deploy -e local --no-wait -|")
    assert "--endpoint-type" not in flags and "--no-wait" not in flags
    assert "--config-path" in flags
    assert "--config-path" not in offered("%%sageturner deploy --|")


def test_paths_of_configurations_are_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for name in ("sageturner.yaml", "notes.txt", ".hidden.yaml", "models/a.yml"):
        (tmp_path / name).touch()
    assert offered("%sageturner deploy -c |") == ["sageturner.yaml", "models/"]
    assert offered("%sageturner deploy -c models/|") == ["models/a.yml"]
    assert offered("%sageturner deploy -c nowhere/|") == []
    assert offered("%%sageturner deploy\nartefact: ./mo|") == ["./models/"]


CELL = "%%sageturner deploy\n"
SERVERLESS = [f"{key}: " for key in schema_keys(["compute", "serverless"])]
MEMORY = ["1024", "2048", "3072", "4096", "5120", "6144"]


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("na|", ["name: "]),
        ("na|: x", ["name"]),
        ("name: d|", ["digits", "dogs"]),
        ("name: x\ncom|", ["compute:"]),
        ("name: x\nna|", []),
        ("compute:\n  serverless:\n    |", SERVERLESS),
        ("compute:\n  serverless:\n    memory: |", MEMORY),
        ("compute:\n  serverless:\n    memory: 2048\n    m|", ["max_concurrency: "]),
        ("compute:\n  serverless:\n    m|\n    memory: 2048\n", ["max_concurrency: "]),
        ("compute:\n  serverless:\n    memory: 2048\n  l|", ["local:"]),
        ("compute:\n  serverless:\n    memory: 2048\nse|", ["serving:", "secrets: "]),
        ("compute: {serverless: {mem|", ["memory: "]),
        ("compute: {serverless: {memory: 2048, |", SERVERLESS[1:]),
        ("compute: {serverless: {memory: 2048}, s|}", ["server: "]),
        ("compute: {server: {instance_type: ml.m5|", ["ml.m5.large", "ml.m5.xlarge"]),
        ("compute: {\n  local: {mode: c|", ["container"]),
        ("artefact: {digits.joblib: c|", ["classifier"]),
        ("artefact: {a.joblib: scaler, b.joblib: |", ["classifier", "scaler"]),
        ("container:\n  generate_container:\n    install_cuda: |", ["false", "true"]),
        ("container:\n  generate_container:\n    python_packages:\n    - |", []),
        ("serving:\n  timeout_s: |", ["55"]),
        ("environment:\n  LOG|", []),
        ("# na|", []),
        ("name: x  # comp|", []),
    ],
)  # fmt: skip
def test_yaml_offers_the_schemas_keys_and_values_at_that_indentation(text, texts):
    assert offered(CELL + text) == texts


def test_yaml_below_a_magic_with_comments_above_it_is_completed_too():
    assert offered(f"# The endpoint\n\n{CELL}compute:\n  s|") == ["serverless:", "server:"]
    assert offered(f"# The end|\n{CELL}name: x") is None


def test_text_below_other_magics_is_left_alone():
    assert offered("%%sageturner_load\nna|") is None
    assert offered("x = 1\nna|") is None


@given(st.text(alphabet="ab:{}[],'\"#- \n|>&*?!%\t\\é"))
def test_no_text_is_too_odd_to_be_completed(text):
    place_in(text)
    keys_in(text)
    found = complete(CELL + text, 1 + text.count("\n"), len(text.rpartition("\n")[2]), World())
    if found is not None:
        assert (CELL + text).endswith(found.fragment)


@given(st.text(alphabet="-= abcdefgsinvoke,\n", max_size=40))
def test_no_line_is_too_odd_to_be_completed(text):
    line = f"%sageturner {text}"
    complete(line, text.count("\n"), len(line.rpartition("\n")[2]), World())
