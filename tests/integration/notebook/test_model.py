"""`--model`: from a live object of a notebook to an endpoint, with no other cell."""

import pytest
from jupyter_client.manager import start_new_kernel

from tests.integration.notebook.test_notebook import (  # noqa: F401 - the fixture is used by all
    EXTENSION,
    fails,
    own_environment,
    run,
    text,
)

TRAINED = """
import pandas
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

def ratios(frame):
    return frame.assign(ratio=frame["petal length (cm)"] / frame["petal width (cm)"])

X, y = load_iris(as_frame=True, return_X_y=True)
classifier = make_pipeline(FunctionTransformer(ratios), RandomForestClassifier(10, random_state=0))
classifier.fit(X, y.map({0: "setosa", 1: "versicolor", 2: "virginica"}))
LIMIT = 0.9
"""
INVOKE = "answer = %sageturner invoke iris X.tail(5)"
SAME = "assert answer['predictions'] == classifier.predict(X.tail(5)).tolist(), answer"


def test_a_pipeline_of_the_notebook_answers_as_in_the_notebook():
    notebook = run(
        EXTENSION,
        TRAINED,
        "%sageturner deploy iris --model classifier --example X.head(3)",
        INVOKE,
        SAME,
        "%sageturner code iris",
        "one = %sageturner invoke iris X.iloc[149].to_dict()",
        "assert one['predictions'] == ['virginica'] and len(one['classes']) == 3, one",
        "csv = %sageturner invoke iris X.tail(5).to_csv(index=False) --content-type"
        " text/csv;header=present",
        "assert csv['predictions'] == answer['predictions'], csv",
        # The line that a deployment with a long example shows.
        "three = %sageturner invoke iris example_request()",
        "assert three['predictions'] == classifier.predict(X.head(3)).tolist(), three",
    )
    assert "classifier.joblib" in text(notebook.cells[2])
    assert "def ratios(frame):" in text(notebook.cells[5])
    assert "def example_request():" in text(notebook.cells[5])


def test_a_function_with_a_threshold_is_sliced_and_takes_its_model_along():
    decide = """
    def decide(request):
        row = pandas.DataFrame([request])
        probability = classifier.predict_proba(row)[0].max()
        return {"class": classifier.predict(row)[0] if probability > LIMIT else None}
    """
    notebook = run(
        EXTENSION,
        TRAINED,
        decide.strip().replace("\n    ", "\n"),
        "%sageturner deploy iris --model decide --example X.iloc[0].to_dict()",
        "one = %sageturner invoke iris X.iloc[0].to_dict()",
        "assert one['class'] == decide(X.iloc[0].to_dict())['class'] == 'setosa', one",
        "%sageturner code iris",
    )
    assert "LIMIT = 0.9" in text(notebook.cells[6])


def test_a_variable_of_a_function_and_a_captured_predict():
    predict = """
    %%sageturner_predict iris
    def predict(model, request):
        return model.predict(pandas.DataFrame([request]))[0].upper()
    """
    run(
        EXTENSION,
        TRAINED,
        predict.strip().replace("\n    ", "\n"),
        """
def ship(fitted):
    %sageturner plan iris --model fitted
    %sageturner deploy iris --model fitted
""",
        "ship(classifier)",
        "one = %sageturner invoke iris X.iloc[0].to_dict()",
        "assert one.value == 'SETOSA', one",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--model clasifier", "did you mean `classifier`?"),
        ("--model LIMIT", "`--model` is LIMIT, a float"),
        ("--example X", "`--example` describes requests of `--model`, which is missing"),
        ("--model X", "There is no rule for serving `X`"),
    ],
)
def test_what_is_no_model_is_refused_with_a_next_step(line, message):
    error = fails(EXTENSION, TRAINED, f"%sageturner deploy iris {line}")
    assert message in str(error)


def test_the_generated_code_becomes_cells_one_after_the_other():
    manager, client = start_new_kernel(kernel_name="python3")
    try:

        def offered(source):
            reply = client.execute_interactive(source, timeout=120, output_hook=lambda _: None)
            assert reply["content"]["status"] == "ok", reply["content"]
            return [each["text"] for each in reply["content"]["payload"]]

        offered(EXTENSION)
        offered(TRAINED)
        (load,) = offered("%sageturner code iris --model classifier --cells")
        (predict,) = offered(load)
        (deploy,) = offered(predict)
        assert load.startswith("%%sageturner_load iris\n")
        assert predict.startswith("%%sageturner_predict iris\n")
        assert offered(deploy) == []
        offered("one = %sageturner invoke iris X.iloc[149].to_dict()")
        offered("assert one['predictions'] == ['virginica'], one")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
