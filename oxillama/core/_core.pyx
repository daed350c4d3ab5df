# cython: language_level=3, boundscheck=False, wraparound=False
"""The only extension module. Each area of the C API is one .pxi; this file only includes them.

Classes that hold other classes of this module are @cython.no_gc. They are part of no cycle, and the cyclic collector
would otherwise clear their references before __dealloc__ reads them.
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
