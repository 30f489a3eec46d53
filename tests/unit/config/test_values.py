"""What a configuration means: the schema types each value, and what is left out costs nothing."""

from pathlib import Path

import pytest

from sageturner_magic.aws import names as aws_names
from sageturner_magic.config import SERVERLESS_MEMORY, Config, Origin, parse_config
from sageturner_magic.config.rules import OWN_TAGS
from tests.unit.config.helpers import FOLDER, finding, findings, read

ORIGINAL_CPU = """\
name: sageturner-resnet-50
artefact: ./artefact/pytorch_model.bin.tar.gz
container:
  generate_container:
    code_dir: ./generate-container
    system_packages:
    python_packages:
      - --extra-index-url https://example.org/whl/cpu transformers[torch]
      - pillow
    install_cuda: false
    python_version: 3.12
  provide_container:
    docker_dir: ./provided-container
compute:
  serverless:
    memory: 3072
    provisioned_concurrency: 1
    max_concurrency: 2
  server:
    instance_type: ml.m5.xlarge
    initial_instance_count: 1
overrides:
  # role_name: my-role
"""

ORIGINAL_GPU = """\
name: sageturner-clip
artefact: ./artefact/clip.tar.gz
container:
  generate_container:
    code_dir: ./generate-container
    system_packages:
      - git
    python_packages:
      - --extra-index-url https://example.org/whl/cu118 torch
      - transformers
      - pillow
    install_cuda: true
    python_version: "3.10"
compute:
  server:
    instance_type: ml.g4dn.xlarge
    initial_instance_count: 1
overrides:
  role_arn: arn:aws:iam::012345670123:role/my-role
"""


def test_the_originals_cpu_example_reads_unchanged():
    config = read(ORIGINAL_CPU)
    generated = config.container.generate_container
    assert generated.python_packages == (
        "--extra-index-url https://example.org/whl/cpu transformers[torch]",
        "pillow",
    )
    assert generated.system_packages == ()
    assert generated.python_version == "3.12"
    assert config.compute.serverless is not None
    assert config.compute.serverless.provisioned_concurrency == 1
    for endpoint_type in ("local", "serverless", "server"):
        assert config.check(endpoint_type, "generate") == []


def test_the_originals_gpu_example_reads_unchanged():
    config = read(ORIGINAL_GPU)
    assert config.container.generate_container.install_cuda is True
    assert config.compute.server is not None
    assert config.compute.server.instance_type == "ml.g4dn.xlarge"
    assert config.overrides.role_arn == "arn:aws:iam::012345670123:role/my-role"
    assert config.check("server", "generate") == []


def test_a_name_alone_is_a_configuration_that_costs_nothing():
    config = read("name: digits")
    assert config.artefact is None
    assert config.compute.serverless is None
    assert config.compute.server is None
    assert config.compute.local.mode == "process"
    assert config.container.generate_container.python_packages == "auto"
    assert config.serving.timeout_s == 55
    assert config.check("local", "generate") == []


def test_an_image_of_your_own_runs_locally_without_a_word_about_the_mode():
    config = read("name: digits\ncontainer: {provide_container: {docker_dir: d}}")
    assert config.check("local", "provide") == []


def test_text_stays_the_text_that_was_written():
    config = read(
        "name: 123\n"
        "container: {generate_container: {python_version: 3.10}}\n"
        "environment: {A: no, B: on, C: 1e3, D: 2024-01-02, E: 012345670123, F: 0x1F, G: '', "
        "H: 'null', I: 1_000}\n"
        "tags: {account: 012345670123, live: yes}\n"
    )
    assert config.name == "123"
    assert config.container.generate_container.python_version == "3.10"
    assert list(config.environment.values()) == [
        *("no", "on", "1e3", "2024-01-02", "012345670123", "0x1F", "", "null", "1_000")
    ]
    assert config.tags == {"account": "012345670123", "live": "yes"}


