import base64
import io
import json
import os

import numpy
import onnxruntime
from PIL import Image


def load():
    # On SageMaker the artefact lies in /opt/ml/model; SM_MODEL_DIR says where it is elsewhere.
    folder = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # so small a model is faster without sharing its work out
    session = onnxruntime.InferenceSession(os.path.join(folder, "classifier.onnx"), options)
    with open("labels.json") as file:  # beside this file
        return session, json.load(file)


def predict(model, request):
    session, labels = model
    image = Image.open(io.BytesIO(base64.b64decode(request["image"]))).convert("L").resize((8, 8))
    pixels = numpy.asarray(image, dtype=numpy.float32)[None, None] / 255
    (scores,) = session.run(None, {"pixels": pixels})
    best = int(scores[0].argmax())
    return {"label": labels[best], "score": float(numpy.exp(scores[0, best]))}


if __name__ == "__main__":
    with open("example.png", "rb") as file:
        print(predict(load(), {"image": base64.b64encode(file.read()).decode()}))
