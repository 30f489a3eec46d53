"""`--model`: load() and predict() are written for a live object, and answer as it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sageturner_magic.capture.artefact import with_objects
from sageturner_magic.errors import CaptureError
from sageturner_magic.values import LiveModel, Shipped

from .generated_module import Serve
from .helpers import Session

GOLDEN = Path(__file__).parent / "golden"


def source_of(session: Session, variable: str, example: object = None) -> str:
    live = LiveModel(session.namespace[variable], variable, example, 9)
    return session.notebook.module_and_notes("digits", Shipped(), live)[0].source


TABLE = """
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
RATE = 0.1
def scaled(frame):
    return frame * RATE
X = pandas.DataFrame({"age": [20, 30, 40, 50], "city": ["Ulm", "Bern", "Ulm", "Bern"]})
steps = ColumnTransformer(
    [("city", OneHotEncoder(), ["city"]), ("age", FunctionTransformer(scaled), ["age"])]
)
classifier = Pipeline([("columns", steps), ("model", LogisticRegression())])
classifier.fit(X, ["no", "yes", "no", "yes"])
"""


@pytest.fixture
def table(session: Session) -> Session:
    pytest.importorskip("sklearn")
    session.run(TABLE)
    return session


@pytest.mark.parametrize("name", ["table", "texts", "rows", "function"])
def test_the_module_is_what_a_person_would_write(session: Session, name: str):
    pytest.importorskip("sklearn")
    session.run(TABLE)
    session.run(TEXTS)
    session.run(ROWS)
    session.run(SCORE)
    examples = {
        "table": session.namespace["X"].head(2),  # type: ignore[attr-defined]
        "texts": None,
        "rows": [[5.1, 3.5]],
        "function": {"points": 3},
    }
    variables = {"table": "classifier", "texts": "spam", "rows": "forest", "function": "score"}
    made = source_of(session, variables[name], examples[name])
    assert made == (GOLDEN / f"{name}.py.txt").read_text()


REQUESTS = {
    "a record": lambda X: json.loads(X.iloc[0].to_json()),
    "records": lambda X: json.loads(X.to_json(orient="records")),
    "a DataFrame's JSON": lambda X: json.loads(X.to_json()),
    "its split form": lambda X: json.loads(X.to_json(orient="split")),
    "lists by column": lambda X: X.to_dict("list"),
    "rows": lambda X: json.loads(X.to_json(orient="values")),
    "a row": lambda X: json.loads(X.to_json(orient="values"))[0],
    "records in another order": lambda X: json.loads(X[X.columns[::-1]].to_json(orient="records")),
}


@pytest.mark.parametrize("form", REQUESTS)
@pytest.mark.parametrize("with_example", [True, False])
def test_a_table_is_taken_in_every_form(
    table: Session, serve: Serve, form: str, with_example: bool
):
    X: Any = table.namespace["X"]
    model: Any = table.namespace["classifier"]
    got = serve("classifier", X.head(3) if with_example else None)(REQUESTS[form](X))
    rows = X.head(1) if form in ("a record", "a row") else X
    assert got["predictions"] == model.predict(rows).tolist()
    assert got["probabilities"] == pytest.approx(model.predict_proba(rows))
    assert got["classes"] == ["no", "yes"]


def test_a_request_that_does_not_fit_is_the_callers_mistake(table: Session, serve: Serve):
    ask = serve("classifier")
    for request, message in [
        ({"age": 3}, "these columns are missing: city"),
        ([1, 2, 3], "no table for the model"),
        ("text", "no table for the model"),
        ([], "no table for the model"),
    ]:
        with pytest.raises(Exception, match=message) as raised:
            ask(request)
        assert raised.value.status_code == 400  # type: ignore[attr-defined]


def test_the_example_gives_the_columns_types(session: Session, serve: Serve):
    pytest.importorskip("sklearn")
    session.run("""
        import pandas
        from sklearn.ensemble import HistGradientBoostingClassifier
        size = pandas.Categorical(["S", "L", "S", "L"], categories=["S", "M", "L"], ordered=True)
        X = pandas.DataFrame({"n": [1.5, None, 3.0, 4.0], "size": size, "is_new": [True] * 4})
        trees = HistGradientBoostingClassifier(categorical_features="from_dtype")
        trees.fit(X, [0, 1, 0, 1])
    """)
    X: Any = session.namespace["X"]
    ask: Any = serve("trees", X.head(2))
    assert ask.module.table_of({"n": None, "size": "L", "is_new": True}).dtypes.equals(X.dtypes)
    assert ask({"n": None, "size": "L", "is_new": True})["predictions"] == [
        session.namespace["trees"].predict(X[1:2])[0]  # type: ignore[attr-defined]
    ]
    assert ask.module.example_request()[1] == {"n": None, "size": "L", "is_new": True}
    assert len(ask(ask.module.example_request())["predictions"]) == 2


def test_missing_numbers_are_numbers_without_an_example(session: Session, serve: Serve):
    pytest.importorskip("sklearn")
    session.run("""
        import pandas
        from sklearn.ensemble import HistGradientBoostingRegressor
        X = pandas.DataFrame({"a": [1.0, None] * 10, "b": [3.0] * 20})
        trees = HistGradientBoostingRegressor().fit(X, [1.0, 2.0] * 10)
    """)
    ask = serve("trees")
    assert ask([{"a": None, "b": 3}]).keys() == {"predictions"}
    assert ask({"a": None, "b": 3}) == ask([{"a": 1, "b": 3}, {"a": None, "b": 3}]) | {
        "predictions": ask({"a": None, "b": 3})["predictions"]
    }


SAMPLES = {
    "by name": """ColumnTransformer([("c", OneHotEncoder(), ["city"])], remainder="passthrough")""",
    "by mask": """ColumnTransformer([("c", OrdinalEncoder(), [False, True, False])])""",
    "by selector": """ColumnTransformer(
        [("c", OneHotEncoder(), make_column_selector("city")), ("n", "passthrough", ["age"])])""",
    "in a pipeline": """ColumnTransformer(
        [("c", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["city"])],
        remainder="passthrough")""",
    "a text": """ColumnTransformer(
        [("t", TfidfVectorizer(), "city"), ("n", "passthrough", slice(0, 1))])""",
}


@pytest.mark.parametrize(
    ("columns", "is_array"), [*((each, False) for each in SAMPLES), ("by mask", True)]
)
def test_a_request_to_copy_has_values_that_the_model_knows(
    session: Session, serve: Serve, columns: str, is_array: bool
):
    pytest.importorskip("sklearn")
    session.run(f"""
