"""Frameworks are resolved again in the build that suits the instance."""

import textwrap
from pathlib import Path

import pytest

from sageturner_magic.config import Origin, parse_config
from sageturner_magic.deployment.ingredients import Ingredients
from sageturner_magic.deployment.plans import images
from sageturner_magic.deployment.request import DeployRequest, ProvidedCode
from sageturner_magic.errors import ImageError
from sageturner_magic.gpu import ComputeTarget, ResolvedPackage, fit
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.requirements import Requirements, Target

PLAIN = Requirements(Target("3.11"), ())
RESOLVED = Requirements(Target("3.11"), (), index="other")


@pytest.fixture
def asked(monkeypatch):
    """Every question to the resolver; those with an index that `refused` names fail."""
    questions, refused = [], set()

    def resolve(arguments, target, reporter):
        questions.append(arguments)
        if refused & {location.host for location in arguments.extra_indexes}:
            raise ImageError("the index does not answer")
        if "all" in refused:
            raise ImageError("no such version")
        return RESOLVED

    monkeypatch.setattr(images, "resolve", resolve)
    return questions, refused


def cpu_builds(lines):
    packages = [ResolvedPackage("torch", "2.13.0", entry=lines[0]), ResolvedPackage("numpy", "2.1")]
    decision = fit(packages, ComputeTarget("serverless"), "3.11").decision
    return images._other_builds(parse_pip_arguments(lines, Path("/")), decision, PLAIN, None)


def test_a_serverless_endpoint_gets_the_cpu_build_from_its_own_index(asked):
    requirements, notes = cpu_builds(["torch>=2", "numpy"])
    assert requirements is RESOLVED
    (question,) = asked[0]
    assert question.requirements == ("numpy", "torch==2.13.0+cpu")
    assert [location.host for location in question.extra_indexes] == ["download.pytorch.org"]
    assert "2.2 GB less" in notes[0].what and notes[0].severity == "note"


def test_where_that_index_is_out_of_reach_the_machines_own_are_asked(asked):
    asked[1].add("download.pytorch.org")
    requirements, _ = cpu_builds(["torch"])
    assert requirements is RESOLVED
    assert asked[0][-1].extra_indexes == ()


def test_where_no_index_has_them_the_plan_warns_and_goes_on(asked):
    asked[1].update({"download.pytorch.org", "all"})
    requirements, notes = cpu_builds(["torch"])
    assert requirements is PLAIN
    assert notes[0].severity == "warning" and "torch==2.13.0+cpu" in notes[0].what


@pytest.mark.parametrize("cuda", ["true", "false"])
def test_what_a_generated_image_would_have_is_no_matter_for_the_users_own(tmp_path, cuda):
    text = f"""
        name: clip
        container:
          generate_container: {{code_dir: ., install_cuda: {cuda}}}
          provide_container: {{docker_dir: .}}
        compute: {{serverless: {{memory: 3072}}}}
    """
    config = parse_config(textwrap.dedent(text), folder=tmp_path, origin=Origin.file("s.yaml"))
    code = ProvidedCode(tmp_path)
    (tmp_path / "Dockerfile").touch()
    request = DeployRequest(config, "serverless", "provide", code, {}, False, "python")
    ingredients = Ingredients(request, code.module()[0], None)
    assert images.sagemaker_image(ingredients, "", None).spec.folder == tmp_path
