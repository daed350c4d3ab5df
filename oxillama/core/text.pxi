from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t

import numpy as np


cdef class SpmVocab:
    """The pieces of a SentencePiece BPE vocabulary with their scores. Threads may share one."""

    cdef oxi.oxi_spm *_ptr

    def __cinit__(self, list pieces, const float[::1] scores not None, uint64_t seed):
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        cdef list owned = list(pieces)  # a copy that no other thread changes meanwhile
        cdef size_t n = len(owned)
        cdef size_t i
        cdef uint64_t end = 0
        cdef bytes joined
        cdef const char *start
        cdef uint64_t[::1] ends
        if <size_t>scores.shape[0] != n:
            raise ValueError("one score for each piece")
        if n == 0:
            raise ValueError("no pieces")
        ends = np.empty(n, np.uint64)
        for i in range(n):
            if type(owned[i]) is not bytes:  # a subclass may report a length that is not its bytes'
                raise TypeError("a piece must be bytes")
            end += <uint64_t>PyBytes_GET_SIZE(owned[i])
            ends[i] = end
        joined = b"".join(owned)
        start = PyBytes_AS_STRING(joined)
        with nogil:
            status = oxi.oxi_spm_open(&self._ptr, start, &ends[0], &scores[0], n, seed, &err)
        check(status, &err)

    def __dealloc__(self):
        oxi.oxi_spm_close(&self._ptr)

    def encode(self, bytes text not None):
        """Tokens of a UTF-8 text as int32; where no token fits, -1 - b for each byte b. Releases the GIL."""
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        cdef size_t n = PyBytes_GET_SIZE(text)
        cdef size_t count = 0
        cdef const char *start = PyBytes_AS_STRING(text)
        out = np.empty(n if n else 1, np.int32)
        cdef int32_t[::1] view = out
        with nogil:
            status = oxi.oxi_spm_encode(self._ptr, start, n, &view[0], &count, &err)
        check(status, &err)
        return out[:count]
