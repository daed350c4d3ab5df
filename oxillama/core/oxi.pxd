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

    # --- thread pool
    ctypedef struct oxi_pool:
        pass

    oxi_status oxi_pool_open(oxi_pool **out, int n_threads, oxi_error *err)
    void oxi_pool_close(oxi_pool **pool)
    int oxi_pool_size(const oxi_pool *pool)

    # --- file formats and kernel rows
    ctypedef struct oxi_type_info:
        const char *name
        uint32_t block
        uint32_t block_size

    const oxi_type_info *oxi_type_describe(uint32_t type)
    oxi_status oxi_dequantize(uint32_t type, const void *src, uint64_t n, float *dst, oxi_error *err)
    oxi_status oxi_quantize(uint32_t type, const float *src, uint64_t n, void *dst, oxi_error *err)
    oxi_status oxi_kernels_init(const char *forced, oxi_error *err)
    const char *oxi_kernels_name()
    const char *const *oxi_kernels_available()

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

    # --- GGUF files
    const unsigned int OXI_TYPE_COUNT

    ctypedef enum oxi_kv_type:
        OXI_KV_U8
        OXI_KV_I8
        OXI_KV_U16
        OXI_KV_I16
        OXI_KV_U32
        OXI_KV_I32
        OXI_KV_F32
        OXI_KV_BOOL
        OXI_KV_STRING
        OXI_KV_ARRAY
        OXI_KV_U64
        OXI_KV_I64
        OXI_KV_F64

    ctypedef struct oxi_gguf:
        pass

    ctypedef struct oxi_kv:
        const char *key
        uint64_t key_len
        uint32_t type
        uint32_t elem
        uint64_t n
        const uint8_t *data

    ctypedef struct oxi_tensor:
        const char *name
        uint32_t type
        uint32_t n_dims
        uint64_t ne[4]
        uint64_t n_elements
        uint64_t n_bytes
        const uint8_t *data
        uint32_t shard

    oxi_status oxi_gguf_open(oxi_gguf **out, const char *path, oxi_error *err)
    void oxi_gguf_close(oxi_gguf **file)
    uint64_t oxi_gguf_n_kv(const oxi_gguf *file)
    const oxi_kv *oxi_gguf_kv(const oxi_gguf *file, uint64_t index)
    const oxi_kv *oxi_gguf_find_kv(const oxi_gguf *file, const char *key)
    void oxi_gguf_next(const oxi_kv *array, const uint8_t **at, oxi_kv *item)
    uint64_t oxi_gguf_n_tensors(const oxi_gguf *file)
    const oxi_tensor *oxi_gguf_tensor(const oxi_gguf *file, uint64_t index)
    const oxi_tensor *oxi_gguf_find_tensor(const oxi_gguf *file, const char *name)
    uint64_t oxi_gguf_file_bytes(const oxi_gguf *file)
    oxi_status oxi_gguf_check(const oxi_gguf *file, oxi_error *err)
    void oxi_gguf_release(const oxi_gguf *file, const oxi_tensor *tensor)
