import os
import time

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset


cdef extern from "kernels/kernels.h" nogil:
    ctypedef enum oxi_act:
        pass

    ctypedef struct oxi_reading:
        const char *name

    const oxi_reading *oxi_readings
    const oxi_reading *oxi_kernels_reading(bint several)

    ctypedef struct oxi_matrix:
        const oxi_reading *reading[2]
        int pack
        int act
        int64_t n_rows
        int64_t n_cols
        int64_t n_panels
        size_t panel_bytes
        const uint8_t *data

    ctypedef void (*oxi_quantize_fn)(const float *x, int64_t ldx, int64_t t0, int64_t t1, int64_t n_tokens, int64_t n_cols,
                                    void *act)

    ctypedef struct oxi_codebook_decoder:
        pass

    const oxi_codebook_decoder oxi_codebook_decoder_plain

    ctypedef struct oxi_probe_way:
        int runs
        int cache
        int ahead

    ctypedef struct oxi_kernels:
        const char *name
        oxi_quantize_fn *quantize
        const oxi_codebook_decoder *decoder
        double (*probe_dot)(int64_t rounds, float *sink)

    oxi.oxi_status oxi_pack_plan(oxi_matrix *m, uint32_t type, const oxi_codebook_decoder *decoder, int64_t n_rows,
                                 int64_t n_cols, oxi.oxi_error *err)
    size_t oxi_pack_bytes(const oxi_matrix *m)
    void oxi_pack_panels(const oxi_matrix *m, uint32_t type, const void *src, int64_t p0, int64_t p1, uint8_t *dst)
    size_t oxi_act_bytes(oxi_act act, int64_t n_tokens, int64_t n_cols)
    const oxi_kernels *oxi_kernels_get()
    const oxi_kernels *oxi_kernels_find(const char *name)
    enum:
        OXI_MATMUL_SCRATCH


cdef extern from "kernels/gemm/parallel.h" nogil:
    void oxi_parallel_matmul(const oxi_kernels *kernels, oxi.oxi_pool *pool, const oxi_matrix *m, const void *act,
                           int64_t n_tokens, float *out, int64_t ldo, void *scratch)
    double oxi_parallel_probe_dot(const oxi_kernels *kernels, oxi.oxi_pool *pool, int64_t rounds)
    void oxi_parallel_probe_read(const oxi_kernels *kernels, oxi.oxi_pool *pool, const uint8_t *p, size_t bytes,
                                 oxi_probe_way way)


cdef extern from "platform/memory.h" nogil:
    void *oxi_alloc(size_t bytes)
    void oxi_free(void *memory)


cdef bint _kernels_chosen = False


cdef int ensure_kernels() except -1:
    """Choose the kernels on first use, so that a wrong OXILLAMA_ISA fails the command, not the import."""
    global _kernels_chosen
    cdef oxi.oxi_error err
    if _kernels_chosen:
        return 0
    cdef bytes forced = os.environ.get("OXILLAMA_ISA", "").encode("utf-8", "replace")
    check(oxi.oxi_kernels_init(forced, &err), &err)
    _kernels_chosen = True
    return 0


def isa():
    """Name of the isa in use: the instruction set's variant that the kernels are made for."""
    ensure_kernels()
    return oxi.oxi_kernels_name().decode()


def available_isas():
    """Names of the isas this CPU can execute, slowest first."""
    cdef const char *const *names = oxi.oxi_kernels_available()
    cdef list found = []
    while names[len(found)] != NULL:
        found.append(names[len(found)].decode())
    return found


def readings():
    """The ways in which packed weights can be read for few tokens (csrc/kernels/pack/reading.h)."""
    cdef list found = []
    while oxi.oxi_reading_name(<int>len(found)) != NULL:
        found.append(oxi.oxi_reading_name(<int>len(found)).decode())
    return found


