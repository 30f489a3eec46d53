"""Every mistake is shown, at its place, with what to do about it."""

import time

import pytest
import yaml

from sageturner_magic.config import Origin, parse_config
from sageturner_magic.config.nodes import LOADER, untyped
from sageturner_magic.errors import ConfigError
from tests.unit.config.helpers import FOLDER, finding, findings, read


def test_all_mistakes_are_shown_at_once_in_the_files_order():
    found = findings(
        "name: My Model\n"
        "compute:\n"
        "  instance_type: ml.m5.xlarge\n"
        "  serverless:\n"
        "    memory: 1500\n"
        "    max_concurrency: many\n"
        "servng: {workers: 1}\n"
        "name: other\n"
    )
    assert [one.where for one in found] == [
        "sageturner.yaml:1:7",
        "sageturner.yaml:3:3",
        "sageturner.yaml:5:13",
        "sageturner.yaml:6:22",
        "sageturner.yaml:7:1",
        "sageturner.yaml:8:1",
    ]
    assert str(found[2]) == (
        "`compute.serverless.memory` is `1500` (sageturner.yaml:5:13): "
        "expected one of 1024, 2048, 3072, 4096, 5120, 6144. Do: write `1024`"
    )


@pytest.mark.parametrize(
    ("text", "why", "do"),
    [
        ("artefct: x", "did you mean `artefact`?", "write `artefact`"),
        ("artefac: x", "did you mean `artefact`?", "write `artefact`"),
        ("artefact: x\nartifact: y", "did you mean `artefact`?", "write `artefact`"),
        ("env: {A: b}", "did you mean `environment`?", "write `environment`"),
        ("KMS-Key: x", "did you mean `kms_key`?", "write `kms_key`"),
        (
            "compute: {instance_type: x}",
            "`instance_type` belongs under `compute.server`",
            "move it to `compute.server.instance_type`",
        ),
        (
            "memry: 3072",
            "`memory` belongs under `compute.serverless`",
            "move it to `compute.serverless.memory`",
        ),
        ("serving: {tags: {a: b}}", "`tags` is a key of the top level", "move it to `tags`"),
        ("compute: {zzz: 1}", "known here: local, serverless, server", "remove it"),
        ("<<: {a: b}", "merging of mappings is not supported", "write the keys out"),
    ],
)
def test_an_unknown_key_comes_with_the_one_that_was_meant(text, why, do):
    found = finding(f"name: x\n{text}")
    assert "is not a known key" in found.what
    assert found.why == why
    assert found.do.startswith(do)


def test_a_key_that_is_missing_is_named_with_an_example():
    server, name = findings("compute:\n  server:\n")
    assert server.where == "sageturner.yaml:2:3" or name.where == "sageturner.yaml:2:3"
    by_key = {one.what: one.do for one in (server, name)}
    assert by_key == {
        "`compute.server.instance_type` is missing": "add `instance_type: ml.m5.xlarge`",
        "`name` is missing": "add `name: my-model`",
    }
    assert finding("name:").do == "write `name: my-model`"


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("", "is empty", "sageturner.yaml"),
        ("# only a comment\n", "is empty", "sageturner.yaml"),
        ("- name: x\n- b", "is a list", "sageturner.yaml:1:1"),
        ("name:digits", "is the text `name:digits`", "sageturner.yaml:1:1"),
        ("compute:\n\tserver: x", "A tab", "sageturner.yaml:2:1"),
        ("compute:\n  local:\n\tmode: process", "A tab", "sageturner.yaml:3:1"),
        ("name: x\ncompute:\n   local:\n  server:", "indentation", "sageturner.yaml:4:3"),
        ("name: x\n\ntags: 'a", "quote is not closed", "sageturner.yaml:3:7"),
        ('name: x\n\ntags: "a\nb: c', "quote is not closed", "sageturner.yaml:3:7"),
        ("name: [x, y\nb: c", "bracket is not closed", "sageturner.yaml:1:7"),
        ("name: {x: y", "bracket is not closed", "sageturner.yaml:1:7"),
        ("name: a: b", "A colon", "sageturner.yaml:1:8"),
        ("name: x\nwrong\nkms_key: y", "no `key:`", "sageturner.yaml:2:1"),
        ("name: @x", "cannot begin", "sageturner.yaml:1:7"),
        ("name: *x", "`*x` refers to nothing", "sageturner.yaml:1:7"),
        ("name: &x [*x]", "nested too deeply", "sageturner.yaml:1:7"),
        ("name: &x a\nkms_key: &x b", "An anchor", "sageturner.yaml:2:10"),
        ("name: !!python/name:os.system x", "The tag", "sageturner.yaml:1:7"),
        ("name: !!str x", "The tag", "sageturner.yaml:1:7"),
        ("name: x\n---\nname: y", "A second YAML document", "sageturner.yaml:2:1"),
        ("name: {{ x }}", "where a key is expected", "sageturner.yaml:1:8"),
        ("? [a]\n: b", "where a key is expected", "sageturner.yaml:1:3"),
        ("name: x\n\x00", "U+0000", "sageturner.yaml:2:1"),
        ("name: x\r\ntags: \ud800", "U+D800", "sageturner.yaml:2:7"),
    ],
)
@pytest.mark.parametrize("loader", ["the usual parser", "the parser without libyaml"])
def test_text_that_is_no_configuration_is_explained(text, what, where, loader, monkeypatch):
    if loader == "the parser without libyaml":
        monkeypatch.setattr("sageturner_magic.config.nodes.LOADER", untyped(yaml.SafeLoader))
    found = finding(text)
    assert what in found.what
    assert found.where == where
    assert found.do


