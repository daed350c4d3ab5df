import numpy as np

from cpython.buffer cimport PyBUF_WRITABLE
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

@cython.no_gc
cdef class _Rows:
    """Rows of a runner's memory as a read-only buffer. It keeps that memory alive after the runner is closed."""

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

    One thread at a time, except `cancel` and `close`: any other call during another thread's step raises
    InvalidParameterError. So does a step in a forked child, which has no worker threads.
    """

    cdef oxi.oxi_runner *_ptr
    cdef Program _program
    cdef ThreadPool _pool
    cdef bint _closed
    # Set before the GIL is released: a thread that is about to step already has the runner.
    cdef bint _stepping
    cdef int _n_shown  # live arrays that view the results' memory
    cdef int32_t _n_outputs
    cdef readonly int n_threads
    cdef readonly int n_vocab
    cdef readonly int n_embd
    cdef readonly int n_batch
    cdef readonly int n_ctx
    cdef readonly int page_size
    cdef readonly int n_pages
    cdef readonly int n_saved
    cdef readonly object cache_bytes
    cdef readonly object state_bytes
    cdef readonly str cache_type

    def __cinit__(self, Program program not None, ThreadPool pool not None, *, int n_vocab, int n_embd, int n_batch,
                  int n_ctx, int n_pages, int n_seqs, str cache_type, int n_active=0,
                  int n_saved=0):
        cdef oxi.oxi_runner_config config
        cdef oxi.oxi_error err
        ensure_kernels()
        config.n_vocab, config.n_embd = n_vocab, n_embd
        config.n_batch, config.n_ctx, config.n_pages = n_batch, n_ctx, n_pages
        config.n_seqs, config.cache_type = n_seqs, CACHE_TYPES[cache_type]
        config.n_active, config.n_saved = n_active, n_saved
        self._program, self._pool = program, pool
        check(oxi.oxi_runner_open(&self._ptr, program._ptr, pool._ptr, &config, &err), &err)
        self.n_vocab, self.n_embd, self.n_batch, self.n_ctx, self.n_pages = n_vocab, n_embd, n_batch, n_ctx, n_pages
        self.n_threads, self.page_size = pool.n_threads, oxi.OXI_PAGE_TOKENS
        self.cache_type, self.n_saved = cache_type, n_saved
        self.cache_bytes = oxi.oxi_runner_cache_bytes(self._ptr)
        self.state_bytes = oxi.oxi_runner_state_bytes(self._ptr)

    def __dealloc__(self):
        oxi.oxi_runner_close(&self._ptr)

    cdef int usable(self) except -1:
        if self._closed:
            raise InvalidParameterError("the runner is closed")
        if self._stepping:
            raise InvalidParameterError("another thread is computing a step with this model: one at a time")
        return 0

    def close(self):
        """Close the runner and cancel a step of another thread. Weights, cache and threads are freed at once unless
        others still use them.

        The memory of arrays that `step` and `embeddings` returned stays until the last array is gone.
        """
        if self._closed:
            return
        self._closed = True
        if self._stepping:
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
        """Called when an array that viewed the results is gone."""
        self._n_shown -= 1
        if self._closed and self._n_shown == 0 and self._program is None:
            oxi.oxi_runner_close(&self._ptr)

    @property
    def pool(self):
        """The threads that compute steps; between steps they may do other work."""
        self.usable()
        return self._pool

    def seq_open(self):
        """A new empty sequence. Raises KVCacheFullError when all sequence slots are taken."""
        cdef oxi.oxi_error err
        cdef int32_t seq
        self.usable()
        check(oxi.oxi_seq_open(self._ptr, &seq, &err), &err)
        return seq

    def seq_close(self, int32_t seq):
        """Close the sequence; pages that no other sequence shares become free at once."""
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
        """Make room for n_tokens more tokens, for all or for none. Raises KVCacheFullError."""
        cdef oxi.oxi_error err
        self.usable()
        check(oxi.oxi_seq_reserve(self._ptr, seq, n_tokens, &err), &err)

    def seq_truncate(self, int32_t seq, int32_t n_tokens):
        """Keep the first n_tokens tokens, a number that `seq_reusable` returns, and drop the rest."""
        cdef oxi.oxi_error err
        self.usable()
        check(oxi.oxi_seq_truncate(self._ptr, seq, n_tokens, &err), &err)

    def seq_fork(self, int32_t seq, int32_t n_tokens):
        """A new sequence that shares the first n_tokens of `seq`, a number that `seq_reusable` returns.

        Pages are shared, and the last one is copied on write. So are the sequence's checkpoints up to there.
        """
        cdef oxi.oxi_error err
        cdef int32_t fork
        self.usable()
        check(oxi.oxi_seq_fork(self._ptr, seq, n_tokens, &fork, &err), &err)
        return fork

    def seq_reusable(self, int32_t seq, int32_t n_tokens):
        """The largest number of tokens, at most n_tokens, that `seq` can be truncated to or forked at."""
        cdef oxi.oxi_error err
        cdef int32_t n
        self.usable()
        check(oxi.oxi_seq_reusable(self._ptr, seq, n_tokens, &n, &err), &err)
        return n

    def seq_checkpoint(self, int32_t seq):
        """Keep what continuing `seq` from its present end takes. Returns False if there is no memory for that."""
        cdef oxi.oxi_error err
        cdef int32_t kept
        self.usable()
        check(oxi.oxi_seq_checkpoint(self._ptr, seq, &kept, &err), &err)
        return bool(kept)

    def seq_pages(self, int32_t seq):
        """The numbers of the sequence's pages without a window, in order."""
        self.usable()
        pages = np.empty(oxi.oxi_seq_pages(self._ptr, seq, NULL, 0), np.int32)
        cdef int32_t[::1] view = pages
        self.usable()  # allocating may have run a finaliser that closed the runner
        if len(pages):
            oxi.oxi_seq_pages(self._ptr, seq, &view[0], <int32_t>view.shape[0])
        return pages.tolist()

    @property
    def free_pages(self):
        self.usable()
        return oxi.oxi_runner_free_pages(self._ptr)

    @property
    def classes(self):
        """Pages by class of layers: (window, pages, free pages, bytes of a page), first those without a window (0)."""
        cdef oxi.oxi_class_info info
        cdef int32_t kind = 0
        found = []
        while True:
            self.usable()  # allocating may have run a finaliser that closed the runner
            if not oxi.oxi_runner_class(self._ptr, kind, &info):
                break
            found.append((info.window, info.n_pages, info.n_free, info.page_bytes))
            kind += 1
        return found

    @property
    def any_position(self):
        """Whether a sequence can be truncated to and forked at any position: there are no windows and no states."""
        return len(self.classes) == 1 and not self.state_bytes

    @property
    def free_states(self):
        self.usable()
        return oxi.oxi_runner_free_states(self._ptr)

    def step(self, const int32_t[::1] tokens not None, seqs, counts, outputs):
        """Append `counts[i]` tokens to sequence `seqs[i]`, runs back to back in `tokens`, and evaluate them all.

        Returns logits [n_outputs, n_vocab] for the positions that `outputs` flags, in order: a view of the runner's
        memory, valid until the next step; a model without logits gives [n_outputs, 0]. Reserves what it needs (all or
        nothing). Releases the GIL. After an error nothing was appended. Raises KVCacheFullError, InvalidParameterError
        (token id, count, n_batch, a second thread, a forked child; a sequence in several steps, where rows see both ways),
        StepCancelledError, ModelFormatError (the file was cut short while it was open).
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
        self._stepping = True
        with nogil:
            status = oxi.oxi_runner_step(self._ptr, &batch, &self._n_outputs, &err)
        self._stepping = False
        if self._closed and self._program is not None:
            self.free_memory()
        check(status, &err)
        self.usable()
        cdef int64_t stride
        cdef const float *data = oxi.oxi_runner_logits(self._ptr, &stride)
        if data == NULL:
            return np.empty((self._n_outputs, 0), np.float32)
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
        """From now on, sum the squares of every matrix's input."""
        cdef oxi.oxi_error err
        self.usable()
        check(oxi.oxi_runner_observe(self._ptr, &err), &err)

    def observed(self):
        """The sums so far: tensor name → (sums [ne[2], n_cols], rows seen [ne[2]]), copies."""
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
            self.usable()  # allocating may have run a finaliser that closed the runner
            tensor = oxi.oxi_runner_observed(self._ptr, i, &n_experts, &n_cols, &sums, &counts)
            if tensor == NULL:
                break
            a, b = np.empty((n_experts, n_cols), np.float64), np.empty(n_experts, np.int64)
            sums_view, counts_view = a, b
            self.usable()
            memcpy(&sums_view[0, 0], sums, a.nbytes)
            memcpy(&counts_view[0], counts, b.nbytes)
            if tensor.ne[2] == 1:  # heads whose rows are in one matrix
                a, b = a.sum(0, keepdims=True), b.sum(keepdims=True)
            found[tensor.name.decode("utf-8", "surrogateescape")] = (a, b)
        return found

    def clock(self):
        """From now on, time every op on every thread; times of earlier steps are forgotten."""
        cdef oxi.oxi_error err
        self.usable()
        check(oxi.oxi_runner_clock(self._ptr, &err), &err)

    def clocked(self):
        """The times since then: seconds [thread, op, 3], waiting before the op, preparing the input of its products, and
        working on it after that, a copy."""
        cdef int32_t n_ops = 0
        cdef const oxi.oxi_op_times *times
        self.usable()
        if oxi.oxi_runner_clocked(self._ptr, 0, &n_ops) == NULL:
            raise InvalidParameterError("the runner times no ops: call clock() before the steps")
        found = np.empty((self.n_threads, n_ops, 3))
        cdef double[:, :, ::1] view = found
        cdef int thread, op
        self.usable()  # allocating may have run a finaliser that closed the runner
        for thread in range(view.shape[0]):
            times = oxi.oxi_runner_clocked(self._ptr, thread, &n_ops)
            for op in range(view.shape[1]):
                view[thread, op, 0], view[thread, op, 1] = times[op].waited * 1e-9, times[op].prepared * 1e-9
                view[thread, op, 2] = times[op].worked * 1e-9
        return found

    def cancel(self):
        """Make the step under way, or else the next one, return early with StepCancelledError. Any thread."""
        if self._ptr != NULL:
            oxi.oxi_runner_cancel(self._ptr)
