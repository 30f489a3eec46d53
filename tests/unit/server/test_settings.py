from __future__ import annotations

import json

import pytest

from sageturner_magic.server import settings


def test_nothing_has_to_be_set() -> None:
    found = settings.read({})
    assert (found.host, found.port) == ("0.0.0.0", 8080)
    assert (found.program_dir, found.model_dir) == ("/opt/program", "/opt/ml/model")
    assert found.serving == settings.Serving()
    assert found.serving.max_body == 25_000_000


def test_sagemakers_port_is_used_unless_ours_is_set() -> None:
    assert settings.read({"SAGEMAKER_BIND_TO_PORT": "9000"}).port == 9000
    both = {"SAGEMAKER_BIND_TO_PORT": "9000", "SAGETURNER_PORT": "0"}
    assert settings.read(both).port == 0


def test_the_serving_section_is_read() -> None:
    serving = {
        "workers": 2, "batch": {"max_size": 8, "max_wait_ms": 1.5}, "queue": 10, "timeout_s": 5,
        "max_body_mb": 0.5, "nan": "null", "metrics": "emf", "csv": {"types": "cell"},
    }  # fmt: skip
    found = settings.read({"SAGETURNER_SERVING": json.dumps(serving)}).serving
    assert found == settings.Serving(
        workers=2, batch=settings.Batch(8, 1.5), queue=10, timeout_s=5, max_body_mb=0.5,
        nan="null", metrics="emf", csv=settings.Csv("cell", "absent"),
    )  # fmt: skip


def test_null_means_the_default() -> None:
    found = settings.read({"SAGETURNER_SERVING": '{"workers": null, "batch": null}'})
    assert found.serving == settings.Serving()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"workers": true}', "workers is true, expected a whole number of at least 1"),
        ('{"timeout_s": 0}', "expected a number above 0"),
        ('{"max_body_mb": "1"}', "expected a number above 0"),
        ('{"csv": {"types": "auto"}}', 'types is "auto", expected "infer" or "text" or "cell"'),
        ('{"batch": 5}', "batch is not a JSON object: 5"),
        ('{"batch": {"max_wait_ms": -1}}', "expected a number of at least 0"),
        ('{"nan": null, "Nan": 1}', "'Nan' is not a key; the keys are workers, queue"),
    ],
)
def test_a_wrong_serving_section_is_explained(text: str, words: str) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.read({"SAGETURNER_SERVING": text})
    assert words in str(caught.value)


def test_all_problems_are_found() -> None:
    environ = {"SAGETURNER_PORT": "70000", "SAGETURNER_LOG": "xml", "SAGETURNER_SERVING": "{"}
    with pytest.raises(settings.SettingsError) as caught:
        settings.read(environ)
    assert len(caught.value.problems) == 3