@pytest.mark.parametrize(("written", "meant"), [("yes", True), ("Off", False), ("TRUE", True)])
def test_a_switch_may_be_written_as_yaml_allows(written, meant):
    config = read(f"name: x\ncontainer: {{generate_container: {{install_cuda: {written}}}}}")
    assert config.container.generate_container.install_cuda is meant


@pytest.mark.parametrize(
    "key",
    ["artefact", "container", "compute", "serving", "network", "kms_key", "environment", "tags"],
)
def test_a_key_without_a_value_means_its_default(key):
    assert read(f"name: x\n{key}:\n") == read("name: x")
    assert read(f"name: x\n{key}: null\n") == read("name: x")


def test_an_empty_section_is_there_with_its_defaults():
    config = read("name: x\ncompute:\n  serverless:\n")
    assert config.compute.serverless is not None
    assert config.compute.serverless.memory == 2048
    assert config.compute.serverless.provisioned_concurrency is None


@pytest.mark.parametrize("written", ["null", '"null"', "~"])
def test_nan_may_become_null_with_or_without_quotes(written):
    assert read(f"name: x\nserving: {{nan: {written}}}").serving.nan == "null"


def test_paths_start_at_the_folder_of_the_file_and_keep_the_users_text(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    config = read(
        "name: x\nartefact: ./model\n"
        "container:\n  generate_container: {code_dir: ~/code}\n"
        "  provide_container: {docker_dir: /docker}\n"
    )
    assert config.resolve("./model") == FOLDER / "model"
    assert config.code_dir == Path("/home/ada/code")
    assert config.docker_dir == Path("/docker")
    assert config.artefact == "./model"
    assert config.container.generate_container.code_dir == "~/code"


def test_an_artefact_may_be_in_s3():
    config = read("name: x\nartefact: s3://bucket/prefix/")
    assert config.s3_artefact == "s3://bucket/prefix/"


def test_an_artefact_may_be_notebook_variables():
    config = read("name: x\nartefact: {digits.joblib: classifier, labels.json: labels}")
    assert config.artefact == {"digits.joblib": "classifier", "labels.json": "labels"}
    assert config.s3_artefact is None


def test_a_value_may_be_repeated_by_an_alias():
    config = read("name: &name digits\ntags: {team: *name}\n")
    assert config.tags == {"team": "digits"}


def test_what_was_read_cannot_be_changed():
    config = read("name: x")
    with pytest.raises(ValueError, match="frozen"):
        config.name = "y"


@pytest.mark.parametrize("memory", SERVERLESS_MEMORY)
def test_every_size_of_serverless_memory_is_taken(memory):
    config = read(f"name: x\ncompute: {{serverless: {{memory: {memory}}}}}")
    assert config.compute.serverless is not None
    assert config.compute.serverless.memory == memory


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("My Model", "my-model"),
        ("Größe_3", "groe-3"),
        ("-a-", "a"),
        ("a" * 41, "a" * 40),
        ("'!'", "my-model"),
    ],
)
def test_a_name_that_does_not_fit_comes_with_one_that_does(name, suggested):
    found = finding(f"name: {name}")
    assert found.do == f"write `{suggested}`"
    assert read(f"name: {suggested}").name == suggested


