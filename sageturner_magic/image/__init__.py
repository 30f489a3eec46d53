"""Build the image of an endpoint from code and packages.

`spec` says what an image is, `builders` chooses between `docker` and `layers`, and `registry`
reads base images. The plans use it. It knows no cells and no endpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sageturner_magic.faces import face

if TYPE_CHECKING:
    from .builders import Builder as Builder
    from .builders import ChosenBuilder as ChosenBuilder
    from .builders import choose as choose
    from .context import image_tag as image_tag
    from .dockerfile import render_dockerfile as render_dockerfile
    from .spec import BuildSpec as BuildSpec
    from .spec import BuiltImage as BuiltImage
    from .spec import Destination as Destination
    from .spec import ProvidedSpec as ProvidedSpec
    from .spec import Spec as Spec
    from .spec import SystemCuda as SystemCuda
else:
    __getattr__, __dir__ = face(__name__)
