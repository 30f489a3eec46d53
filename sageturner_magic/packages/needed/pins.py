"""Pin an installed distribution: by version, index, commit or project folder."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
from collections.abc import Mapping, Sequence

from sageturner_magic.errors import CaptureError
from sageturner_magic.packages.needed.distributions import by_conda, direct_url, local_path

# Where PyTorch publishes the builds that the default index does not have:
# https://pytorch.org/get-started.
_TORCH_INDEX = "https://download.pytorch.org/whl/"
_TORCH_FAMILY = frozenset({"torch", "torchvision", "torchaudio", "torchtext", "torchao"})
_TORCH_BUILD = re.compile(r"cpu|cu\d{2,3}|rocm[\d.]+|xpu")


def pin(name: str, extras: Sequence[str] = ()) -> str:
    """The piece of a pip command line that installs what this environment has of `name`.

    A project that is installed for editing is named by its folder, of which a wheel is built.

    Raises:
        CaptureError: No installer can get it.
    """
    distribution = importlib.metadata.distribution(name)
    version = distribution.version
    direct = direct_url(distribution)
    wanted = f"{name}[{','.join(extras)}]" if extras else name
    # What conda installs names the folder on the machine that built it.
    if direct and not by_conda(distribution):
        return _from_direct_url(name, wanted, direct)
    _, _, build = version.partition("+")
    if not build:
        return f"{wanted}=={version}"
    if name.lower() in _TORCH_FAMILY and _TORCH_BUILD.fullmatch(build):
        return f"--extra-index-url {_TORCH_INDEX}{build} {wanted}=={version}"
    raise CaptureError(
        f"`{name}` {version} is a build that no public index has",
        do="list it under `python_packages` with its index:"
        f" `--extra-index-url … {name}=={version}`",
        code="ST62",
    )


def _from_direct_url(name: str, wanted: str, direct: Mapping[str, object]) -> str:
    """What was installed instead of a release; `direct` is as PEP 610 has it."""
    url = str(direct.get("url", ""))
    inside = f"#subdirectory={direct['subdirectory']}" if "subdirectory" in direct else ""
    vcs = direct.get("vcs_info")
    if isinstance(vcs, dict):
        return f"{wanted} @ {vcs['vcs']}+{url}@{vcs['commit_id']}{inside}"
    path = local_path(url)
    if path is None:
        return f"{wanted} @ {url}"
    if not path.exists():
        raise CaptureError(
            f"`{name}` was installed from {path}, which is not there any more",
            do="install it again, or list it under `python_packages`",
            code="ST62",
        )
    return shlex.quote(str(path))