@pytest.mark.parametrize(
    ("yaml", "key", "do"),
    [
        ("compute: {serverless: {memory: 1500}}", "compute.serverless.memory", "write `1024`"),
        ("compute: {serverless: {memory: 3GB}}", "compute.serverless.memory", "write `3072`"),
        ("compute: {serverless: {memory: 99999}}", "compute.serverless.memory", "write `6144`"),
        ("compute: {serverless: {max_concurrency: 201}}", "max_concurrency", ""),
        (
            "compute: {serverless: {max_concurrency: 2, provisioned_concurrency: 3}}",
            "provisioned_concurrency",
            "write at most 2, or raise `max_concurrency`",
        ),
        ("compute: {server: {instance_type: m5.large}}", "instance_type", "write `ml.m5.large`"),
        ("compute: {server: {instance_type: big}}", "instance_type", "write `ml.m5.xlarge`"),
        ("compute: {server: {instance_type: ml.m5.large, volume_gb: 513}}", "volume_gb", ""),
        (
            "compute: {server: {instance_type: ml.m5.large, startup_timeout_s: 59}}",
            "startup_timeout_s",
            "",
        ),
        (
            "compute: {server: {instance_type: ml.m5.large, autoscaling: {min: 3, max: 1}}}",
            "autoscaling.max",
            "write 3 or more",
        ),
        (
            "container: {generate_container: {python_version: 2.7}}",
            "python_version",
            "",
        ),
        (
            "container: {generate_container: {python_packages: numpy}}",
            "python_packages",
            "write it as `[numpy]`",
        ),
        (
            "container: {generate_container: {system_packages: ['git; rm -r /']}}",
            "system_packages[0]",
            "write it like `libgomp1`",
        ),
        ("serving: {timeout_s: 61}", "serving.timeout_s", ""),
        ("serving: {workers: 0}", "serving.workers", ""),
        ("serving: {queue: 0}", "serving.queue", ""),
        ("serving: {batch: {max_size: 0}}", "serving.batch.max_size", ""),
        ("serving: {metrics: prometeus}", "serving.metrics", "write `prometheus`"),
        (
            "network: {subnets: [subnet-1]}",
            "network.security_groups",
            "list at least one of each",
        ),
        ("environment: {a-b: c}", "environment.a-b", "write it like `LOG_LEVEL`"),
        ("tags: {'aws:cost': c}", "tags.aws:cost", ""),
        ("tags: {'AWS:cost': c}", "tags.AWS:cost", ""),
        ('tags: {cost: "a\\tb"}', "tags.cost", ""),
        ("kms_key: my key", "kms_key", "write it like `alias/my-key`"),
        (f"network: {{subnets: [subnet-{'a' * 26}], security_groups: [sg-1]}}", "subnets[0]", ""),
        ("overrides: {role_arn: my-role}", "overrides.role_arn", "write it like"),
        ("overrides: {role_arn: 'arn:aws:iam::012345670123:role/a/'}", "role_arn", "write it like"),
        (
            "overrides: {role_name: 'arn:aws:iam::012345670123:role/a'}",
            "overrides.role_name",
            "write `role_arn: arn:aws:iam::012345670123:role/a`",
        ),
        ("container: {generate_container: {system_packages: [a b]}}", "system_packages[0]", ""),
        ("container: {generate_container: {base_image: é}}", "base_image", "write it like"),
        ("overrides: {bucket_name: My_Bucket}", "overrides.bucket_name", "write it like"),
        ("overrides: {repository_name: A}", "overrides.repository_name", "write it like"),
        ("artefact: https://example.org/x", "artefact", "download it and name the local path"),
        ("artefact: s3://bucket", "artefact", ""),
        ("artefact: {../x: a}", "artefact.../x", "write `model.joblib`"),
        ("artefact: {x: a b}", "artefact.x", "assign the object to a name first"),
        ("artefact: {x: class}", "artefact.x", "assign the object to a name first"),
        ("artefact: ~no-such-user-here/x", "artefact", "write the path in full"),
    ],
)
def test_a_value_outside_its_limits_is_refused(yaml, key, do):
    found = finding(f"name: x\n{yaml}")
    assert f"{key}`" in found.what
    assert found.where.startswith("sageturner.yaml:2:")
    assert found.why
    assert found.do.startswith(do)


def test_the_environment_has_sagemakers_limits():
    many = "".join(f"  K{number}: v\n" for number in range(101))
    assert "at most 100" in finding(f"name: x\nenvironment:\n{many}").why
    assert "1025 characters" in finding(f"name: x\nenvironment: {{A: {'v' * 1025}}}").why
    large = "".join(f"  K{number}: {'v' * 1000}\n" for number in range(40))
    assert "bytes in all" in finding(f"name: x\nenvironment:\n{large}").why