def default_reading(bint several=False):
    """The way that suits processors of this family, for one or two tokens or for `several`."""
    return oxi_kernels_reading(several).name.decode()


cdef int reading_index(str reading) except -1:
    known = readings()
    if reading not in known:
        raise InvalidParameterError(f"no way of reading weights is called {reading!r}: {', '.join(known)}")
    return known.index(reading)


cdef const oxi_kernels *_kernels_of(isa) except NULL:
    """The kernels of that isa; None: those in use."""
    cdef const oxi_kernels *kernels
    if isa is None:
        ensure_kernels()
        return oxi_kernels_get()
    cdef bytes name = isa.encode()
    kernels = oxi_kernels_find(name)
    if kernels == NULL:
        raise InvalidParameterError(f"isa {isa!r} is not available here: {', '.join(available_isas())}")
    return kernels


cdef class _PackedMatrix:
    """A single packed matrix, for tests and benchmarks of the kernels. It is packed for `isa` (None: the one
    in use). `keep_indices`, if given, overrides whether codebook types keep their indices."""

    cdef oxi_matrix _m
    cdef uint8_t *_data

    def __cinit__(self, uint32_t type, const uint8_t[::1] data not None, int64_t n_rows, int64_t n_cols, isa=None,
                  keep_indices=None):
        cdef oxi.oxi_error err
        cdef const oxi_codebook_decoder *decoder = _kernels_of(isa).decoder
        if keep_indices is False:
            decoder = NULL
        elif keep_indices is True and decoder == NULL:
            decoder = <const oxi_codebook_decoder *>&oxi_codebook_decoder_plain
        check(oxi_pack_plan(&self._m, type, decoder, n_rows, n_cols, &err), &err)
        cdef size_t need = _encoded_bytes(type, <uint64_t>n_cols) * <size_t>n_rows
        if <size_t>data.shape[0] != need:
            raise InvalidParameterError(f"the matrix takes {need} bytes, got {data.shape[0]}")
        self._data = <uint8_t *>oxi_alloc(oxi_pack_bytes(&self._m))
        if self._data == NULL:
            raise MemoryError("packed matrix: out of memory")
        with nogil:
            oxi_pack_panels(&self._m, type, &data[0], 0, self._m.n_panels, self._data)
        self._m.data = self._data

    def __dealloc__(self):
        oxi_free(self._data)

    def read_as(self, str reading):
        """Read it as `reading` says, one of `readings()`."""
        for several in range(2):
            self._m.reading[several] = &oxi_readings[reading_index(reading)]

    @property
    def packed_bytes(self):
        """Bytes that one product reads."""
        return self._m.n_panels * self._m.panel_bytes

    def run(self, const float[:, ::1] x not None, isa=None, int n_threads=1, int repeats=1):
        """(x @ weights.T, seconds of each of `repeats` products, preparation of x not counted)."""
        cdef const oxi_kernels *kernels
        cdef oxi.oxi_pool *pool = NULL
        cdef oxi.oxi_error err
        cdef int64_t n_tokens = x.shape[0]
        cdef void *act
        cdef void *scratch
        if x.shape[1] != self._m.n_cols:
            raise InvalidParameterError(f"the matrix has {self._m.n_cols} columns, x has {x.shape[1]}")
        if n_threads < 1:
            raise InvalidParameterError(f"{n_threads} threads cannot multiply")
        kernels = _kernels_of(isa)
        out = np.empty((n_tokens, self._m.n_rows), np.float32)
        cdef float[:, ::1] view = out
        if n_tokens == 0:
            return out, []
        act = oxi_alloc(oxi_act_bytes(<oxi_act>self._m.act, n_tokens, self._m.n_cols))
        scratch = oxi_alloc(<size_t>n_threads * OXI_MATMUL_SCRATCH)
        seconds = []
        try:
            if act == NULL or scratch == NULL:
                raise MemoryError("packed matrix: out of memory")
            check(oxi.oxi_pool_open(&pool, n_threads, NULL, &err), &err)
            kernels.quantize[self._m.act](&x[0, 0], self._m.n_cols, 0, n_tokens, n_tokens, self._m.n_cols, act)
            for _ in range(repeats):
                start = time.perf_counter()
                with nogil:
                    oxi_parallel_matmul(kernels, pool, &self._m, act, n_tokens, &view[0, 0], self._m.n_rows, scratch)
                seconds.append(time.perf_counter() - start)
        finally:
            oxi.oxi_pool_close(&pool)
            oxi_free(act)
            oxi_free(scratch)
        return out, seconds


