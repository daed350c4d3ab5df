"""The package imports, and its extension was built."""

import oxillama
from oxillama.core import _core


def test_the_extension_is_built() -> None:
    assert oxillama.__version__
    assert _core.__file__.endswith(".so")
