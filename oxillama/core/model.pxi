import numpy as np

from cpython.buffer cimport PyBUF_WRITABLE
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

FUNCTIONS = {
    "none": oxi.OXI_FN_NONE,
    "silu": oxi.OXI_FN_SILU,
    "gelu": oxi.OXI_FN_GELU,
    "relu": oxi.OXI_FN_RELU,
    "relu2": oxi.OXI_FN_RELU2,
    "sigmoid": oxi.OXI_FN_SIGMOID,
    "tanh": oxi.OXI_FN_TANH,
}
NORMS = {"rms": oxi.OXI_NORM_RMS, "layer": oxi.OXI_NORM_LAYER}
ROPES = {"pairs": oxi.OXI_ROPE_PAIRS, "halves": oxi.OXI_ROPE_HALVES}
GATINGS = {
    "softmax": oxi.OXI_GATING_SOFTMAX,
    "sigmoid": oxi.OXI_GATING_SIGMOID,
    "softmax_chosen": oxi.OXI_GATING_SOFTMAX_CHOSEN,
}
CACHE_TYPES = {
    "f32": oxi.OXI_CACHE_F32,
    "f16": oxi.OXI_CACHE_F16,
    "i16": oxi.OXI_CACHE_I16,
    "q8_0": oxi.OXI_CACHE_Q8_0,
}
MAX_LINEAR_PARTS = oxi.OXI_LINEAR_PARTS
MAX_KV_HEADS = oxi.OXI_MAX_KV_HEADS
MAX_HEAD_DIM = oxi.OXI_MAX_HEAD_DIM
PAGE_TOKENS = oxi.OXI_PAGE_TOKENS


def quick_cache_type():
    """The 16-bit cache type, "f16" or "i16", that the kernel row in use computes with quicker."""
    ensure_kernels()
    cdef int quick = oxi.oxi_cache_quick()
    return next(name for name, value in CACHE_TYPES.items() if value == quick)


def cache_head_bytes(str cache_type, int32_t key_dim, int32_t value_dim):
    """Bytes that PAGE_TOKENS positions of one head of keys and values take."""
    return oxi.oxi_cache_head_bytes(<oxi.oxi_cache_type><int>CACHE_TYPES[cache_type], key_dim, value_dim)


def packed_bytes(uint32_t type, int64_t n_rows, int64_t n_cols):
    """Bytes of a matrix of GGUF tensor type `type` once packed. Raises ModelUnsupportedError for a type that cannot be."""
    cdef oxi_matrix m
    cdef oxi.oxi_error err
    ensure_kernels()
    check(oxi_pack_plan(&m, type, oxi_kernels_get().expander, n_rows, n_cols, &err), &err)
    return oxi_pack_bytes(&m)


cdef class ThreadPool:
    """Persistent worker threads; the calling thread is one of them. Runs one thing at a time."""

    cdef oxi.oxi_pool *_ptr
    cdef readonly int n_threads

    def __cinit__(self, int n_threads):
        cdef oxi.oxi_error err
        check(oxi.oxi_pool_open(&self._ptr, n_threads, &err), &err)
        self.n_threads = n_threads

    def __dealloc__(self):
        oxi.oxi_pool_close(&self._ptr)

    @property
    def barriers(self):
        """How many barriers the pool has passed, for measurements."""
        return oxi.oxi_pool_barriers(self._ptr)