def test_a_backslash_that_begins_no_escape_leads_to_single_quotes():
    found = finding('artefact: "C:\\model"\nname: x')
    assert "A backslash" in found.what
    assert found.where.startswith("sageturner.yaml:1:")
    assert "single quotes" in found.do


def test_a_key_written_twice_names_both_lines():
    found = finding("name: x\ntags:\n  a: b\nname: y\n")
    assert found.where == "sageturner.yaml:4:1"
    assert "sageturner.yaml:1:1" in found.why


def test_places_in_a_cell_are_lines_of_the_cell():
    with pytest.raises(ConfigError) as caught:
        parse_config("name: x\nartefct: y", folder=FOLDER, origin=Origin.cell(5))
    assert caught.value.findings[0].where == "In[5], line 3"


def test_an_alias_bomb_is_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.perf_counter()
    assert "more than 10,000 values" in finding("\n".join(lines)).what
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "[" * 900_000,
        "a: " * 300_000,
        "- \n" * 300_000,
        "name: " + "x" * 900_000,
        "".join(f"key{n}: v\n" for n in range(60_000)),
        "".join(f"key{n}: v\n" for n in range(9_000)),
        "{" * 19 + "a",
        "'" * 900_000,
        "#" * 900_000,
        "name: x\ntags:\n" + "  a: b\n" * 4_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_large_nonsense_is_refused_quickly(text):
    started = time.perf_counter()
    assert findings(text)
    assert time.perf_counter() - started < 10


def test_a_flood_of_mistakes_is_counted_and_not_listed():
    found = findings("name: x\n" + "".join(f"key{n}: v\n" for n in range(300)))
    assert len(found) == 101
    assert found[-1].what == "200 more problems"


def test_five_megabytes_are_not_even_parsed():
    started = time.perf_counter()
    found = finding("name: x\n" + "# filler\n" * 600_000)
    assert time.perf_counter() - started < 1
    assert "5.4 MB" in found.what
    assert "artefact" in found.do


def test_a_normal_configuration_reads_fast():
    from tests.unit.config.test_values import ORIGINAL_CPU

    read(ORIGINAL_CPU)
    started = time.perf_counter()
    for _ in range(10):
        read(ORIGINAL_CPU)
    # 1.5 ms each with libyaml on a laptop; the limit leaves room for a busy machine.
    assert (time.perf_counter() - started) / 10 < 0.1


def test_the_fast_parser_is_used_where_it_is_there():
    assert issubclass(LOADER, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)


SERVER = "name: a\ncompute:\n  server:\n    instance_type: {}\n    {}\n"


@pytest.mark.parametrize(
    "kind", ["ml.g5.xlarge", "ml.m5d.large", "ml.p4de.24xlarge", "ml.c6gd.large", "ml.trn1.2xlarge"]
)
def test_a_volume_is_refused_where_the_type_has_disks_of_its_own(kind):
    found = finding(SERVER.format(kind, "volume_gb: 50"))
    assert (found.where, found.do) == ("sageturner.yaml:5:16", "leave `volume_gb` out")
    assert kind in found.why


@pytest.mark.parametrize("kind", ["ml.m5.xlarge", "ml.c6g.large", "ml.r7i.large", "ml.p3.2xlarge"])
def test_a_volume_is_fine_elsewhere(kind):
    server = read(SERVER.format(kind, "volume_gb: 50")).compute.server
    assert server is not None and server.volume_gb == 50


def test_a_burstable_type_cannot_be_scaled():
    found = finding(SERVER.format("ml.t2.medium", "autoscaling: {max: 4}"))
    assert found.where.startswith("sageturner.yaml:5:") and "burstable" in found.why
