"""`--model` for the large libraries: what is generated reads their files and answers as they do.

`tests/integration/capture/test_libraries.py` runs these where all the libraries are installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sageturner_magic.errors import CaptureError

from .generated_module import Serve
from .helpers import Session

FRAME = """
import numpy
import pandas
numbers = numpy.random.default_rng(0)
X = pandas.DataFrame({"a": numbers.normal(size=60), "b": numbers.normal(size=60)})
y = (X["a"] > X["b"]).astype(int)
"""


def frame(session: Session, cell: str) -> Any:
    session.run(FRAME)
    session.run(cell)
    return session.namespace["X"]


def record(X: Any, row: int) -> dict[str, float]:
    return {name: float(value) for name, value in X.iloc[row].items()}


def test_lightgbm(session: Session, serve: Serve):
    pytest.importorskip("lightgbm")
    pytest.importorskip("sklearn")
    X = frame(
        session,
        """
        import lightgbm
        labels = y.map({0: "no", 1: "yes"})
        model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(X, labels)
        booster = model.booster_
        plain = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(X.to_numpy(), y)
        """,
    )
    model: Any = session.namespace["model"]
    got = serve("model", X.head(2))([record(X, 0), record(X, 1)])
    assert got["predictions"] == model.predict(X[:2]).tolist()
    assert got["classes"] == ["no", "yes"]
    assert got["probabilities"] == pytest.approx(model.predict_proba(X[:2]))
    booster: Any = session.namespace["booster"]
    assert serve("booster")(record(X, 0))["predictions"] == pytest.approx(booster.predict(X[:1]))
    plain: Any = session.namespace["plain"]
    rows = X.to_numpy()[:2]
    assert serve("plain")(rows.tolist())["predictions"] == pytest.approx(plain.predict(rows))


def test_xgboost(session: Session, serve: Serve):
    pytest.importorskip("xgboost")
    pytest.importorskip("sklearn")
    X = frame(
        session,
        """
        import xgboost
        model = xgboost.XGBClassifier(n_estimators=3, missing=-1.0).fit(X, y)
        booster = model.get_booster()
        plain = xgboost.XGBRegressor(n_estimators=3).fit(X.to_numpy(), y)
        X["size"] = pandas.Categorical(["S", "M", "L"] * 20)
        typed = xgboost.XGBRegressor(n_estimators=3, enable_categorical=True).fit(X, y)
        untrained = xgboost.XGBClassifier()
        """,
    )
    two = X[["a", "b"]]
    model: Any = session.namespace["model"]
    ask: Any = serve("model")
    got = ask([record(two, 0), record(two, 1)])
    assert got["predictions"] == model.predict(two[:2]).tolist()
    assert got["probabilities"] == pytest.approx(model.predict_proba(two[:2]), rel=1e-5)
    assert ask({"a": -1.0, "b": 2.0})["probabilities"] == pytest.approx(
        model.predict_proba(two[:1].assign(a=-1.0, b=2.0)), rel=1e-5
    )
    typed: Any = session.namespace["typed"]
    ask = serve("typed", X.head(2))
    assert ask(ask.module.example_request())["predictions"] == pytest.approx(typed.predict(X[:2]))
    booster: Any = session.namespace["booster"]
    xgboost: Any = session.namespace["xgboost"]
    expected = booster.predict(xgboost.DMatrix(two[:1]))
    assert serve("booster")(record(two, 0))["predictions"] == pytest.approx(expected)
    plain: Any = session.namespace["plain"]
    rows = two.to_numpy()[:2]
    assert serve("plain")(rows.tolist())["predictions"] == pytest.approx(plain.predict(rows))
    with pytest.raises(CaptureError, match="is not trained yet"):
        serve("untrained")


def test_catboost(session: Session, serve: Serve):
    pytest.importorskip("catboost")
    X = frame(
        session,
        """
        import catboost
        X["city"] = ["Ulm", "Bern", "Rom"] * 20
        options = dict(iterations=3, verbose=False, allow_writing_files=False)
        model = catboost.CatBoostClassifier(**options, cat_features=["city"]).fit(X, X["city"])
        plain = catboost.CatBoostRegressor(**options).fit(X[["a", "b"]].to_numpy(), y)
        untrained = catboost.CatBoostRegressor()
        """,
    )
    model: Any = session.namespace["model"]
    ask: Any = serve("model", X.head(2))
    got = ask(ask.module.example_request())
    assert got["predictions"] == np.ravel(model.predict(X[:2])).tolist()
    assert got["classes"] == ["Bern", "Rom", "Ulm"]
    assert got["probabilities"] == pytest.approx(model.predict_proba(X[:2]))
    plain: Any = session.namespace["plain"]
    rows = X[["a", "b"]].to_numpy()[:2]
    assert serve("plain")(rows.tolist())["predictions"] == pytest.approx(plain.predict(rows))
    with pytest.raises(CaptureError, match="is not trained yet"):
        serve("untrained")


def test_keras(session: Session, serve: Serve):
    pytest.importorskip("keras")
    session.run("""
        import keras
        net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    """)
    net: Any = session.namespace["net"]
    ask = serve("net", np.ones((1, 2)))
    expected = np.asarray(net.predict_on_batch(np.ones((2, 2), "float32")))
    assert ask([[1, 1], [1, 1]])["predictions"] == pytest.approx(expected, rel=1e-4)
    assert ask([1, 1])["predictions"] == pytest.approx(expected[:1], rel=1e-4)
    with pytest.raises(Exception, match="items of shape"):
        ask([1, 2, 3])


def test_an_onnx_session_of_a_file(session: Session, serve: Serve, tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    made = onnx.helper
    tensors = [
        made.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 2]) for name in "xy"
    ]
    graph = made.make_graph([made.make_node("Neg", ["x"], ["y"])], "g", tensors[:1], tensors[1:])
    model = made.make_model(graph, opset_imports=[made.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "neg.onnx")
    session.run("import onnxruntime")
    session.namespace["path"] = str(tmp_path / "neg.onnx")
    session.run("net = onnxruntime.InferenceSession(path)")
    ask = serve("net")
    assert ask([1, 2]) == {"y": [[-1, -2]]}
    assert ask([[1, 2], [3, 4]]) == {"y": [[-1, -2], [-3, -4]]}
    session.namespace["data"] = (tmp_path / "neg.onnx").read_bytes()
    session.run("unknown = onnxruntime.InferenceSession(data)")
    with pytest.raises(CaptureError, match="The file of `unknown` is not known"):
        serve("unknown")


NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, width, scale=1.0):
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(nn.Linear(4, width), nn.Dropout(0.5), nn.Linear(width, 2))
    def forward(self, x):
        return self.layers(x) * self.scale
WIDTH = 8
net = Net(WIDTH).to("cpu")
net.train()
other = Net(WIDTH)
other.scale = 3.0
class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
    def forward(self, x):
        return self.layer(x) if x.sum().item() > 0 else self.layer(-x)
odd = Odd()
odd.extra = {"no": "assignment makes this"}
odd.scale = 2
X = torch.rand(3, 4)
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("net", "model = Net(WIDTH)"),
        ("other", "torch.export made of the notebook's module"),
        ("odd", "# A pickle:"),
    ],
)
def test_torch(session: Session, serve: Serve, name: str, says: str):
    torch = pytest.importorskip("torch")
    session.run(NET)
    net: Any = session.namespace[name]
    X: Any = session.namespace["X"]
    modes = [part.training for part in net.modules()]
    ask: Any = serve(name, X)
    assert says in ask.module.SOURCE
    assert [part.training for part in net.modules()] == modes
    net.eval()
    with torch.no_grad():
        expected = net(X).numpy()
    assert ask(X.tolist())["predictions"] == pytest.approx(expected, rel=1e-4)
    assert ask(X.tolist()[:1])["predictions"] == pytest.approx(expected[:1], rel=1e-4)
    assert ask(X.tolist()[0])["predictions"] == pytest.approx(expected[:1], rel=1e-4)
    assert ask(ask.module.example_request())["predictions"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(Exception, match="items of shape"):
        ask([1.0, 2.0])


def test_a_torch_module_whose_settings_were_bound_anew_is_not_constructed(
    session: Session, serve: Serve
):
    pytest.importorskip("torch")
    session.run(NET)
    session.run("WIDTH = 9")
    ask: Any = serve("net", session.namespace["X"])
    assert "Net(WIDTH)" not in ask.module.SOURCE


SEVERAL = """
import torch
from torch import nn
class Pair(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.words = nn.Embedding(9, width)
        self.rest = nn.Linear(3, width)
    def forward(self, ids, features):
        both = self.words(ids).mean(1) + self.rest(features)
        return {"both": both, "parts": (both.sum(1), both.argmax(1))}
pair = Pair(4)
odd = Pair(4)
odd.scale = 3
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
    def forward(self, x):
        return self.second(self.first(x))
tied = Tied()
ids, features = torch.tensor([[1, 2], [3, 4], [5, 6]]), torch.rand(3, 3)
"""


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize(("name", "says"), [("pair", "model = Pair(4)"), ("odd", "torch.export")])
def test_a_torch_module_with_several_inputs_and_outputs(
    session: Session, serve: Serve, name: str, says: str, by_name: bool
):
    torch = pytest.importorskip("torch")
    session.run(SEVERAL)
    held: Any = session.namespace
    example = {"ids": held["ids"], "features": held["features"]}
    ask: Any = serve(name, example if by_name else tuple(example.values()))
    assert says in ask.module.SOURCE
    with torch.no_grad():
        expected = held[name].eval()(**example)
    request = ask.module.example_request()
    assert [*request] == ["ids", "features"]
    got = ask(request)["predictions"]
    assert got["both"] == pytest.approx(expected["both"].numpy(), rel=1e-4)
    assert got["parts"][1] == expected["parts"][1].tolist()
    (one,) = ask({key: value[0] for key, value in request.items()})["predictions"]["both"]
    assert one == pytest.approx(expected["both"][0].numpy(), rel=1e-4)
    for wrong in ([1], {"ids": [1, 2]}, {**request, "ids": [1, 2, 3]}):
        with pytest.raises(Exception, match=r"takes|different"):
            ask(wrong)


def test_weights_of_torch_are_safetensors_unless_they_share_memory(session: Session, serve: Serve):
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    session.run(SEVERAL)
    example: Any = (session.namespace["ids"], session.namespace["features"])
    ask: Any = serve("pair", example)
    assert "pair.safetensors" in ask.module.SOURCE
    ask = serve("tied", example[1:])
    assert "tied.pt" in ask.module.SOURCE and "weights_only=True" in ask.module.SOURCE
    assert len(ask(example[1].tolist())["predictions"]) == 3


def test_a_torch_module_needs_an_example_that_it_can_answer(session: Session, serve: Serve):
    torch = pytest.importorskip("torch")
    session.run(NET)
    with pytest.raises(CaptureError, match="needs an example"):
        serve("net")
    with pytest.raises(CaptureError, match="cannot answer its example"):
        serve("net", torch.rand(3, 5))


def test_a_transformers_pipeline(
    session: Session, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\n")
    session.namespace["vocab"] = str(tmp_path / "vocab.txt")
    session.run("""
        import transformers
        settings = transformers.BertConfig(
            vocab_size=7, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=8,
        )
        bert = transformers.BertForSequenceClassification(settings).eval()
        words = transformers.BertTokenizer(vocab)
        pipe = transformers.pipeline("text-classification", model=bert, tokenizer=words)
    """)
    pipe: Any = session.namespace["pipe"]
    ask = serve("pipe", "good")
    (expected,) = pipe("good")
    (got,) = ask("good")
    assert got["label"] == expected["label"]
    assert got["score"] == pytest.approx(expected["score"], rel=1e-4)
    assert len(ask({"inputs": ["good", "bad"], "parameters": {"top_k": 1}})) == 2
    with pytest.raises(CaptureError, match="a model without its tokenizer"):
        serve("bert")


def test_a_sentence_transformer(session: Session, serve: Serve):
    pytest.importorskip("sentence_transformers")
    session.run("""
        from sentence_transformers import SentenceTransformer, models
        words = models.BoW(vocab=["good", "bad", "day"])
        encoder = SentenceTransformer(modules=[words], device="cpu")
    """)
    encoder: Any = session.namespace["encoder"]
    expected = encoder.encode(["good day", "bad"])
    ask = serve("encoder")
    assert ask(["good day", "bad"])["embeddings"] == pytest.approx(expected)
    assert ask("bad")["embeddings"] == pytest.approx(expected[1:])
