"""Build the image of an endpoint from code and packages.

`spec` says what an image is, `builders` chooses between `docker` and `layers`, and `registry`
reads base images. The plans use it. It knows no cells and no endpoints.
"""

# mypy: implicit-reexport
from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .builders import Builder, ChosenBuilder, choose
    from .context import image_tag
    from .dockerfile import render_dockerfile
    from .spec import (
        LOCAL_REPOSITORY,
        BuildSpec,
        BuiltImage,
        Destination,
        ProvidedSpec,
        Spec,
        SystemCuda,
    )
else:
    __getattr__, __dir__ = face(__name__)
