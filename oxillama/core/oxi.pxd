# csrc/oxillama.h again, name for name; each area adds its part.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "oxillama.h" nogil:
    ctypedef enum oxi_status:
        OXI_OK
        OXI_ERR_ARGUMENT
        OXI_ERR_IO
        OXI_ERR_FORMAT
        OXI_ERR_UNSUPPORTED
        OXI_ERR_NOMEM
        OXI_ERR_KV_FULL
        OXI_ERR_CANCELLED
        OXI_ERR_NUMERIC

    ctypedef struct oxi_error:
        oxi_status code
        int sys_errno
        char text[480]

    oxi_status oxi_fail(oxi_error *err, oxi_status code, const char *fmt, ...)

    # --- sampling
    ctypedef struct oxi_sampler:
        pass

    ctypedef struct oxi_sampler_params:
        int32_t n_vocab
        float temperature
        int32_t top_k
        float top_p
        float min_p
        float repeat_penalty
        int32_t repeat_last_n
        float frequency_penalty
        float presence_penalty
        uint64_t seed

    oxi_status oxi_sampler_open(oxi_sampler **out, const oxi_sampler_params *params, const int32_t *bias_ids,
                                const float *bias, size_t n_bias, oxi_error *err)
    void oxi_sampler_close(oxi_sampler **sampler)
    oxi_status oxi_sampler_accept(oxi_sampler *sampler, int32_t token, oxi_error *err)
    oxi_status oxi_sampler_sample(oxi_sampler *sampler, const float *logits, const int32_t *banned, size_t n_banned,
                                  int32_t *token, oxi_error *err)
    oxi_status oxi_log_softmax_top(const float *logits, int32_t n_vocab, int32_t token, int32_t n_top,
                                   double *logprob, int32_t *top_ids, double *top_logprobs, oxi_error *err)
