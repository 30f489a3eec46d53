"""Each kind of object is written by its own library, the same object to the same bytes."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from sageturner_magic.capture.artefact.writers import WRITERS, write_object
from sageturner_magic.errors import ArtefactError
from sageturner_magic.packages.needed.pickles import modules_in


def twice(value: object, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write `value` on two days; the bytes must be the same."""
    paths = [folder / day / name for day in ("one", "two")]
    for path, now in zip(paths, (1_600_000_000, 1_700_000_000), strict=True):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        monkeypatch.setattr(time, "localtime", lambda *_, now=now: time.gmtime(now))
        write_object(value, "model", path)
    monkeypatch.undo()
    assert paths[0].read_bytes() == paths[1].read_bytes()
    return paths[0]


def test_arrays_have_the_same_bytes_every_day(tmp_path, monkeypatch):
    path = twice({"a": np.arange(3)}, "m.npz", tmp_path, monkeypatch)
    with np.load(path) as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]


def test_strings_and_bytes(tmp_path):
    write_object("grüße", "model", tmp_path / "a.txt")
    write_object(b"\0\1", "model", tmp_path / "a.bin")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "grüße"
    assert (tmp_path / "a.bin").read_bytes() == b"\0\1"


def _classifier():
    linear = pytest.importorskip("sklearn.linear_model")
    return linear.LogisticRegression().fit([[0.0], [1.0]], [0, 1])


def test_scikit_learn_as_joblib_and_as_skops(tmp_path, monkeypatch):
    import joblib

    model = _classifier()
    path = twice(model, "m.joblib", tmp_path, monkeypatch)
    assert joblib.load(path).predict([[1.0]]) == [1]
    skops = pytest.importorskip("skops.io")
    path = twice(model, "m.skops", tmp_path, monkeypatch)
    assert skops.load(path).predict([[1.0]]) == [1]
    assert "sklearn.linear_model._logistic" in modules_in(path)


def test_a_forest_as_skops_is_the_same_forest_and_the_same_bytes(tmp_path, monkeypatch):
    skops = pytest.importorskip("skops.io")
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.random.default_rng(0).normal(size=(60, 4))
    labels = (features[:, 0] > 0).astype(int)
    forest = RandomForestClassifier(5, random_state=np.random.RandomState(0))
    model = make_pipeline(StandardScaler(), forest).fit(features, labels)
    path = twice(model, "m.skops", tmp_path, monkeypatch)
    again = skops.load(path, trusted=skops.get_untrusted_types(file=path))
    assert (again.predict_proba(features) == model.predict_proba(features)).all()


def test_xgboost_in_its_own_formats(tmp_path, monkeypatch):
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=1).fit(np.array([[0.0], [1.0]]), [0, 1])
    for name in ("m.json", "m.ubj"):
        path = twice(model, name, tmp_path, monkeypatch)
        again = xgboost.XGBClassifier()
        again.load_model(path)
        assert again.predict([[1.0]]).shape == (1,)


def test_lightgbm_as_text(tmp_path):
    lightgbm = pytest.importorskip("lightgbm")
    features = np.arange(60.0).reshape(-1, 1)
    model = lightgbm.LGBMRegressor(n_estimators=1, verbose=-1).fit(features, features[:, 0])
    write_object(model, "model", tmp_path / "m.txt")
    assert lightgbm.Booster(model_file=str(tmp_path / "m.txt")).predict(features).shape == (60,)


def test_tensors_as_safetensors(tmp_path, monkeypatch):
    library = pytest.importorskip("safetensors.numpy")
    path = twice({"a": np.arange(3)}, "m.safetensors", tmp_path, monkeypatch)
    assert library.load_file(path)["a"].tolist() == [0, 1, 2]


