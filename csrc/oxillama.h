/* The C API of oxillama, all of it: what the Python binding may call, and nothing else.
 *
 * Rules. Every fallible function returns oxi_status and fills `err` (never NULL) with one line that names the file, key
 * or tensor. Nothing aborts, prints or exits. Handles are opaque; close functions take the address of the handle, accept
 * NULL and half-built objects, and leave NULL behind. Strings are UTF-8 and not owned by the caller unless said so.
 */
#ifndef OXILLAMA_H
#define OXILLAMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define OXI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define OXI_PRINTF(fmt, args)
#endif

/* ------------------------------------------------------------------------------------------------ errors (platform/) */

/* Values never change: the binding maps each to one exception class. */
typedef enum oxi_status {
    OXI_OK = 0,
    OXI_ERR_ARGUMENT = 1,    /* the caller's value is out of range */
    OXI_ERR_IO = 2,          /* the system refused; sys_errno says why */
    OXI_ERR_FORMAT = 3,      /* the file is damaged, hostile or wrong */
    OXI_ERR_UNSUPPORTED = 4, /* the file is well formed, and this build cannot run it */
    OXI_ERR_NOMEM = 5,
    OXI_ERR_KV_FULL = 6,     /* no free KV pages: nothing was changed */
    OXI_ERR_CANCELLED = 7,
    OXI_ERR_NUMERIC = 8,     /* all logits are NaN */
} oxi_status;

typedef struct oxi_error {
    oxi_status code;
    int sys_errno;
    char text[480];
} oxi_error;

/* Fill `err` and return `code`, so that a failing function ends in `return oxi_fail(err, …)`. */
oxi_status oxi_fail(oxi_error *err, oxi_status code, const char *fmt, ...) OXI_PRINTF(3, 4);

/* ------------------------------------------------------------------------------------------- thread pool (platform/) */

/* Persistent threads that spin briefly and then sleep; idle costs no CPU. One job at a time. The caller is thread 0. */
typedef struct oxi_pool oxi_pool;
typedef void oxi_job(void *arg, int thread, int n_threads);

oxi_status oxi_pool_open(oxi_pool **out, int n_threads, oxi_error *err);
void oxi_pool_close(oxi_pool **pool);
int oxi_pool_size(const oxi_pool *pool);
void oxi_pool_run(oxi_pool *pool, oxi_job *job, void *arg); /* returns when every thread has left `job` */
void oxi_pool_barrier(oxi_pool *pool);                      /* inside a job: every thread must call it equally often */
uint64_t oxi_pool_barriers(const oxi_pool *pool);           /* how many barriers have been passed, for measurements */

/* ------------------------------------------------------------------------------------------------ GGUF files (gguf/) */

/* Tensor types as GGUF numbers them. */
typedef enum oxi_type {
    OXI_TYPE_F32 = 0, OXI_TYPE_F16 = 1, OXI_TYPE_Q4_0 = 2, OXI_TYPE_Q4_1 = 3, OXI_TYPE_Q5_0 = 6, OXI_TYPE_Q5_1 = 7,
    OXI_TYPE_Q8_0 = 8, OXI_TYPE_Q8_1 = 9, OXI_TYPE_Q2_K = 10, OXI_TYPE_Q3_K = 11, OXI_TYPE_Q4_K = 12,
    OXI_TYPE_Q5_K = 13, OXI_TYPE_Q6_K = 14, OXI_TYPE_Q8_K = 15, OXI_TYPE_IQ2_XXS = 16, OXI_TYPE_IQ2_XS = 17,
    OXI_TYPE_IQ3_XXS = 18, OXI_TYPE_IQ1_S = 19, OXI_TYPE_IQ4_NL = 20, OXI_TYPE_IQ3_S = 21, OXI_TYPE_IQ2_S = 22,
    OXI_TYPE_IQ4_XS = 23, OXI_TYPE_I8 = 24, OXI_TYPE_I16 = 25, OXI_TYPE_I32 = 26, OXI_TYPE_I64 = 27,
    OXI_TYPE_F64 = 28, OXI_TYPE_IQ1_M = 29, OXI_TYPE_BF16 = 30, OXI_TYPE_TQ1_0 = 34, OXI_TYPE_TQ2_0 = 35,
    OXI_TYPE_MXFP4 = 39, OXI_TYPE_NVFP4 = 40, OXI_TYPE_Q1_0 = 41, OXI_TYPE_Q2_0 = 42,
    OXI_TYPE_COUNT = 43,
} oxi_type;

typedef struct oxi_type_info {
    const char *name;    /* "Q4_K"; NULL: a number GGUF does not define */
    uint32_t block;      /* weights per block */
    uint32_t block_size; /* bytes per block; 0: known by name only, its size is unknown to this build */
} oxi_type_info;

/* Never NULL, for any number a file may hold. */
const oxi_type_info *oxi_type_describe(uint32_t type);

/* Metadata value types as GGUF numbers them. */
typedef enum oxi_kv_type {
    OXI_KV_U8 = 0, OXI_KV_I8 = 1, OXI_KV_U16 = 2, OXI_KV_I16 = 3, OXI_KV_U32 = 4, OXI_KV_I32 = 5, OXI_KV_F32 = 6,
    OXI_KV_BOOL = 7, OXI_KV_STRING = 8, OXI_KV_ARRAY = 9, OXI_KV_U64 = 10, OXI_KV_I64 = 11, OXI_KV_F64 = 12,
} oxi_kv_type;

