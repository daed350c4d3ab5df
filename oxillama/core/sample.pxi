from cpython.buffer cimport PyObject_CheckBuffer
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy


def sampler_steps():
    """The names of a sampler chain's steps, in their usual order."""
    return tuple(oxi.oxi_chain_step_name(i).decode() for i in range(oxi.OXI_CHAIN_COUNT))


cdef class Sampler:
    """One generation's sampler chain with its own random generator and token history. One thread at a time."""

    cdef oxi.oxi_sampler *_ptr
    cdef bint _busy  # while a Chooser works without the GIL
    cdef readonly int n_vocab

    def __cinit__(self, int n_vocab, *, samplers, dict logit_bias, seed, **values):
        cdef oxi.oxi_sampler_params params
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        cdef int32_t *ids = NULL
        cdef float *bias = NULL
        cdef list entries = list(logit_bias.items())  # a copy: converting a value may run code that changes the dict
        cdef list names = list(samplers)
        cdef size_t n = len(entries)
        cdef size_t i = 0
        cdef tuple known = sampler_steps()
        params.n_vocab = n_vocab
        params.n_steps = 0
        if len(names) > len(known):
            raise InvalidParameterError(f"samplers: {len(names)} steps of {len(known)}")
        for name in names:
            if name not in known:
                raise InvalidParameterError(f"samplers: there is no {str(name)[:40]!r}")
            params.steps[params.n_steps] = known.index(name)
            params.n_steps += 1
        params.temperature = values.pop("temperature")
        params.dynatemp_range = values.pop("dynatemp_range")
        params.dynatemp_exponent = values.pop("dynatemp_exponent")
        params.top_k = values.pop("top_k")
        params.top_p = values.pop("top_p")
        params.min_p = values.pop("min_p")
        params.typical_p = values.pop("typical_p")
        params.top_a = values.pop("top_a")
        params.top_n_sigma = values.pop("top_n_sigma")
        params.epsilon_cutoff = values.pop("epsilon_cutoff")
        params.eta_cutoff = values.pop("eta_cutoff")
        params.xtc_probability = values.pop("xtc_probability")
        params.xtc_threshold = values.pop("xtc_threshold")
        params.repeat_penalty = values.pop("repeat_penalty")
        params.repeat_last_n = values.pop("repeat_last_n")
        params.frequency_penalty = values.pop("frequency_penalty")
        params.presence_penalty = values.pop("presence_penalty")
        params.dry_multiplier = values.pop("dry_multiplier")
        params.dry_base = values.pop("dry_base")
        params.dry_allowed_length = values.pop("dry_allowed_length")
        params.dry_penalty_last_n = values.pop("dry_penalty_last_n")
        params.mirostat = values.pop("mirostat")
        params.mirostat_tau = values.pop("mirostat_tau")
        params.mirostat_eta = values.pop("mirostat_eta")
        params.seed = seed & 0xFFFFFFFFFFFFFFFF
        if values:
            raise TypeError(f"a sampler has no {', '.join(values)}")
        self.n_vocab = n_vocab
        try:
            if n:
                ids = <int32_t *>malloc(n * sizeof(int32_t))
                bias = <float *>malloc(n * sizeof(float))
                if ids == NULL or bias == NULL:
                    raise MemoryError("sampler: out of memory")
                for token, value in entries:
                    ids[i] = token
                    bias[i] = value
                    i += 1
            status = oxi.oxi_sampler_open(&self._ptr, &params, ids, bias, n, &err)
        finally:
            free(ids)
            free(bias)
        check(status, &err)

    def __dealloc__(self):
        oxi.oxi_sampler_close(&self._ptr)

    cdef int idle(self) except -1:
        if self._busy:
            raise InvalidParameterError("another thread is using this sampler: one at a time")
        return 0

    def accept(self, int token, bint breaks=False):
        """Add a token (prompt or generated) to what penalties and DRY look at.

        breaks: the token completes a sequence breaker of DRY.
        """
        cdef oxi.oxi_error err
        self.idle()
        check(oxi.oxi_sampler_accept(self._ptr, token, breaks, &err), &err)


