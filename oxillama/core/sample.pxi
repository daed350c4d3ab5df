from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc


cdef class Sampler:
    """One generation's sampler chain with its own random generator and token history. One thread at a time."""

    cdef oxi.oxi_sampler *_ptr
    cdef bint _busy  # while `sample` runs without the GIL
    cdef readonly int n_vocab

    def __cinit__(
        self, int n_vocab, *, float temperature, int top_k, float top_p, float min_p, float repeat_penalty,
        int repeat_last_n, float frequency_penalty, float presence_penalty, dict logit_bias, seed
    ):
        cdef oxi.oxi_sampler_params params
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        cdef int32_t *ids = NULL
        cdef float *bias = NULL
        cdef list entries = list(logit_bias.items())  # a copy: converting a value may run code that changes the dict
        cdef size_t n = len(entries)
        cdef size_t i = 0
        params.n_vocab = n_vocab
        params.temperature = temperature
        params.top_k = top_k
        params.top_p = top_p
        params.min_p = min_p
        params.repeat_penalty = repeat_penalty
        params.repeat_last_n = repeat_last_n
        params.frequency_penalty = frequency_penalty
        params.presence_penalty = presence_penalty
        params.seed = seed & 0xFFFFFFFFFFFFFFFF
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

    def accept(self, int token):
        """Add a token (prompt or generated) to the history that the penalties use."""
        cdef oxi.oxi_error err
        self.idle()
        check(oxi.oxi_sampler_accept(self._ptr, token, &err), &err)

    def sample(self, const float[::1] logits not None, banned=()):
        """Choose a token from one row [n_vocab], without accepting it. NaN counts as -inf.

        Raises GenerationError if no logit left is above -inf.
        """
        cdef oxi.oxi_error err
        cdef oxi.oxi_status status
        cdef int32_t *ids = NULL
        cdef list values = list(banned)  # counts what the iteration yields; len() may say otherwise
        cdef size_t n = len(values)
        cdef size_t i = 0
        cdef int32_t token = -1
        if logits.shape[0] != self.n_vocab:
            raise InvalidParameterError(f"sampler: {logits.shape[0]} logits for a vocabulary of {self.n_vocab}")
        try:
            if n:
                ids = <int32_t *>malloc(n * sizeof(int32_t))
                if ids == NULL:
                    raise MemoryError("sampler: out of memory")
                for value in values:
                    ids[i] = value
                    i += 1
            self.idle()
            self._busy = True
            with nogil:
                status = oxi.oxi_sampler_sample(self._ptr, &logits[0], ids, n, &token, &err)
            self._busy = False
        finally:
            free(ids)
        check(status, &err)
        return token


def log_softmax_top(const float[::1] logits not None, int token, int n_top):
    """(log-probability of `token`, the n_top most likely (id, log-probability), best first) of one row.

    An n_top beyond the vocabulary means all of it. Raises GenerationError if no logit is above -inf.
    """
    cdef oxi.oxi_error err
    cdef oxi.oxi_status status
    cdef int32_t n_vocab = <int32_t>logits.shape[0]
    cdef int32_t n = n_vocab if n_top > n_vocab else n_top
    cdef double logprob = 0
    cdef int32_t *ids = NULL
    cdef double *values = NULL
    if n_vocab == 0 or n < 0:
        raise InvalidParameterError(f"log_softmax_top: {n} best of {n_vocab} logits")
    try:
        ids = <int32_t *>malloc((n + 1) * sizeof(int32_t))
        values = <double *>malloc((n + 1) * sizeof(double))
        if ids == NULL or values == NULL:
            raise MemoryError("log_softmax_top: out of memory")
        with nogil:
            status = oxi.oxi_log_softmax_top(&logits[0], n_vocab, token, n, &logprob, ids, values, &err)
        check(status, &err)
        return logprob, [(ids[i], values[i]) for i in range(n)]
    finally:
        free(ids)
        free(values)
