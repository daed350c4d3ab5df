# cython: language_level=3, boundscheck=False, wraparound=False
"""The one extension. Each area of the C API is one .pxi; this file only gathers them.

Classes that hold others of this module are @cython.no_gc: they are part of no cycle, and the cyclic collector would
otherwise take what they hold from them before their __dealloc__ reads it.
"""

cimport cython

include "errors.pxi"
include "gguf.pxi"
include "quant.pxi"
include "kernels.pxi"
include "program.pxi"
include "runner.pxi"
include "sample.pxi"
include "text.pxi"