/* An open model: one file or all shards of one, mapped read-only. Threads may share it. */
typedef struct oxi_gguf oxi_gguf;

/* A value inside the mapping. Scalars: `data` points at the (unaligned) little-endian bytes. Strings: `data`/`n` are its
 * bytes. Arrays: `elem` is the element type, `n` the count, `data` the first element's bytes (strings and nested arrays
 * keep their own headers: walk them with oxi_gguf_next). */
typedef struct oxi_kv {
    const char *key;
    uint64_t key_len;
    uint32_t type, elem;
    uint64_t n;
    const uint8_t *data;
} oxi_kv;

typedef struct oxi_tensor {
    const char *name; /* NUL-terminated, owned by the file */
    uint32_t type;
    uint32_t n_dims;
    uint64_t ne[4]; /* as in the file: ne[0] is the contiguous (input) dimension; unused ones are 1 */
    uint64_t n_elements, n_bytes;
    const uint8_t *data; /* in the mapping; the whole extent has been checked against the file */
    uint32_t shard;
} oxi_tensor;

oxi_status oxi_gguf_open(oxi_gguf **out, const char *path, oxi_error *err);
void oxi_gguf_close(oxi_gguf **file);
uint64_t oxi_gguf_n_kv(const oxi_gguf *file);
const oxi_kv *oxi_gguf_kv(const oxi_gguf *file, uint64_t index);
const oxi_kv *oxi_gguf_find_kv(const oxi_gguf *file, const char *key);
/* Step through an array of strings or arrays that the opening has already checked: fills `item` and moves `*at`. */
void oxi_gguf_next(const oxi_kv *array, const uint8_t **at, oxi_kv *item);
uint64_t oxi_gguf_n_tensors(const oxi_gguf *file);
const oxi_tensor *oxi_gguf_tensor(const oxi_gguf *file, uint64_t index);
const oxi_tensor *oxi_gguf_find_tensor(const oxi_gguf *file, const char *name);
uint64_t oxi_gguf_file_bytes(const oxi_gguf *file); /* all shards together */
/* Reading a tensor of a file that was cut short after it was opened kills the process (SIGBUS). Call this before long
 * reads: it fails once that has happened. A file replaced by renaming another over it is safe. */
oxi_status oxi_gguf_check(const oxi_gguf *file, oxi_error *err);
/* Give a tensor's mapped pages back to the system; reading them again is slow but legal. */
void oxi_gguf_release(const oxi_gguf *file, const oxi_tensor *tensor);

/* -------------------------------------------------------------------------------------------- file formats (quant/) */

/* Decode `n` weights (a multiple of the type's block) to float32, bit for bit what the format's definition says. */
oxi_status oxi_dequantize(uint32_t type, const void *src, uint64_t n, float *dst, oxi_error *err);
/* The reverse, for test models and benchmark files: simple, correct, not the last word in quality. */
oxi_status oxi_quantize(uint32_t type, const float *src, uint64_t n, void *dst, oxi_error *err);

/* ------------------------------------------------------------------------------------------- kernel rows (kernels/) */

/* The row in use, chosen once: the best the CPU has, or what OXILLAMA_ISA asks for. Unknown or impossible: an error. */
oxi_status oxi_kernels_init(const char *forced, oxi_error *err);
const char *oxi_kernels_name(void);
/* Names of all rows this CPU can execute, slowest first; NULL at the end. */
const char *const *oxi_kernels_available(void);

/* ---------------------------------------------------------------------------------------------- sampling (sample/) */

/* One generation's sampler chain, in this order: penalties, bias, bans, temperature, top-k, top-p, min-p, draw.
 * One thread at a time. The same seed and logits give the same tokens on every platform. */
typedef struct oxi_sampler oxi_sampler;

typedef struct oxi_sampler_params {
    int32_t n_vocab;
    float temperature;        /* 0: the most likely token, ties to the lowest id */
    int32_t top_k;            /* 0: off */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off; else drop what is less likely than min_p times the most likely */
    float repeat_penalty;     /* 1: off; positive logits are divided by it, others multiplied */
    int32_t repeat_last_n;    /* how many of the latest tokens all three penalties look at; -1: all */
    float frequency_penalty;  /* subtracted once per occurrence */
    float presence_penalty;   /* subtracted once */
    uint64_t seed;
} oxi_sampler_params;

/* `bias[i]` is added to the logit of `bias_ids[i]`; both are copied. */
oxi_status oxi_sampler_open(oxi_sampler **out, const oxi_sampler_params *params, const int32_t *bias_ids,
                            const float *bias, size_t n_bias, oxi_error *err);
void oxi_sampler_close(oxi_sampler **sampler);
/* Add a token of the prompt or of the answer to the history that the penalties look at. */
oxi_status oxi_sampler_accept(oxi_sampler *sampler, int32_t token, oxi_error *err);
/* Choose from logits [n_vocab], never one of `banned`. NaN counts as -inf. OXI_ERR_NUMERIC: nothing above -inf is left. */
oxi_status oxi_sampler_sample(oxi_sampler *sampler, const float *logits, const int32_t *banned, size_t n_banned,
                              int32_t *token, oxi_error *err);
/* Log-probability of `token`, and the `n_top` (at most n_vocab) most likely tokens, best first. Summed in float64. */
oxi_status oxi_log_softmax_top(const float *logits, int32_t n_vocab, int32_t token, int32_t n_top, double *logprob,
                               int32_t *top_ids, double *top_logprobs, oxi_error *err);

#endif
