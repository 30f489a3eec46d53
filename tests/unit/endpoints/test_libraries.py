"""A missing system library is named with the Debian package that has it."""

import pytest

from sageturner_magic.endpoints.container.libraries import remedy

ERROR = "ImportError: {}: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("library", "named"),
    [
        ("libGL.so.1", "system_packages: [libgl1, libglib2.0-0]"),
        ("libgomp.so.1", "system_packages: [libgomp1]"),
        ("libnobody-knows.so", "the Debian package that has libnobody-knows.so"),
        ("libodbc.so.2", "system_packages: [libodbc2]"),
    ],
)
def test_the_remedy_names_the_package(library, named):
    assert named in remedy(f"load() failed: {ERROR.format(library)}")


def test_other_failures_have_no_such_remedy():
    assert remedy("load() failed: ImportError: cannot import name 'x'") == ""