import pandas
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier
X = pandas.DataFrame(dict(age=[20, 30, 40, 50], city=["Ulm", "Bern"] * 2, size=[1, 2, 3, 4]))
rows = X.to_numpy() if {is_array} else X
steps = {SAMPLES[columns]}
tree = make_pipeline(steps, DecisionTreeClassifier()).fit(rows, ["no", "yes", "no", "yes"])
""")
    ask: Any = serve("tree")
    request = ask.module.example_request()
    values = request if is_array else [*request.values()]
    assert {*values} & {"Bern", "a text"}
    assert len(ask(request)["predictions"]) == 1


TEXTS = """
import re
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
def words(text):
    return re.findall(r"[a-z]+", text.lower())
spam = make_pipeline(TfidfVectorizer(tokenizer=words, token_pattern=None), LogisticRegression())
spam.fit(["buy now", "meet me", "buy this", "see me"], ["spam", "ham", "spam", "ham"])
"""


@pytest.mark.parametrize(
    "request_",
    ["buy", ["buy"], {"text": "buy"}, [{"text": "buy"}], [["buy"]], {"text": {"0": "buy"}}],
    ids=str,
)
def test_texts_are_taken_in_every_form(session: Session, serve: Serve, request_: object):
    pytest.importorskip("sklearn")
    session.run(TEXTS)
    assert serve("spam")(request_)["predictions"] == ["spam"]


def test_several_texts_keep_their_order(session: Session, serve: Serve):
    pytest.importorskip("sklearn")
    session.run(TEXTS)
    ask = serve("spam")
    assert ask(["buy", "me"])["predictions"] == ["spam", "ham"]
    assert ask({"text": ["buy", "me"]})["predictions"] == ["spam", "ham"]
    with pytest.raises(Exception, match="takes texts") as raised:
        ask([3])
    assert raised.value.status_code == 400  # type: ignore[attr-defined]


ROWS = """
from sklearn.tree import DecisionTreeClassifier
forest = DecisionTreeClassifier().fit([[5.1, 3.5], [6.0, 2.0]], [0, 1])
"""


def test_rows_without_names(session: Session, serve: Serve):
    pytest.importorskip("sklearn")
    session.run(ROWS)
    ask = serve("forest")
    for request in ([6.0, 2.0], [[6.0, 2.0]], {"data": [[6.0, 2.0]]}, {"pixels": [6.0, 2.0]}):
        assert ask(request)["predictions"] == [1]
    assert ask([[6.0, 2.0], [5.1, 3.5]])["predictions"] == [1, 0]
    for wrong in ([1.0], [["a", "b"]], {"a": 6.0, "b": 2.0}, [[1.0, 2.0, 3.0]]):
        with pytest.raises(Exception, match="the model takes") as raised:
            ask(wrong)
        assert raised.value.status_code == 400  # type: ignore[attr-defined]


def test_columns_with_numbers_for_names_are_text_in_a_request(session: Session, serve: Serve):
    pytest.importorskip("sklearn")
    pandas = pytest.importorskip("pandas")
    session.run(ROWS)
    ask: Any = serve("forest", pandas.DataFrame([[6.0, 2.0], [5.1, 3.5]]))
    assert ask.module.example_request()[0] == {"0": 6.0, "1": 2.0}
    assert ask(ask.module.example_request())["predictions"] == [1, 0]
    session.run("""
        import pandas
        frame = pandas.DataFrame([[6.0, 2.0], [5.1, 3.5]])
        named = DecisionTreeClassifier().fit(frame, [1, 0])
    """)
    ask = serve("named", session.namespace["frame"])
    assert ask(ask.module.example_request())["predictions"] == [1, 0]


def test_transformers_regressors_and_several_outputs(session: Session, serve: Serve):
    pytest.importorskip("sklearn")
    session.run("""
        from sklearn.linear_model import LinearRegression
        from sklearn.preprocessing import StandardScaler
        from sklearn.tree import DecisionTreeClassifier
        scaler = StandardScaler().fit([[0.0], [2.0]])
        line = LinearRegression().fit([[0.0], [2.0]], [0.0, 4.0])
        both = DecisionTreeClassifier().fit([[0.0], [2.0]], [[0, 1], [1, 0]])
    """)
    assert serve("scaler")([2.0]) == {"values": [[1.0]]}
    assert serve("line")([1.0])["predictions"] == pytest.approx([2.0])
    assert serve("both")([2.0]) == {"predictions": [[1, 0]]}


SCORE = """
LIMIT = 2
def score(points, bonus=0):
    return {"passed": points + bonus > LIMIT}