@cython.no_gc
cdef class Program:
    """What one step computes, as the C core runs it. oxillama.models builds it op by op, then packs its matrices.

    Ops name their fields as csrc/oxillama.h does; a view is a dict of buffer, column and width.
    """

    cdef oxi.oxi_program *_ptr
    cdef GGUF _file

    def __cinit__(self, GGUF file not None):
        cdef oxi.oxi_error err
        check(oxi.oxi_program_open(&self._ptr, &err), &err)
        self._file = file

    def __dealloc__(self):
        oxi.oxi_program_close(&self._ptr)

    def buffer(self, int32_t slot, int32_t width):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_buffer(self._ptr, slot, width, &id, &err), &err)
        return id

    def vector(self, const float[::1] values not None):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_vector(self._ptr, &values[0] if values.shape[0] else NULL, values.shape[0], &id, &err), &err)
        return id

    def table(self, str tensor):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_table(self._ptr, self._file.find(tensor), &id, &err), &err)
        return id

    def matrix(self, str tensor):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_matrix(self._ptr, self._file.find(tensor), &id, &err), &err)
        return id

    def cache(self, int32_t n_head, int32_t key_dim, int32_t value_dim):
        cdef oxi.oxi_error err
        cdef int32_t id
        check(oxi.oxi_program_cache(self._ptr, n_head, key_dim, value_dim, &id, &err), &err)
        return id

    def op(self, str kind, bint outputs, dict fields):
        """Append an op; `outputs`: it works on the rows whose logits were asked for, not on all."""
        cdef oxi.oxi_op op
        cdef oxi.oxi_error err
        memset(&op, 0, sizeof(op))
        op.rows = oxi.OXI_ROWS_OUTPUTS if outputs else oxi.OXI_ROWS_TOKENS
        if kind == "embed":
            op.kind, op.as_.embed = oxi.OXI_OP_EMBED, fields
        elif kind == "rope_table":
            op.kind, op.as_.rope_table = oxi.OXI_OP_ROPE_TABLE, fields
        elif kind == "norm":
            op.kind, op.as_.norm = oxi.OXI_OP_NORM, fields
        elif kind == "glu":
            op.kind, op.as_.glu = oxi.OXI_OP_GLU, fields
        elif kind == "rope":
            op.kind, op.as_.rope = oxi.OXI_OP_ROPE, fields
        elif kind == "kv_store":
            op.kind, op.as_.kv_store = oxi.OXI_OP_KV_STORE, fields
        elif kind == "attention":
            op.kind, op.as_.attention = oxi.OXI_OP_ATTENTION, fields
        elif kind == "experts":
            op.kind, op.as_.experts = oxi.OXI_OP_EXPERTS, fields
        elif kind == "select":
            op.kind, op.as_.select = oxi.OXI_OP_SELECT, fields
        elif kind == "affine":
            op.kind, op.as_.affine = oxi.OXI_OP_AFFINE, fields
        elif kind == "softcap":
            op.kind, op.as_.softcap = oxi.OXI_OP_SOFTCAP, fields
        elif kind == "linear":
            op.kind = oxi.OXI_OP_LINEAR
            fill_linear(&op.as_.linear, fields)
        else:
            raise ValueError(f"unknown op {kind!r}")
        check(oxi.oxi_program_op(self._ptr, &op, &err), &err)

    def results(self, dict logits, dict hidden):
        cdef oxi.oxi_error err
        check(oxi.oxi_program_results(self._ptr, logits, hidden, &err), &err)

    @property
    def matrix_bytes(self):
        """Packed bytes of each matrix, in order."""
        return [oxi.oxi_program_matrix_bytes(self._ptr, i) for i in range(oxi.oxi_program_n_matrices(self._ptr))]

    def reserve(self):
        """Get the memory of all packed matrices. Raises MemoryError."""
        cdef oxi.oxi_error err
        check(oxi.oxi_program_reserve(self._ptr, &err), &err)

    def pack(self, int32_t matrix, ThreadPool pool not None):
        """Pack one matrix on all threads and give its mapped pages back. Releases the GIL."""
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        self._file.still_whole()
        with nogil:
            status = oxi.oxi_program_pack(self._ptr, matrix, pool._ptr, self._file._ptr, &err)
        check(status, &err)