def test_eight_tags_are_left_for_our_own():
    known = {tag for tag in vars(aws_names).values() if str(tag).startswith("sageturner:")}
    own = known - {aws_names.TAG_MOUNTING}  # on repositories only
    assert len(own) == OWN_TAGS
    tags = [f"  k{number}: v\n" for number in range(50 - OWN_TAGS + 1)]
    assert "at most 42" in finding(f"name: x\ntags:\n{''.join(tags)}").why
    assert len(read(f"name: x\ntags:\n{''.join(tags[1:])}").tags) == 42


@pytest.mark.parametrize("number", [100, 99])
def test_the_settings_of_serving_take_one_variable(number):
    variables = "".join(f"  K{number}: v\n" for number in range(number))
    config = read(f"name: x\nserving: {{workers: 2}}\nenvironment:\n{variables}")
    # The user's own image does not get them, and a local endpoint has no limit.
    assert config.check("local", "generate") == []
    provided = [found.key for found in config.check("server", "provide")]
    assert "environment" not in provided
    found = [found for found in config.check("server", "generate") if found.key == "environment"]
    assert len(found) == (number == 100)
    for one in found:
        assert "101 variables" in one.why
        assert one.where == "sageturner.yaml:3:1"


def test_the_settings_of_serving_count_as_bytes_too():
    variables = "".join(f"  K{number}: {'v' * 1020}\n" for number in range(32))
    config = read(
        "name: x\ncompute: {serverless: }\nserving: {workers: 2, queue: 3, timeout_s: 9}\n"
        f"environment:\n{variables}"
    )
    (found,) = config.check("serverless", "generate")
    assert found.key == "environment"
    assert "bytes" in found.why


def test_secrets_are_not_repeated_in_messages():
    found = findings(
        f"name: x\nenvironment: {{TOKEN: hunter2{'x' * 1100}}}\n"
        "container: {generate_container: {python_packages: '--index-url https://me:hunter2@e.org'}}"
    )
    assert len(found) == 2
    assert "hunter2" not in str(found)


def test_a_role_is_named_once():
    config = read(
        "name: x\noverrides:\n  role_name: a\n  role_arn: arn:aws:iam::012345670123:role/a\n"
    )
    (found,) = config.check("local", "generate")
    assert "both set" in found.what
    assert found.where == "sageturner.yaml:4:13"


@pytest.mark.parametrize(
    ("yaml", "endpoint_type", "container_mode", "key", "where"),
    [
        (
            "compute: {local: {mode: container}}",
            "local",
            "provide",
            "container.provide_container",
            "sageturner.yaml",
        ),
        (
            "container: {provide_container: {docker_dir: d}}\ncompute: {local: {mode: process}}",
            "local",
            "provide",
            "compute.local.mode",
            "sageturner.yaml:3:25",
        ),
        (
            "compute: {serverless: }\ncontainer:\n  generate_container:\n    install_cuda: true",
            "serverless",
            "generate",
            "install_cuda",
            "sageturner.yaml:5:19",
        ),
        (
            "compute: {serverless: }\nnetwork: {isolation: true}",
            "serverless",
            "generate",
            "network",
            "sageturner.yaml:3:1",
        ),
        (
            "compute: {serverless: }\nartefact: s3://my-bucket/model/",
            "serverless",
            "generate",
            "artefact",
            "sageturner.yaml:3:11",
        ),
    ],
)
def test_what_does_not_fit_the_endpoint_type_is_found(
    yaml, endpoint_type, container_mode, key, where
):
    (found,) = read(f"name: x\n{yaml}").check(endpoint_type, container_mode)
    assert key in found.what
    assert found.where == where
    assert found.do


def test_a_place_falls_back_to_the_nearest_key_that_was_written():
    config = read(
        "name: x\nartefact: {a.joblib: a}\ncompute:\n  serverless:\n    memory: 2048\n"
        "container: {generate_container: {python_packages: [numpy, pandas]}}\n"
    )
    assert config.where("compute.serverless.memory") == "sageturner.yaml:5:13"
    assert config.where("compute.serverless") == "sageturner.yaml:4:3"
    assert config.where("compute.serverless.max_concurrency") == "sageturner.yaml:4:3"
    assert config.where("artefact.a.joblib") == "sageturner.yaml:2:22"
    packages = "container.generate_container.python_packages"
    assert config.where(f"{packages}[1]") == "sageturner.yaml:6:59"
    assert config.where(f"{packages}[7]") == config.where(packages) == "sageturner.yaml:6:34"
    assert config.where("kms_key") == "sageturner.yaml"
    assert Config(name="x").where("name") == ""