"""


def test_a_function_is_sliced_and_called_by_its_parameters(session: Session, serve: Serve):
    session.run("""
        LIMIT = 2
        def score(points): return points["a"] > LIMIT
        def area(width, height): return width * height
        def now(): return "now"
        twice = lambda x: 2 * x
        async def later(x): return x
        def pieces(x): yield from x
    """)
    assert serve("score")({"a": 3}) is True
    assert serve("area")({"width": 2, "height": 3}) == serve("area")([2, 3]) == 6
    assert serve("now")({}) == "now"
    assert serve("twice")(4) == 8
    assert "async def predict" in source_of(session, "later")
    ask: Any = serve("pieces")
    assert list(ask.module.predict(ask.module.load(), "ab")) == ["a", "b"]
    assert "pickle" not in source_of(session, "score")


def test_a_function_of_a_package_is_imported(session: Session, serve: Serve):
    session.namespace["shown"] = json.dumps
    assert serve("shown")([1]) == "[1]"


def test_objects_that_are_called_or_predict_are_pickled_with_their_class(
    session: Session, serve: Serve
):
    session.run("""
        from functools import partial
        class Adder:
            def __init__(self, k): self.k = k
            def __call__(self, x): return x + self.k
            def minus(self, x): return x - self.k
        class Own:
            def predict(self, request): return request["a"]
        def area(width, height): return width * height
        add = Adder(3)
        minus = add.minus
        own = Own()
        double = partial(area, 2)
    """)
    assert serve("add")(4) == 7
    assert serve("minus")(4) == 1
    assert serve("own")({"a": 5}) == 5
    assert serve("double")(4) == 8


def test_the_predict_that_is_captured_goes_with_a_generated_load(session: Session, serve: Serve):
    pytest.importorskip("sklearn")
    session.run(ROWS)
    session.predict("def predict(model, request):\n    return int(model.predict([request])[0])\n")
    assert serve("forest")([6.0, 2.0]) == 1


def test_the_cells_to_edit_do_what_the_generated_module_does(table: Session, serve: Serve):
    example = table.namespace["X"].head(2)  # type: ignore[attr-defined]
    ask: Any = serve("classifier", example)
    live = LiveModel(table.namespace["classifier"], "classifier", example)
    load, predict, deploy = table.notebook.generated_cells("digits", live)
    assert deploy == (
        "%%sageturner deploy\nname: digits\nartefact: {classifier.joblib: classifier}"
    )
    table.load(load.removeprefix("%%sageturner_load digits\n"), "digits")
    table.predict(predict.removeprefix("%%sageturner_predict digits\n"), "digits")
    captured = table.notebook.module("digits", Shipped({"classifier": "classifier.joblib"}))
    generated = ask.module.SOURCE
    assert captured.source.partition("\n\n")[2] == generated.partition("\n\n")[2]


def test_the_cells_of_an_expression_save_its_value(session: Session):
    session.run("class Own:\n    def predict(self, request): return 1\nall = {'a': Own()}")
    model = LiveModel(session.namespace["all"]["a"], "all_a", expression="all['a']")  # type: ignore[index]
    load, _, deploy = session.notebook.generated_cells("digits", model)
    assert load.endswith("all_a_saved = all['a']")
    assert deploy.endswith("artefact: {all_a.pkl: all_a_saved}")


def test_names_of_the_notebook_keep_their_meaning(table: Session, serve: Serve):
    table.run("""
        COLUMNS = 3
        def table_of(frame):
            return frame * COLUMNS
        pipe = Pipeline([("f", FunctionTransformer(table_of)), ("m", LogisticRegression())])
        pipe.fit(X[["age"]], [0, 0, 1, 1])
    """)
    ask = serve("pipe", table.namespace["X"].head(1)[["age"]])  # type: ignore[attr-defined]
    assert ask({"age": 50})["predictions"] == [1]


def test_with_an_artefact_in_s3_the_model_lies_beside_the_code(session: Session, tmp_path: Path):
    session.run("class Own:\n    def predict(self, request): return request\nown = Own()")
    live = LiveModel(session.namespace["own"], "own")
    module, _ = session.notebook.module_and_notes("digits", Shipped(is_beside_code=True), live)
    assert 'open("objects/own.pkl", "rb")' in module.source
    assert with_objects(module, tmp_path).files[-1].path == "objects/own.pkl"


REFUSED = [
    ("class Model: pass", "Model", "`Model` is a class"),
    ("model = object()", "model", "There is no rule for serving `model` (object)"),
    ("import json", "json", "There is no rule for serving `json` (module)"),
    ("def predict(x): return x", "predict", "has the name of one that the model server calls"),
    (
        "from sklearn.tree import DecisionTreeClassifier\nm = DecisionTreeClassifier()",
        "m",
        "`m` (DecisionTreeClassifier) is not trained yet",
    ),
    (
        "from sklearn.cluster import DBSCAN\nm = DBSCAN().fit([[1.0], [2.0]])",
        "m",
        "`m` (DBSCAN) cannot predict for new data",
    ),
]


@pytest.mark.parametrize(("cell", "name", "message"), REFUSED, ids=[each for _, _, each in REFUSED])
def test_what_cannot_be_served_is_refused(session: Session, cell: str, name: str, message: str):
    if "sklearn" in cell:
        pytest.importorskip("sklearn")
    session.run(cell)
    with pytest.raises(CaptureError) as raised:
        source_of(session, name)
    assert message in str(raised.value)


def test_a_captured_load_beside_a_model_names_both_cells(session: Session):
    session.run("def score(x): return x")
    session.load(name="digits")
    with pytest.raises(CaptureError, match=r"In\[9\], In\[2\]"):
        source_of(session, "score")


def test_an_unnamed_pair_that_serves_elsewhere_is_not_in_the_way(session: Session, serve: Serve):
    session.run("def score(x): return x")
    session.pair()
    with pytest.raises(CaptureError, match="two models"):
        source_of(session, "score")
    session.notebook.captures.deployed("echo", "echo")
    assert serve("score")(3) == 3


def test_the_last_model_of_a_name_is_remembered_and_read_again(session: Session):
    session.run("def score(x): return 1")
    first = LiveModel(session.namespace["score"], "score")
    assert session.notebook.model_for("digits", first) is first
    session.run("def score(x): return 2")
    again = session.notebook.model_for("digits")
    assert again and again.value is session.namespace["score"]
    assert session.notebook.model_for("other") is None
    session.load(name="digits")
    assert session.notebook.model_for("digits") is None


def test_an_example_that_json_cannot_hold_is_refused(session: Session):
    session.run("def score(x): return x")
    with pytest.raises(CaptureError, match=r"`--example` \(object\)"):
        source_of(session, "score", object())


def test_without_an_example_the_request_to_copy_is_one_that_the_model_answers(
    session: Session, serve: Serve
):
    pytest.importorskip("sklearn")
    session.run(TABLE)
    session.run(TEXTS)
    session.run(ROWS)
    session.run("""
        from sklearn.linear_model import LinearRegression
        numbers = LinearRegression().fit(X[["age"]].assign(income=1.0), [1, 2, 3, 4])
    """)
    for variable, expected in [
        ("forest", [0.0, 0.0]),
        ("spam", "a text"),
        ("numbers", {"age": 0.0, "income": 0.0}),
    ]:
        ask: Any = serve(variable)
        assert ask.module.example_request() == expected
        assert len(ask(expected)["predictions"]) == 1
    # Its encoder knows two cities, and 0.0 is neither.
    ask = serve("classifier")
    assert ask.module.example_request() == {"age": 0.0, "city": "Bern"}


def test_a_long_example_becomes_a_shorter_request_of_the_same_form(session: Session):
    session.run("def score(x): return x")
    wide = {f"column {number}": number / 7 for number in range(400)}
    pixels = [[number / 7] * 30 for number in range(60)]
    for example, expected in [
        ([wide, wide], [wide]),
        ({"pixels": pixels, "name": "a"}, {"pixels": [[0.0] * 30] * 60, "name": "a"}),
    ]:
        made: dict[str, Any] = {}
        exec(source_of(session, "score", example), made)
        assert made["example_request"]() == expected
    # A part of a picture is no picture.
    picture = {"image": "QUJD" * 2000}
    assert "example_request" not in source_of(session, "score", picture)