cdef int fill_linear(oxi.oxi_op_linear *linear, dict fields) except -1:
    parts = fields["parts"]
    if not 1 <= len(parts) <= oxi.OXI_LINEAR_PARTS:
        raise ValueError(f"a linear op has 1 to {oxi.OXI_LINEAR_PARTS} matrices, not {len(parts)}")
    linear.x = fields["x"]
    linear.prologue = oxi.OXI_PROLOGUE_NONE
    if "norm" in fields:
        linear.prologue, linear.norm = oxi.OXI_PROLOGUE_NORM, fields["norm"]
    elif "glu" in fields:
        linear.prologue, linear.glu = oxi.OXI_PROLOGUE_GLU, fields["glu"]
    linear.n_parts = len(parts)
    for i, part in enumerate(parts):
        linear.part[i].matrix = part["matrix"]
        linear.part[i].bias = part["bias"]
        linear.part[i].scale = part["scale"]
        linear.part[i].out = part["out"]
        linear.part[i].addend = part["addend"]
    return 0


@cython.no_gc
cdef class _Rows:
    """Rows of a runner's memory as a read-only buffer that keeps that memory, even when the runner is closed."""

    cdef Runner _runner
    cdef const float *_data
    cdef Py_ssize_t _shape[2]
    cdef Py_ssize_t _strides[2]

    def __dealloc__(self):
        if self._runner is not None:
            self._runner.let_go()

    def __getbuffer__(self, Py_buffer *view, int flags):
        if flags & PyBUF_WRITABLE == PyBUF_WRITABLE:
            raise BufferError("a runner's results are read-only")
        view.buf = <void *>self._data
        view.obj = self
        view.len = self._shape[0] * self._shape[1] * <Py_ssize_t>sizeof(float)
        view.readonly = 1
        view.itemsize = sizeof(float)
        view.format = "f"
        view.ndim = 2
        view.shape = self._shape
        view.strides = self._strides
        view.suboffsets = NULL
        view.internal = NULL


