# cython: language_level=3, boundscheck=False, wraparound=False
"""The one extension. Each area of the C API is one .pxi; this file only gathers them."""

include "errors.pxi"
include "gguf.pxi"
include "quant.pxi"
include "kernels.pxi"
include "model.pxi"
include "sample.pxi"
include "text.pxi"
