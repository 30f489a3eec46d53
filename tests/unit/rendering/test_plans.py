"""How a plan reads."""

from sageturner_magic.image.layers.maker import PlannedLayer
from sageturner_magic.rendering import plans


def test_layers_are_shown_with_their_size_and_whether_they_are_new():
    layers = (
        PlannedLayer("base image 0123456789ab", 29_000_000, "sha256:a", "registry"),
        PlannedLayer("numpy 2.4.6", 16_900_000),
        PlannedLayer(", ".join(f"package-{n}" for n in range(20)), 0),
        PlannedLayer("the program", 1_700, "sha256:b", "cache"),
    )
    assert plans.layers_summary(layers) == (
        "4, 45.9 MB compressed: 1 in the registry, 1 in this machine's cache, 2 to be made"
    )
    base, numpy, many, program = map(plans.layer_line, layers)
    assert base == "base image 0123456789ab: 29.0 MB, in the registry"
    assert numpy == "numpy 2.4.6: about 16.9 MB, to be made"
    assert many.endswith("…: size not known, to be made") and len(many) < 100
    assert program == "the program: 1.7 kB, in this machine's cache"