@cython.no_gc
cdef class Runner:
    """A model ready to step: packed weights, program, paged KV cache, scratch and thread pool, in one handle.

    One thread at a time, except `cancel` and `close`: whatever comes while another thread steps raises
    InvalidParameterError. So does a step in a forked child, which has no threads of its own.
    """

    cdef oxi.oxi_runner *_ptr
    cdef Program _program
    cdef ThreadPool _pool
    cdef bint _closed
    cdef int _n_shown  # arrays that show the results' memory
    cdef int32_t _n_outputs
    cdef readonly int n_threads
    cdef readonly int n_vocab
    cdef readonly int n_embd
    cdef readonly int n_batch
    cdef readonly int n_ctx
    cdef readonly int page_size
    cdef readonly int n_pages
    cdef readonly object cache_bytes
    cdef readonly str cache_type

    def __cinit__(self, Program program not None, ThreadPool pool not None, *, int n_vocab, int n_embd, int n_batch,
                  int n_ctx, int n_pages, int n_seqs, str cache_type):
        cdef oxi.oxi_runner_config config
        cdef oxi.oxi_error err
        ensure_kernels()
        config.n_vocab, config.n_embd = n_vocab, n_embd
        config.n_batch, config.n_ctx, config.n_pages = n_batch, n_ctx, n_pages
        config.n_seqs, config.cache_type = n_seqs, CACHE_TYPES[cache_type]
        self._program, self._pool = program, pool
        check(oxi.oxi_runner_open(&self._ptr, program._ptr, pool._ptr, &config, &err), &err)
        self.n_vocab, self.n_embd, self.n_batch, self.n_ctx, self.n_pages = n_vocab, n_embd, n_batch, n_ctx, n_pages
        self.n_threads, self.page_size = pool.n_threads, oxi.OXI_PAGE_TOKENS
        self.cache_type = cache_type
        self.cache_bytes = oxi.oxi_runner_cache_bytes(self._ptr)

    def __dealloc__(self):
        oxi.oxi_runner_close(&self._ptr)

    cdef int usable(self) except -1:
        if self._closed:
            raise InvalidParameterError("the runner is closed")
        if oxi.oxi_runner_busy(self._ptr):
            raise InvalidParameterError("another thread is computing a step with this model: one at a time")
        return 0

    def close(self):
        """End it, and a step that another thread computes: weights, cache and threads go at once, if nobody else has them.

        The memory of arrays that `step` and `embeddings` returned stays until the last of them goes.
        """
        if self._closed:
            return
        self._closed = True
        if oxi.oxi_runner_busy(self._ptr):
            oxi.oxi_runner_cancel(self._ptr)  # `step` frees the memory when it returns
        else:
            self.free_memory()

    cdef void free_memory(self):
        if self._n_shown:
            oxi.oxi_runner_end(self._ptr)
        else:
            oxi.oxi_runner_close(&self._ptr)
        self._program, self._pool = None, None

    cdef void let_go(self):
        """An array that showed results is gone."""
        self._n_shown -= 1
        if self._closed and self._n_shown == 0 and self._program is None:
            oxi.oxi_runner_close(&self._ptr)

    @property
    def barriers(self):
        """How many barriers the pool has passed, for measurements."""
        self.usable()
        return self._pool.barriers

    def seq_open(self):
        """A new empty sequence. Raises KVCacheFullError when all sequence slots are taken."""
        cdef oxi.oxi_error err
        cdef int32_t seq
        self.usable()
        check(oxi.oxi_seq_open(self._ptr, &seq, &err), &err)
        return seq

    def seq_close(self, int32_t seq):
        """Drop the sequence; pages no other sequence shares become free at once."""
        cdef oxi.oxi_error err
        self.usable()
        check(oxi.oxi_seq_close(self._ptr, seq, &err), &err)

    def seq_len(self, int32_t seq):
        cdef oxi.oxi_error err
        cdef int32_t n
        self.usable()
        check(oxi.oxi_seq_len(self._ptr, seq, &n, &err), &err)
        return n

    def seq_reserve(self, int32_t seq, int32_t n_tokens):
        """Make room for n_tokens more. All or nothing; raises KVCacheFullError."""
        cdef oxi.oxi_error err
        self.usable()
        check(oxi.oxi_seq_reserve(self._ptr, seq, n_tokens, &err), &err)

    def seq_truncate(self, int32_t seq, int32_t n_tokens):
        """Keep the first n_tokens."""
        cdef oxi.oxi_error err
        self.usable()
        check(oxi.oxi_seq_truncate(self._ptr, seq, n_tokens, &err), &err)

    def seq_fork(self, int32_t seq, int32_t n_tokens):
        """A new sequence that shares the first n_tokens of `seq` (pages shared, the last one copied on write)."""
        cdef oxi.oxi_error err
        cdef int32_t fork
        self.usable()
        check(oxi.oxi_seq_fork(self._ptr, seq, n_tokens, &fork, &err), &err)
        return fork

    def seq_pages(self, int32_t seq):
        """The numbers of the sequence's pages, in order."""
        self.usable()
        pages = np.empty(oxi.oxi_seq_pages(self._ptr, seq, NULL, 0), np.int32)
        cdef int32_t[::1] view = pages
        self.usable()  # allocating may have run somebody's finaliser
        if len(pages):
            oxi.oxi_seq_pages(self._ptr, seq, &view[0], <int32_t>view.shape[0])
        return pages.tolist()

    @property
    def free_pages(self):
        self.usable()
        return oxi.oxi_runner_free_pages(self._ptr)

    def step(self, const int32_t[::1] tokens not None, seqs, counts, outputs):
        """Append `counts[i]` tokens to sequence `seqs[i]`, runs back to back in `tokens`, and evaluate them all.

        Returns logits [n_outputs, n_vocab] for the positions that `outputs` flags, in order: a view of the runner's own
        memory, valid until the next step. Reserves what it needs (all or nothing). Releases the GIL. After an error
        nothing was appended. Raises KVCacheFullError, InvalidParameterError (token id, count, n_batch, a second thread, a
        forked child), StepCancelledError, ModelFormatError (the file was cut short while it was open).
        """
        cdef oxi.oxi_batch batch
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        cdef const int32_t[::1] seq_view = np.ascontiguousarray(seqs, np.int32)
        cdef const int32_t[::1] count_view = np.ascontiguousarray(counts, np.int32)
        cdef const uint8_t[::1] output_view = np.ascontiguousarray(outputs, np.bool_).view(np.uint8)
        self.usable()
        if seq_view.shape[0] != count_view.shape[0]:
            raise InvalidParameterError(f"{seq_view.shape[0]} sequences, but {count_view.shape[0]} counts")
        if tokens.shape[0] != output_view.shape[0]:
            raise InvalidParameterError(f"{tokens.shape[0]} tokens, but {output_view.shape[0]} output flags")
        if not 1 <= tokens.shape[0] <= self.n_batch:
            raise InvalidParameterError(f"a step takes 1 to {self.n_batch} tokens, not {tokens.shape[0]}")
        if not 1 <= seq_view.shape[0] <= tokens.shape[0]:
            raise InvalidParameterError(f"{seq_view.shape[0]} sequences cannot share {tokens.shape[0]} tokens")
        # Embedding rows are read from the mapped file: see oxi_gguf_check.
        self._program._file.still_whole()
        batch.tokens, batch.outputs = &tokens[0], &output_view[0]
        batch.seqs, batch.counts = &seq_view[0], &count_view[0]
        batch.n_tokens, batch.n_runs = <int32_t>tokens.shape[0], <int32_t>seq_view.shape[0]
        with nogil:
            status = oxi.oxi_runner_step(self._ptr, &batch, &self._n_outputs, &err)
        if self._closed and self._program is not None:
            self.free_memory()
        check(status, &err)
        self.usable()
        cdef int64_t stride
        cdef const float *data = oxi.oxi_runner_logits(self._ptr, &stride)
        return self.rows(data, stride, self.n_vocab)

    def embeddings(self):
        """Final hidden states [n_outputs, n_embd] (after the output norm) of the last step's flagged positions."""
        self.usable()
        cdef int64_t stride
        cdef const float *data = oxi.oxi_runner_hidden(self._ptr, &stride)
        return self.rows(data, stride, self.n_embd)

    cdef object rows(self, const float *data, int64_t stride, Py_ssize_t width):
        cdef _Rows rows = _Rows.__new__(_Rows)
        rows._runner, rows._data = self, data
        self._n_shown += 1
        rows._shape[0], rows._shape[1] = self._n_outputs, width
        rows._strides[0], rows._strides[1] = <Py_ssize_t>stride * <Py_ssize_t>sizeof(float), sizeof(float)
        return np.asarray(rows)

    def observe(self):
        """From now on, add up the squares of what every matrix is multiplied with."""
        cdef oxi.oxi_error err
        self.usable()
        check(oxi.oxi_runner_observe(self._ptr, &err), &err)

    def observed(self):
        """What was added up: tensor name → (sums [n_experts, n_cols], rows seen [n_experts]), copies."""
        cdef int32_t i, n_experts
        cdef int64_t n_cols
        cdef const double *sums
        cdef const int64_t *counts
        cdef const oxi.oxi_tensor *tensor
        cdef double[:, ::1] sums_view
        cdef int64_t[::1] counts_view
        self.usable()
        found = {}
        for i in range(oxi.oxi_program_n_matrices(self._program._ptr)):
            tensor = oxi.oxi_runner_observed(self._ptr, i, &n_experts, &n_cols, &sums, &counts)
            if tensor == NULL:
                break
            a, b = np.empty((n_experts, n_cols), np.float64), np.empty(n_experts, np.int64)
            sums_view, counts_view = a, b
            self.usable()  # allocating may have run somebody's finaliser
            memcpy(&sums_view[0, 0], sums, a.nbytes)
            memcpy(&counts_view[0], counts, b.nbytes)
            found[tensor.name.decode("utf-8", "surrogateescape")] = (a, b)
        return found

    def cancel(self):
        """Make the step that is under way, or else the next one, return early with StepCancelledError. Any thread."""
        if self._ptr != NULL:
            oxi.oxi_runner_cancel(self._ptr)
