from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from sageturner_magic.errors import ImageError
from sageturner_magic.packages.pip_arguments import parse_pip_arguments
from sageturner_magic.packages.urls import Location


def requirements(*entries: str, folder: Path = Path()) -> list[str]:
    return list(parse_pip_arguments(entries, folder).requirements)


def test_the_originals_examples_are_understood() -> None:
    arguments = parse_pip_arguments(
        ["--extra-index-url https://example.org/whl/cpu transformers[torch]", "pillow"], Path()
    )
    assert arguments.requirements == ("transformers[torch]", "pillow")
    assert arguments.extra_indexes == (Location("https://example.org/whl/cpu"),)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("numpy>=2", ["numpy>=2"]),
        ("'numpy>=2' \"pandas<3\"", ["numpy>=2", "pandas<3"]),
        ("numpy >= 2 pandas", ["numpy>=2", "pandas"]),
        ("torch torchvision==0.20", ["torch", "torchvision==0.20"]),
        ('tomli; python_version < "3.11"', ['tomli; python_version < "3.11"']),
        ("tomli; python_version < '3.11' six", ['tomli; python_version < "3.11"', "six"]),
        ("-U --pre -qq --no-cache-dir six", ["six"]),
        ("x @ https://example.org/x-1-py3-none-any.whl", ["x @ https://example.org/x-1-py3-none-any.whl"]),
        ("git+https://example.org/x.git@v1#egg=x", ["git+https://example.org/x.git@v1#egg=x"]),
        ("", []),
    ],
)  # fmt: skip
def test_an_entry_is_read_as_after_pip_install(entry: str, expected: list[str]) -> None:
    assert requirements(entry) == expected


def test_options_take_their_value_in_every_way_that_pip_knows() -> None:
    for entry in (
        "-i https://example.org/simple",
        "--index-url https://example.org/simple",
        "--index-url=https://example.org/simple",
        "-ihttps://example.org/simple",
        "'--index-url=https://example.org/simple'",
    ):
        assert parse_pip_arguments([entry], Path()).index == Location(
            "https://example.org/simple"
        ), entry


def test_a_requirements_file_is_read_with_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "requirements.txt").write_text(
        "# all of it\n"
        "--find-links more  # beside\n"
        "numpy>=2 \\\n"
        "    --hash=sha256:aa --hash=sha256:bb\n"
        "-r more/rest.txt\n"
        "-c limits.txt\n"
    )
    (tmp_path / "more/rest.txt").write_text("six\n")
    (tmp_path / "limits.txt").write_text("six<2\n")
    arguments = parse_pip_arguments(["-r requirements.txt", "pillow"], tmp_path)
    assert arguments.requirements == ("numpy>=2", "six", "pillow")
    assert arguments.constraints == ("six<2",)
    assert arguments.hashes == {"numpy>=2": ("sha256:aa", "sha256:bb")}
    assert arguments.find_links == (Location((tmp_path / "more").as_uri()),)


def test_local_wheels_and_projects_are_relative_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "x-1-py3-none-any.whl").touch()
    (tmp_path / "project").mkdir()
    arguments = parse_pip_arguments(["x-1-py3-none-any.whl", "-e ./project"], tmp_path)
    assert arguments.paths == (tmp_path / "x-1-py3-none-any.whl", tmp_path / "project")


def test_a_variable_is_replaced_as_pip_does_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    (index,) = parse_pip_arguments(
        ["--extra-index-url https://bob:${TOKEN}@example.org/simple"], Path()
    ).locations
    assert index.authenticated() == "https://bob:s3cret@example.org/simple"


def test_credentials_never_show(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = parse_pip_arguments(
        [
            "--index-url https://bob:s3cret@example.org/simple",
            "x @ https://bob:s3cret@example.org/x-1-py3-none-any.whl",
            "git+https://s3cret@example.org/y.git",
        ],
        Path(),
    )
    assert "s3cret" not in repr(arguments)
    assert "bob" not in repr(arguments)
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ImageError) as caught:
        parse_pip_arguments(["--frobnicate https://bob:s3cret@example.org ${NOT_SET}"], Path())
    assert "s3cret" not in caught.value.report()


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("--frobnicate six", "--frobnicate is not an option"),
        ("-r missing.txt", "missing.txt cannot be read"),
        ("numpy => 2", "`=>` is not a requirement"),
        ("'six", "a quote is not closed"),
        ("--index-url", "--index-url has no value"),
        ("./gone.whl", "gone.whl does not exist"),
        ("--extra-index-url https://${SAGETURNER_NOT_SET}@example.org/ six", "is not set"),
        ("--hash=sha256:aa", "there is none"),
    ],
)
def test_what_is_not_understood_is_named_with_its_entry(entry: str, part: str) -> None:
    with pytest.raises(ImageError) as caught:
        parse_pip_arguments(["six", entry], Path())
    assert part in str(caught.value)
    assert "python_packages[1]" in str(caught.value)


def test_all_entries_that_are_wrong_are_named_at_once() -> None:
    with pytest.raises(ImageError) as caught:
        parse_pip_arguments(["--bad", "six", "--worse"], Path())
    assert [finding.where for finding in caught.value.findings] == [
        "python_packages[0]",
        "python_packages[2]",
    ]


def test_a_file_that_includes_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r a.txt\n")
    with pytest.raises(ImageError, match="includes itself"):
        parse_pip_arguments(["-r a.txt"], tmp_path)


names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,4})?", fullmatch=True)
specifiers = st.sampled_from(["", ">=2", "==1.0", "<3,>=1", "~=1.4", " >= 2", "!=1.5"])
extras = st.sampled_from(["", "[a]", "[a,b]"])
markers = st.sampled_from(["", '; python_version < "3.11"', "; sys_platform == 'linux'"])
one = st.builds(lambda n, e, s, m: n + e + s + m, names, extras, specifiers, markers)


@settings(deadline=None)
@given(st.lists(one, min_size=1, max_size=5))
def test_any_requirements_on_one_line_come_out_one_by_one(wanted: list[str]) -> None:
    assert requirements(" ".join(wanted)) == [str(Requirement(each)) for each in wanted]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused_by_name(text: str) -> None:
    try:
        parse_pip_arguments([text], Path("/nowhere"))
    except ImageError as error:
        assert error.findings[0].where.startswith("python_packages[0]")


def test_a_path_of_the_machine_that_built_a_conda_package_is_refused_with_the_pin(tmp_path):
    with pytest.raises(ImageError) as raised:
        parse_pip_arguments(("numpy @ file:///croot/numpy_17/work",), tmp_path, "python_packages")
    assert f"`numpy=={importlib.metadata.version('numpy')}`" in str(raised.value)
    here = (tmp_path / "numpy").as_uri()
    (tmp_path / "numpy").mkdir()
    assert parse_pip_arguments((f"numpy @ {here}",), tmp_path, "p").requirements
