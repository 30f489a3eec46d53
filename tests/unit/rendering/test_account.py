"""How the account and this machine read."""

from sageturner_magic.rendering.registry import data_of, text_of
from sageturner_magic.verbs.account import Changes
from sageturner_magic.verbs.diagnosis import Report

PARTS = (("sageturner", "1.0"), ("AWS", "no credentials"))
FRAMEWORKS = (("instances", "remark"), ("c5 m5", "none"), ("g5", "CUDA"))


def test_nothing_to_repair_is_said():
    assert text_of(Changes()) == "everything is set up; nothing was changed"
    assert text_of(Changes(["made a", "made b"])) == "made a\nmade b"
    assert data_of(Changes(["made a"])) == {"changed": ["made a"]}


def test_a_report_has_a_line_for_each_part_and_a_table_of_frameworks():
    assert text_of(Report(PARTS, ())) == "sageturner   1.0\nAWS          no credentials"
    assert text_of(Report(PARTS, FRAMEWORKS)).splitlines()[-3:] == [
        "instances  remark",
        "c5 m5      none",
        "g5         CUDA",
    ]


def test_a_report_is_an_object_for_programs():
    assert data_of(Report(PARTS, ())) == {
        "sageturner": "1.0",
        "aws": "no credentials",
        "frameworks": [],
        "wrong": [],
    }
    assert data_of(Report(PARTS, FRAMEWORKS))["frameworks"] == [
        {"instances": "c5 m5", "remark": "none"},
        {"instances": "g5", "remark": "CUDA"},
    ]