@cython.no_gc
cdef class Choice:
    """What to choose from one row of logits, and what was chosen. For one call of `Chooser.choose`."""

    cdef oxi.oxi_choice _c
    cdef Sampler _sampler
    cdef const uint32_t[::1] _allowed  # keeps the mask's memory
    cdef bint _masked, _used

    def __cinit__(
        self, Sampler sampler=None, *, int token=-1, banned=(), n_top=None, const uint32_t[::1] allowed=None
    ):
        cdef const int32_t[::1] ready
        cdef list values = []
        cdef size_t n, i = 0
        cdef int32_t *ids = NULL
        if PyObject_CheckBuffer(banned):
            ready = banned
            n = ready.shape[0]
        else:
            values = list(banned)  # counts what the iteration yields; len() may say otherwise
            n = len(values)
        self._c.status = oxi.oxi_fail(&self._c.err, oxi.OXI_ERR_ARGUMENT, "this choice has not been made")
        self._sampler = sampler
        self._c.sampler = sampler._ptr if sampler is not None else NULL
        self._c.token = token
        self._c.n_top = -1 if n_top is None else n_top
        if n_top is not None and self._c.n_top < 0:
            raise InvalidParameterError(f"log-probabilities: {n_top} best")
        if allowed is not None:
            self._allowed = allowed
            self._c.allowed = &allowed[0] if allowed.shape[0] else NULL
            self._masked = True
        if n:
            ids = <int32_t *>malloc(n * sizeof(int32_t))
            if ids == NULL:
                raise MemoryError("choosing a token: out of memory")
            self._c.banned = ids
            if not values:
                memcpy(ids, &ready[0], n * sizeof(int32_t))
            for value in values:
                ids[i] = value
                i += 1
            self._c.n_banned = n

    def __dealloc__(self):
        free(<void *>self._c.banned)
        free(self._c.top_ids)
        free(self._c.top_logprobs)

    cdef int prepare(self, const float *logits, int n_vocab) except -1:
        """Mark the choice and its sampler as in use."""
        if self._used:
            raise InvalidParameterError("a choice is made once")
        if self._sampler is not None:
            self._sampler.idle()
        if self._masked and self._allowed.shape[0] < (n_vocab + 31) // 32:
            raise InvalidParameterError(f"a mask of {self._allowed.shape[0]} words for a vocabulary of {n_vocab}")
        if self._c.n_top > n_vocab:
            self._c.n_top = n_vocab
        if self._c.n_top > 0 and self._c.top_ids == NULL:
            self._c.top_ids = <int32_t *>malloc(self._c.n_top * sizeof(int32_t))
            self._c.top_logprobs = <double *>malloc(self._c.n_top * sizeof(double))
            if self._c.top_ids == NULL or self._c.top_logprobs == NULL:
                raise MemoryError("choosing a token: out of memory")
        self._c.logits = logits
        self._used = True
        if self._sampler is not None:
            self._sampler._busy = True
        return 0

    cdef void end(self):
        if self._sampler is not None:
            self._sampler._busy = False

    def result(self):
        """(the token, its log-probability, the most likely (id, log-probability), best first).

        Without n_top, the log-probability is None. Raises GenerationError if no logit left is above -inf, and
        InvalidParameterError for an id that is not in the vocabulary.
        """
        cdef int32_t i
        check(self._c.status, &self._c.err)
        if self._c.n_top < 0:
            return self._c.token, None, []
        return self._c.token, self._c.logprob, [
            (self._c.top_ids[i], self._c.top_logprobs[i]) for i in range(self._c.n_top)
        ]


cdef class Chooser:
    """Makes the choices of a step on a pool's threads. Holds the memory for that. One thread at a time."""

    cdef oxi.oxi_chooser *_ptr
    cdef bint _busy
    cdef readonly int n_vocab

    def __cinit__(self, int n_vocab, int n_threads=1):
        cdef oxi.oxi_error err
        ensure_kernels()
        check(oxi.oxi_chooser_open(&self._ptr, n_vocab, n_threads, &err), &err)
        self.n_vocab = n_vocab

    def __dealloc__(self):
        oxi.oxi_chooser_close(&self._ptr)

    def choose(self, ThreadPool pool, const float[:, :] logits not None, choices):
        """Make choices[i] from row i of `logits` [n, n_vocab]; None: leave the row out. Releases the GIL.

        A result depends on its own row and sampler alone, to the last bit. Errors of one choice are raised by its
        `result`. Raises InvalidParameterError if the pool, a sampler or this chooser is in use, and in a forked child;
        then no choice was made. pool None: all are made on the calling thread.
        """
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        cdef list all = list(choices)
        cdef list made = []
        cdef Choice choice
        cdef size_t i, n = 0
        cdef oxi.oxi_choice **pointers = NULL
        cdef oxi.oxi_pool *threads = pool._ptr if pool is not None else NULL
        if <size_t>logits.shape[0] != <size_t>len(all):
            raise InvalidParameterError(f"{len(all)} choices for {logits.shape[0]} rows of logits")
        if not all:
            return
        if logits.shape[1] != self.n_vocab:
            raise InvalidParameterError(f"{logits.shape[1]} logits for a vocabulary of {self.n_vocab}")
        if logits.shape[1] > 1 and logits.strides[1] != sizeof(float):
            raise InvalidParameterError("a row of logits must be contiguous")
        if self._busy:
            raise InvalidParameterError("another thread is choosing tokens with this memory: one at a time")
        self._busy = True
        try:
            pointers = <oxi.oxi_choice **>malloc(len(all) * sizeof(oxi.oxi_choice *))
            if pointers == NULL:
                raise MemoryError("choosing tokens: out of memory")
            for i in range(<size_t>len(all)):
                if all[i] is None:
                    continue
                choice = all[i]
                choice.prepare(&logits[i, 0], self.n_vocab)
                made.append(choice)
                pointers[n] = &choice._c
                n += 1
            with nogil:
                status = oxi.oxi_choose(self._ptr, threads, pointers, n, &err)
            check(status, &err)
        finally:
            for choice in made:
                choice.end()
            free(pointers)
            self._busy = False
