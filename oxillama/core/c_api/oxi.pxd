# The declarations of csrc/oxillama.h, name for name, one part per area. Those of its ops are in oxi_ops.pxd.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from oxillama.core.c_api.oxi_ops cimport *

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

    oxi_status oxi_pool_open(oxi_pool **out, int n_threads, const int *cpus, oxi_error *err)
    void oxi_pool_close(oxi_pool **pool)
    int oxi_pool_size(const oxi_pool *pool)

    # --- file formats and kernels
    ctypedef struct oxi_type_info:
        const char *name
        uint32_t block
        uint32_t block_size

    const oxi_type_info *oxi_type_describe(uint32_t type)
    oxi_status oxi_dequantize(uint32_t type, const void *src, uint64_t n, float *dst, oxi_error *err)
    ctypedef struct oxi_quantizer:
        pass

    bint oxi_quantizable(uint32_t type)
    oxi_status oxi_quantizer_open(oxi_quantizer **out, uint32_t type, oxi_error *err)
    void oxi_quantizer_close(oxi_quantizer **quantizer)
    oxi_status oxi_quantizer_rows(const oxi_quantizer *q, const float *src, uint64_t n_rows, uint64_t n_cols,
                                  const float *importance, void *dst, oxi_error *err)
    oxi_status oxi_kernels_init(const char *forced, oxi_error *err)
    const char *oxi_kernels_name()
    const char *const *oxi_kernels_available()

    # --- text
    ctypedef struct oxi_spm:
        pass

    oxi_status oxi_spm_open(oxi_spm **out, const char *bytes, const uint64_t *ends, const float *scores,
                            size_t n_tokens, uint64_t seed, oxi_error *err)
    void oxi_spm_close(oxi_spm **spm)
    oxi_status oxi_spm_encode(const oxi_spm *spm, const char *text, size_t n, int32_t *out, size_t *n_out,
                              oxi_error *err)

    # --- sampling
    ctypedef struct oxi_sampler:
        pass

    const int32_t OXI_CHAIN_COUNT
    const char *oxi_chain_step_name(int32_t step)

    ctypedef struct oxi_sampler_params:
        int32_t n_vocab, n_steps, top_k, repeat_last_n, dry_allowed_length, dry_penalty_last_n, mirostat
        uint8_t *steps
        float temperature, dynatemp_range, dynatemp_exponent, top_p, min_p, typical_p, top_a, top_n_sigma
        float epsilon_cutoff, eta_cutoff, xtc_probability, xtc_threshold
        float repeat_penalty, frequency_penalty, presence_penalty, dry_multiplier, dry_base, mirostat_tau, mirostat_eta
        uint64_t seed

    oxi_status oxi_sampler_open(oxi_sampler **out, const oxi_sampler_params *params, const int32_t *bias_ids,
                                const float *bias, size_t n_bias, oxi_error *err)
    void oxi_sampler_close(oxi_sampler **sampler)
    oxi_status oxi_sampler_accept(oxi_sampler *sampler, int32_t token, bint breaks, oxi_error *err)
    ctypedef struct oxi_choice:
        oxi_sampler *sampler
        const float *logits
        const int32_t *banned
        size_t n_banned
        const uint32_t *allowed
        int32_t n_top, token
        double logprob
        int32_t *top_ids
        double *top_logprobs
        oxi_status status
        oxi_error err
    ctypedef struct oxi_chooser:
        pass

    oxi_status oxi_chooser_open(oxi_chooser **out, int32_t n_vocab, int n_threads, oxi_error *err)
    void oxi_chooser_close(oxi_chooser **chooser)
    oxi_status oxi_choose(oxi_chooser *chooser, oxi_pool *pool, oxi_choice *const *choices, size_t n, oxi_error *err)

    # --- GGUF files
    const unsigned int OXI_TYPE_COUNT

    ctypedef enum oxi_meta_type:
        OXI_META_U8
        OXI_META_I8
        OXI_META_U16
        OXI_META_I16
        OXI_META_U32
        OXI_META_I32
        OXI_META_F32
        OXI_META_BOOL
        OXI_META_STRING
        OXI_META_ARRAY
        OXI_META_U64
        OXI_META_I64
        OXI_META_F64

    ctypedef struct oxi_gguf:
        pass

    ctypedef struct oxi_meta:
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
    uint64_t oxi_gguf_n_meta(const oxi_gguf *file)
    const oxi_meta *oxi_gguf_meta(const oxi_gguf *file, uint64_t index)
    const oxi_meta *oxi_gguf_find_meta(const oxi_gguf *file, const char *key)
    void oxi_gguf_next(const oxi_meta *array, const uint8_t **at, oxi_meta *item)
    uint64_t oxi_gguf_n_tensors(const oxi_gguf *file)
    const oxi_tensor *oxi_gguf_tensor(const oxi_gguf *file, uint64_t index)
    const oxi_tensor *oxi_gguf_find_tensor(const oxi_gguf *file, const char *name)
    uint64_t oxi_gguf_file_bytes(const oxi_gguf *file)
    oxi_status oxi_gguf_check(const oxi_gguf *file, oxi_error *err)
    void oxi_gguf_release(const oxi_gguf *file, const oxi_tensor *tensor)

    # --- programs
    int OXI_MAX_KV_HEADS
    int OXI_MAX_HEAD_DIM
    oxi_status oxi_program_open(oxi_program **out, oxi_error *err)
    void oxi_program_close(oxi_program **program)
    oxi_status oxi_program_buffer(oxi_program *p, int32_t slot, int32_t width, int32_t *id, oxi_error *err)
    oxi_status oxi_program_vector(oxi_program *p, const float *values, int64_t n, int32_t *id, oxi_error *err)
    oxi_status oxi_program_table(oxi_program *p, const oxi_tensor *tensor, int32_t *id, oxi_error *err)
    oxi_status oxi_program_matrix(oxi_program *p, const oxi_tensor *tensor, int32_t n_experts, int64_t first_row,
                                  int64_t n_rows, int32_t *id, oxi_error *err)
    oxi_status oxi_program_cache(oxi_program *p, int32_t n_head, int32_t key_dim, int32_t value_dim, int32_t window,
                                 bint shared, int32_t *id, oxi_error *err)
    oxi_status oxi_program_state(oxi_program *p, int32_t n_floats, int32_t *id, oxi_error *err)
    oxi_status oxi_program_op(oxi_program *p, const oxi_op *op, oxi_error *err)
    oxi_status oxi_program_results(oxi_program *p, oxi_view logits, oxi_view hidden, oxi_error *err)
    int32_t oxi_program_n_matrices(const oxi_program *p)
    uint64_t oxi_program_matrix_bytes(const oxi_program *p, int32_t matrix)
    const char *oxi_reading_name(int32_t reading)
    int32_t oxi_program_reading(const oxi_program *p, int32_t matrix, bint several)
    oxi_status oxi_program_read_as(oxi_program *p, int32_t matrix, bint several, int32_t reading,
                                   oxi_error *err)
    uint32_t oxi_program_matrix_type(const oxi_program *p, int32_t matrix)
    oxi_status oxi_program_compare_readings(const oxi_program *p, uint32_t type, bint several, int32_t n_rounds,
                                            oxi_pool *pool, double *rates, oxi_error *err)
    oxi_status oxi_program_reserve(oxi_program *p, oxi_error *err)
    oxi_status oxi_program_pack(oxi_program *p, int32_t matrix, oxi_pool *pool, const oxi_gguf *file, oxi_error *err)

    # --- runners
    ctypedef enum oxi_cache_type:
        OXI_CACHE_F32
        OXI_CACHE_F16
        OXI_CACHE_I16
        OXI_CACHE_Q8_0

    int OXI_PAGE_TOKENS
    oxi_cache_type oxi_cache_quick()
    uint64_t oxi_cache_head_bytes(oxi_cache_type type, int32_t key_dim, int32_t value_dim, bint shared)

    ctypedef struct oxi_runner_config:
        int32_t n_vocab
        int32_t n_embd
        int32_t n_batch
        int32_t n_ctx
        int32_t n_pages
        int32_t n_seqs
        int32_t cache_type
        int32_t n_active
        int32_t n_saved

    ctypedef struct oxi_runner:
        pass

    ctypedef struct oxi_batch:
        const int32_t *tokens
        const uint8_t *outputs
        const int32_t *seqs
        const int32_t *counts
        int32_t n_tokens
        int32_t n_runs

    oxi_status oxi_runner_open(oxi_runner **out, oxi_program *p, oxi_pool *pool, const oxi_runner_config *config,
                               oxi_error *err)
    void oxi_runner_close(oxi_runner **runner)
    void oxi_runner_end(oxi_runner *r)
    oxi_status oxi_seq_open(oxi_runner *r, int32_t *seq, oxi_error *err)
    oxi_status oxi_seq_close(oxi_runner *r, int32_t seq, oxi_error *err)
    oxi_status oxi_seq_len(const oxi_runner *r, int32_t seq, int32_t *n_tokens, oxi_error *err)
    oxi_status oxi_seq_reserve(oxi_runner *r, int32_t seq, int32_t n_tokens, oxi_error *err)
    oxi_status oxi_seq_truncate(oxi_runner *r, int32_t seq, int32_t n_tokens, oxi_error *err)
    oxi_status oxi_seq_fork(oxi_runner *r, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err)
    oxi_status oxi_seq_reusable(const oxi_runner *r, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err)
    oxi_status oxi_seq_checkpoint(oxi_runner *r, int32_t seq, int32_t *kept, oxi_error *err)
    int32_t oxi_seq_pages(const oxi_runner *r, int32_t seq, int32_t *pages, int32_t n)
    int32_t oxi_runner_free_pages(const oxi_runner *r)
    uint64_t oxi_runner_cache_bytes(const oxi_runner *r)
    ctypedef struct oxi_class_info:
        int32_t window
        int32_t n_pages
        int32_t n_free
        size_t page_bytes

    bint oxi_runner_class(const oxi_runner *r, int32_t kind, oxi_class_info *info)
    int32_t oxi_window_pages(int32_t window, int32_t n_pages, int32_t n_batch, int32_t n_active, int32_t n_saved)
    int32_t oxi_state_blocks(int32_t n_active, int32_t n_saved)
    int32_t oxi_runner_free_states(const oxi_runner *r)
    uint64_t oxi_runner_state_bytes(const oxi_runner *r)
    oxi_status oxi_runner_step(oxi_runner *r, const oxi_batch *batch, int32_t *n_outputs, oxi_error *err)
    const float *oxi_runner_logits(const oxi_runner *r, int64_t *stride)
    const float *oxi_runner_hidden(const oxi_runner *r, int64_t *stride)
    void oxi_runner_cancel(oxi_runner *r)
    oxi_status oxi_runner_observe(oxi_runner *r, oxi_error *err)
    const oxi_tensor *oxi_runner_observed(const oxi_runner *r, int32_t matrix, int32_t *n_experts, int64_t *n_cols,
                                          const double **sums, const int64_t **counts)
    ctypedef struct oxi_op_times:
        uint64_t waited
        uint64_t prepared
        uint64_t worked

    oxi_status oxi_runner_clock(oxi_runner *r, oxi_error *err)
    const oxi_op_times *oxi_runner_clocked(const oxi_runner *r, int32_t thread, int32_t *n_ops)
    ctypedef struct oxi_pool_counts:
        uint64_t barriers
        uint64_t sleeps
        uint64_t wakes
        uint64_t caller_wakes

    oxi_pool_counts oxi_pool_counted(const oxi_pool *pool)