def _matmul(uint32_t type, const uint8_t[::1] data not None, int64_t n_rows, int64_t n_cols, const float[:, ::1] x not None,
            isa=None, keep_indices=None):
    """x [n_tokens, n_cols] times the transpose of the matrix in file blocks `data`, packed and multiplied as in a model."""
    return _PackedMatrix(type, data, n_rows, n_cols, isa, keep_indices).run(x, isa)[0]


cdef double _read_rate(const oxi_kernels *kernels, oxi.oxi_pool *pool, const uint8_t *memory, size_t bytes, tuple way):
    """Bytes per second that a probe reads in one way: (runs, cache, ahead)."""
    cdef oxi_probe_way how
    how.runs, how.cache, how.ahead = way
    start = time.perf_counter()
    with nogil:
        oxi_parallel_probe_read(kernels, pool, memory, bytes, how)
    return bytes / (time.perf_counter() - start)


def _probe(isa=None, int n_threads=1, int repeats=5, size_t read_bytes=256 << 20):
    """The limits of an isa's instructions by themselves: (bytes per second read from memory, int8 operations per second),
    the best of `repeats`.

    What reads fastest differs between processors. So each of 35 ways reads a part of the memory twice, and the three best
    ways read all of it. The memory lies in pages of the same kind as weights do.

    Raises InvalidParameterError for generic, which has no instructions of its own.
    """
    cdef const oxi_kernels *kernels = _kernels_of(isa)
    cdef oxi.oxi_pool *pool = NULL
    cdef oxi.oxi_error err
    cdef double ops = 0
    cdef int64_t rounds = 200_000
    cdef size_t part = min(read_bytes, <size_t>n_threads << 23)
    cdef size_t n_parts = read_bytes // part
    cdef size_t i
    if kernels.probe_dot == NULL:
        raise InvalidParameterError("the generic kernels cannot be probed")
    cdef uint8_t *memory = <uint8_t *>oxi_alloc(read_bytes + (1 << 16))
    if memory == NULL:
        raise MemoryError("probe: out of memory")
    bandwidth, arithmetic = 0.0, 0.0
    leads = [(0, 0), *((cache, ahead) for cache in (1, 2) for ahead in (1024, 2048, 4096))]
    ways = [(runs, cache, ahead) for runs in (1, 2, 4, 8, 16) for cache, ahead in leads]
    rates = dict.fromkeys(ways, 0.0)
    try:
        check(oxi.oxi_pool_open(&pool, n_threads, NULL, &err), &err)
        memset(memory, 1, read_bytes)
        for i, way in enumerate(ways * 2):
            rates[way] = max(rates[way], _read_rate(kernels, pool, memory + i % n_parts * part, part, way))
        best = sorted(ways, key=rates.__getitem__, reverse=True)[:3]
        for i in range(repeats):
            bandwidth = max(bandwidth, _read_rate(kernels, pool, memory, read_bytes, best[i % 3]))
            start = time.perf_counter()
            with nogil:
                ops = oxi_parallel_probe_dot(kernels, pool, rounds)
            arithmetic = max(arithmetic, ops / (time.perf_counter() - start))
    finally:
        oxi.oxi_pool_close(&pool)
        oxi_free(memory)
    return bandwidth, arithmetic
