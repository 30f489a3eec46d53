"""A prediction reads like its own value."""

import pytest

from sageturner_magic.endpoints.prediction import Prediction


def prediction(body: bytes, content_type: str = "application/json") -> Prediction:
    return Prediction("digits", body, content_type, 200, 1.5)


def test_keys_length_iteration_and_comparison_go_to_the_value():
    answer = prediction(b'{"digit": 4, "odd": false}')
    assert answer["digit"] == 4
    assert len(answer) == 2
    assert list(answer) == ["digit", "odd"]
    assert "odd" in answer
    assert answer == {"digit": 4, "odd": False}
    assert answer == prediction(b'{"odd": false, "digit": 4}')


@pytest.mark.parametrize(("body", "truth"), [(b"{}", False), (b"0", False), (b"[1]", True)])
def test_truth_is_the_values_truth(body, truth):
    assert bool(prediction(body)) is truth


def test_bytes_stay_bytes():
    assert prediction(b"\x89PNG", "image/png").value == b"\x89PNG"
