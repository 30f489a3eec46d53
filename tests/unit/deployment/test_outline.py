"""What predict() reads of a request is found in its source."""

import pytest

from sageturner_magic.deployment.outline import outline


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('return model(request["b"], request.get("a", 1), request["b"])', '{"b": "…", "a": "…"}'),
        ("return model(request)", '"…"'),
        ('return model["weights"] if request[0] else other["x"]', '"…"'),
        ('return [row["x"] for row in request["rows"]]', '{"rows": "…"}'),
    ],
)
def test_the_keys_that_predict_reads_are_to_be_filled_in(body, found):
    assert outline(f"def predict(model, request):\n    {body}") == found
    assert outline(f"async def predict(model, request, context):\n    {body}") == found


def test_code_without_such_a_predict_has_a_blank():
    assert outline("") == outline("predict = print") == outline("def predict(*all): ...") == '"…"'
