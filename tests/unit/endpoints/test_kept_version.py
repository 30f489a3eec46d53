"""What a local endpoint served is read back as it was, and from its own folder only."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from sageturner_magic.endpoints.local import (
    EarlierContainer,
    LocalRecord,
    LocalState,
    ServedByContainer,
    ServedByProcess,
    read_earlier,
)
from sageturner_magic.endpoints.local.state import SERVED
from sageturner_magic.errors import EndpointError
from sageturner_magic.values import Artefact, CapturedModule, CellLine, SourceFile, UnpackedImage


def record_in(state: LocalState, folder: str, previous: str = "", owner: int = 0) -> LocalRecord:
    place = state.folder("digits") / "servers" / folder
    place.mkdir(parents=True, exist_ok=True)
    return LocalRecord(
        "digits", "0123456789ab", 1, 0.0, owner, 0.0, 1, "", "", str(place), "", "", 0.0, 0.0,
        "", {}, previous=previous,
    )  # fmt: skip


@pytest.mark.parametrize("owner", [0, 7])
@pytest.mark.parametrize("with_model", [True, False])
def test_what_was_written_down_is_read_back(tmp_path: Path, owner: int, with_model: bool) -> None:
    module = CapturedModule(
        "In[3], In[4]",
        (SourceFile("sageturner.py", b"x = 1\n"), SourceFile("data/a\udcff.txt", b"a")),
        lines={1: CellLine(3, 2)},
    )
    served = ServedByProcess(
        name="digits",
        module=module,
        artefact=Artefact(tmp_path / "model", "ab" * 32, 3, 1) if with_model else None,
        serving={"timeout_s": 5.0, "batch": None},
        environment={"WORD": "Grüße"},
        python="/usr/bin/python3",
        tied=owner != 0,
        startup_timeout_s=480.0,
    )
    module.write(tmp_path / "program")
    # What the server wrote beside its code is no part of the version.
    (tmp_path / "program" / "cache").write_text("later")
    (tmp_path / SERVED).write_text(served.text())
    record = record_in(LocalState(tmp_path / "state"), "now", owner=owner)
    again = read_earlier(tmp_path, record).served
    assert again.version() == served.version()
    assert again.module.origin == module.origin and again.module.lines == module.lines
    assert (again.artefact, again.tied) == (served.artefact, served.tied)
    assert again.startup_timeout_s == 480.0


@pytest.mark.parametrize("serving", [None, {"timeout_s": 5.0}])
@pytest.mark.parametrize("docker", [True, False])
def test_a_containers_image_and_limits_are_read_back(
    tmp_path: Path, serving: dict[str, float] | None, docker: bool
) -> None:
    module = CapturedModule("code", (SourceFile("sageturner.py", b"x = 1\n"),))
    served = ServedByContainer(
        name="digits", module=module, artefact=None, image_tag="digits-0123456789ab",
        serving=serving, environment={"WORD": "Grüße"}, serverless_mb=2048, tied=False,
        startup_timeout_s=480.0,
    )  # fmt: skip
    module.write(tmp_path / "program")
    unpacked = UnpackedImage(str(tmp_path), ("python", "serve"), {"PATH": "/bin"}, "/opt/program")
    said = served.text(image="repository:tag", unpacked=None if docker else asdict(unpacked))
    (tmp_path / SERVED).write_text(said)
    state = LocalState(tmp_path / "state")
    earlier = read_earlier(tmp_path, record_in(state, "now"))
    assert isinstance(earlier, EarlierContainer)
    assert earlier.served.version() == served.version()
    assert earlier.image == "repository:tag"
    assert earlier.unpacked == (None if docker else unpacked)
    # Only an engine's image has to be removed with the endpoint.
    record = record_in(state, "now", previous="before")
    record_in(state, "before")
    (state.folder("digits") / "servers" / "before" / SERVED).write_text(said)
    assert state.engine_images(record) == ({"repository:tag"} if docker else set())


def test_an_earlier_version_whose_unpacked_image_is_gone_is_named(tmp_path: Path) -> None:
    served = ServedByContainer(
        name="digits", module=CapturedModule("code", ()), artefact=None, image_tag="digits-0",
        serving=None, environment={}, serverless_mb=None, tied=False, startup_timeout_s=1.0,
    )  # fmt: skip
    unpacked = UnpackedImage(str(tmp_path / "gone"), (), {}, "/")
    with pytest.raises(EndpointError, match=r"image .* of digits is gone \(digits-0\).*deploy"):
        EarlierContainer(served, "digits-0", unpacked).require_image()


def test_all_but_the_version_and_the_one_before_is_deleted(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    for folder in ("oldest", "before", "now"):
        record = record_in(state, folder, previous="before")
        (Path(record.folder) / SERVED).write_text("{}")
        state.write(record)
    state.tidy(record)
    servers = state.folder("digits") / "servers"
    assert sorted(each.name for each in servers.iterdir()) == ["before", "now"]
    # Its server has ended: nothing may take it for the endpoint.
    assert [each.parent.name for each in servers.glob("*/endpoint.json")] == ["now"]
    assert state.previous(record) == servers / "before"


@pytest.mark.parametrize("named", ["", "..", "gone", "container", "/elsewhere", "../elsewhere"])
def test_a_record_leads_to_no_other_folder(tmp_path: Path, named: str) -> None:
    state = LocalState(tmp_path)
    record_in(state, "container")  # It has no file that says how it was served.
    for elsewhere in (tmp_path / "elsewhere", state.folder("digits") / "elsewhere"):
        elsewhere.mkdir()
        (elsewhere / SERVED).write_text("{}")
    named = named.replace("/elsewhere", f"{tmp_path}/elsewhere") if named[:1] == "/" else named
    assert state.previous(record_in(state, "now", previous=named)) is None