def test_a_data_frame_as_parquet(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    import pandas

    path = twice(pandas.DataFrame({"a": [1, 2]}), "m.parquet", tmp_path, monkeypatch)
    assert pandas.read_parquet(path)["a"].tolist() == [1, 2]


def test_an_onnx_model(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    kinds = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "g", kinds[:1], kinds[1:])
    path = twice(onnx.helper.make_model(graph), "m.onnx", tmp_path, monkeypatch)
    onnx.checker.check_model(onnx.load(path))


def test_torch_weights_and_whole_modules(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 1)
    weights = twice(layer.state_dict(), "w.pt", tmp_path / "weights", monkeypatch)
    whole = twice(layer, "m.pt", tmp_path / "whole", monkeypatch)
    assert torch.load(weights)["bias"].shape == (1,)
    assert torch.load(whole, weights_only=False).bias.shape == (1,)
    assert any(name.startswith("torch.nn") for name in modules_in(whole))
    write_object(layer, "layer", tmp_path / "m.safetensors")
    load_file = pytest.importorskip("safetensors.torch").load_file
    assert torch.equal(load_file(tmp_path / "m.safetensors")["weight"], layer.weight)


def test_catboost_in_its_own_formats(tmp_path):
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostRegressor(iterations=2, verbose=False, allow_writing_files=False)
    features = np.arange(20.0).reshape(-1, 1)
    model.fit(features, features[:, 0])
    for name, form in (("m.cbm", "cbm"), ("m.json", "json")):
        write_object(model, "model", tmp_path / name)
        again = catboost.CatBoostRegressor().load_model(str(tmp_path / name), format=form)
        assert np.allclose(again.predict(features), model.predict(features))


def test_a_keras_model(tmp_path, monkeypatch):
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    path = twice(model, "m.keras", tmp_path, monkeypatch)
    again = keras.saving.load_model(path)
    assert np.allclose(again.predict(np.ones((1, 2))), model.predict(np.ones((1, 2))))
    write_object(model, "model", tmp_path / "m.h5")
    assert keras.saving.load_model(tmp_path / "m.h5").count_params() == 3


def test_a_hugging_face_model_becomes_a_folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    config = transformers.BertConfig(
        vocab_size=8,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
    )
    model = transformers.BertModel(config).eval()
    write_object(model, "model", tmp_path / "model")
    again = transformers.AutoModel.from_pretrained(tmp_path / "model").eval()
    words = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        assert torch.equal(again(words).pooler_output, model(words).pooler_output)


class Pipeline:
    """Saves itself as a folder, as those of Hugging Face and spaCy do."""

    def save_pretrained(self, folder: str) -> None:
        (Path(folder) / "config.json").write_text("{}")


def test_what_saves_itself_becomes_a_folder(tmp_path):
    write_object(Pipeline(), "pipeline", tmp_path / "model")
    assert json.loads((tmp_path / "model/config.json").read_text()) == {}


def test_a_spacy_pipeline_becomes_a_folder(tmp_path):
    spacy = pytest.importorskip("spacy")
    write_object(spacy.blank("en"), "nlp", tmp_path / "model")
    assert spacy.load(tmp_path / "model")("a b")[0].text == "a"


@pytest.mark.parametrize("extension", ["", *sorted(WRITERS)])
def test_an_object_of_another_kind_is_refused_by_name_and_leaves_nothing(tmp_path, extension):
    class Odd:
        def __reduce__(self):
            raise TypeError("cannot pickle 'Odd' object")

        @property
        def save(self):
            raise AttributeError("save")

    with pytest.raises(ArtefactError) as raised:
        write_object(Odd(), "odd", tmp_path / f"m{extension}")
    assert "odd" in str(raised.value)
    assert raised.value.findings[0].do
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "name", "said"),
    [
        ({1: "a"}, "a.json", "the key 1 is int, and would be read as text"),
        ({"x": [{"y": (1, 2)}]}, "a.json", "at `['x'][0]['y']` is a tuple"),
        ((1, 2), "a.json", "is a tuple, and would be read as a list"),
        ({3: np.zeros(1)}, "a.npz", "the key 3 is int"),
        ("one\r\ntwo", "a.txt", "line ends"),
    ],
)
def test_what_would_be_read_otherwise_is_refused_with_a_format_that_keeps_it(
    tmp_path, value, name, said
):
    with pytest.raises(ArtefactError) as raised:
        write_object(value, "labels", tmp_path / name)
    assert said in str(raised.value) and "save it as `a.joblib`" in str(raised.value)


def test_plain_data_that_json_keeps_is_written(tmp_path):
    value = {"a": [1, 2.5, None, True, float("nan")], "b": {"c": "d"}}
    write_object(value, "labels", tmp_path / "a.json")
    assert list(json.loads((tmp_path / "a.json").read_text())) == ["a", "b"]
