"""An object that was trained again since it was deployed is noticed, also in place."""

import numpy as np
import pytest

from sageturner_magic.capture import shipped
from sageturner_magic.capture.shipped import Watched
from sageturner_magic.values import LiveObject


class Line:
    """Fitted in place, as models of scikit-learn are."""

    def fit(self, x: list[float], y: list[float]) -> "Line":
        self.coefficients = np.polyfit(x, y, 1)
        return self


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A busy machine leaves nothing unwatched."""
    monkeypatch.setattr(shipped, "LIMIT_S", 60.0)


def watched(**objects):
    made = Watched()
    made.deployed("digits", [LiveObject(f"{name}.pkl", name, objects[name]) for name in objects])
    return made


def test_an_object_that_is_fitted_again_in_place_is_told_once():
    model = Line().fit([0.0, 1.0], [0.0, 1.0])
    made = watched(model=model)
    assert not list(made.changed("model.predict([[2.0]])", {"model": model}))
    model.fit([0.0, 1.0], [0.0, 2.0])
    assert not list(made.changed("other = 1", {"model": model}))
    assert list(made.changed("model.fit(X, y)", {"model": model})) == [("digits", "model")]
    assert not list(made.changed("model.predict([[2.0]])", {"model": model}))


def test_each_invocation_of_its_endpoint_says_so():
    made = watched(weights=np.zeros(3))
    names = {"weights": np.ones(3)}
    for _ in range(2):
        assert list(made.changed("%sageturner invoke digits [1]", names)) == [("digits", "weights")]
    assert not list(made.changed("%sageturner invoke digits-2 [1]", names))


def test_objects_of_one_file_are_watched_each():
    parts = {"a": [1], "b": [2]}
    made = Watched()
    made.deployed("digits", [LiveObject("a_and_b.pickle", "_a_and_b", parts, ("a", "b"))])
    assert list(made.changed("b.append(3)", {"a": [1], "b": [2, 3]})) == [("digits", "b")]


def test_what_is_deployed_again_or_deleted_is_not_told():
    made = watched(weights=np.zeros(3))
    made.deployed("digits", [LiveObject("weights.npy", "weights", np.ones(3))])
    assert not list(made.changed("weights", {"weights": np.ones(3)}))
    made.ended("digits")
    assert not list(made.changed("weights", {"weights": np.zeros(3)}))


def test_what_cannot_be_written_or_is_gone_is_not_watched():
    made = watched(stream=(each for each in [1]), size=3)
    assert not list(made.changed("stream, size", {"stream": None}))


def test_an_object_of_more_than_100_mb_is_watched_by_samples():
    weights = np.zeros(130_000_000, dtype=np.uint8)
    made = watched(weights=weights)
    assert not list(made.changed("weights", {"weights": weights}))
    weights += 1
    assert list(made.changed("weights += 1", {"weights": weights})) == [("digits", "weights")]