def test_places_in_a_cell_count_the_line_of_the_magic():
    config = parse_config("name: x\nkms_key: k\n", folder=FOLDER, origin=Origin.cell(5))
    assert config.where("kms_key") == "In[5], line 3"
    assert config.where("tags") == "In[5]"


def test_artifact_is_artefact_and_keeps_its_place():
    config = read("name: x\nartifact: {a.json: a}")
    assert config == read("name: x\nartefact: {a.json: a}")
    assert config.where("artefact") == "sageturner.yaml:2:1"
    assert "artefact:" in config.to_yaml()


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("8h", 28800), ("2d", 172800)])
def test_a_lease_is_a_time(text, seconds):
    config = read(f"name: x\nlease: {text}\n")
    assert (config.lease, config.lease_s) == (text, seconds)


def test_a_lease_may_be_none_or_left_out():
    assert read("name: x\nlease: none\n").lease == "none"
    assert read("name: x\n").lease is None
    assert read("name: x\nlease: none\n").lease_s == read("name: x\n").lease_s == 0


@pytest.mark.parametrize("text", ["8", "8 h", "soon", "14m", "366d", "0h", "-1h", "1.5h", "8H"])
def test_what_is_no_lease_is_refused_with_its_place(text):
    found = finding(f"name: x\nlease: {text}\n")
    assert found.where.endswith("2:8") or ":2:" in found.where
    assert "8h" in found.do or "15m" in found.do or "8h" in found.why


def test_a_lease_is_a_note_for_a_local_endpoint():
    (note,) = read("name: x\nlease: 8h\n").check("local", "generate")
    assert note.severity == "note" and "local endpoint" in note.why
    assert read("name: x\nlease: 8h\n").check("serverless", "generate") == []


def test_a_protected_endpoint_with_a_lease_is_refused_at_its_line() -> None:
    text = "name: digits\nlease: 8h\nprotected: true\n"
    found = parse_config(text, folder=FOLDER, origin=Origin.file("sageturner.yaml"))
    (finding,) = found.check("server", "generate")
    assert (finding.where, finding.key) == ("sageturner.yaml:3:12", "protected")
    assert "8h" in finding.why and "`protected: false`" in finding.do
    for fits in ("lease: none\nprotected: true", "lease: 8h\nprotected: false"):
        assert read(f"name: digits\n{fits}\n").check("server", "generate") == []


@pytest.mark.parametrize(
    ("text", "dollars"), [("$20", 20), ("20", 20), ("12.50", 12.5), ("20 USD", 20), ('"$0.5"', 0.5)]
)
def test_a_budget_is_in_dollars(text, dollars):
    config = read(f"name: digits\nbudget: {text}\n")
    assert config.dollars == dollars and config.ends == "budget"
    assert config.check("server", "generate") == []


@pytest.mark.parametrize("text", ["20 EUR", "-5", "0", "$1e3", "1,000"])
def test_what_is_no_amount_of_dollars_is_refused(text):
    assert "`$20`" in finding(f"name: digits\nbudget: {text}\n").do


def test_a_budget_goes_with_instances_and_with_no_lease():
    with_lease = "name: digits\nbudget: $20\nlease: 8h\n"
    assert [each.key for each in read(with_lease).check("server", "generate")] == ["budget"]
    protected = "name: digits\nbudget: $20\nprotected: true\n"
    assert [each.key for each in read(protected).check("server", "generate")] == ["protected"]
    alone = read("name: digits\nbudget: $20\n")
    (serverless,) = alone.check("serverless", "generate")
    assert "no time keeps it within an amount" in serverless.why
    (local,) = alone.check("local", "generate")
    assert local.severity == "note" and local.key == "budget"
