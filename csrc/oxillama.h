/* The whole C API of oxillama. The Python binding calls this and nothing else.
 *
 * Rules. Every fallible function returns oxi_status and fills `err` (never NULL) with one line that names the file, key
 * or tensor. Nothing aborts, prints or exits. Handles are opaque. Close functions take the address of the handle, accept
 * NULL and half-built objects, and set the handle to NULL. Strings are UTF-8; the caller owns none unless stated.
 */
#ifndef OXILLAMA_H
#define OXILLAMA_H

#include "oxillama_types.h"

/* ------------------------------------------------------------------------------------------- thread pool (platform/) */

/* Persistent threads that spin briefly and then sleep; idle costs no CPU. One job at a time. The caller is thread 0. */
typedef struct oxi_pool oxi_pool;
typedef void oxi_job(void *arg, int thread, int n_threads);

/* cpus: the processors that threads are bound to, [n_threads] different ones, the caller's first (while it runs a job); NULL:
 * threads run anywhere. Binding fails with OXI_ERR_ARGUMENT where this process may not run, and where the system has no means. */
oxi_status oxi_pool_open(oxi_pool **out, int n_threads, const int *cpus, oxi_error *err);
void oxi_pool_close(oxi_pool **pool);
int oxi_pool_size(const oxi_pool *pool);
/* Jobs run between claim and release. Claiming fails for a second thread, and in a forked child, which has none of the
 * pool's threads. */
oxi_status oxi_pool_claim(oxi_pool *pool, oxi_error *err);
void oxi_pool_release(oxi_pool *pool);
void oxi_pool_run(oxi_pool *pool, oxi_job *job, void *arg); /* returns when every thread has left `job` */
/* Inside a job; all threads call it the same number of times. When all have come, one of them runs `once`, if it is not NULL,
 * before any goes on. */
void oxi_pool_barrier(oxi_pool *pool, int thread, void (*once)(void *arg), void *arg);

/* What happened since the pool opened, for measurements. Threads that find their word changed while they spin neither
 * sleep nor need a system call. */
typedef struct oxi_pool_counts {
    uint64_t barriers;     /* passed */
    uint64_t sleeps;       /* of threads, at barriers and between jobs */
    uint64_t wakes;        /* system calls that woke threads */
    uint64_t caller_wakes; /* those of the caller when it started jobs */
} oxi_pool_counts;
oxi_pool_counts oxi_pool_counted(const oxi_pool *pool);

/* ------------------------------------------------------------------------------------------------ GGUF files (gguf/) */

/* Metadata value types as GGUF numbers them. */
typedef enum oxi_meta_type {
    OXI_META_U8 = 0, OXI_META_I8 = 1, OXI_META_U16 = 2, OXI_META_I16 = 3, OXI_META_U32 = 4, OXI_META_I32 = 5, OXI_META_F32 = 6,
    OXI_META_BOOL = 7, OXI_META_STRING = 8, OXI_META_ARRAY = 9, OXI_META_U64 = 10, OXI_META_I64 = 11, OXI_META_F64 = 12,
} oxi_meta_type;

/* An open model: one file or all shards of one, mapped read-only. Threads may share it. */
typedef struct oxi_gguf oxi_gguf;

/* A value inside the mapping. Scalars: `data` points at the (unaligned) little-endian bytes. Strings: `data`/`n` are its
 * bytes. Arrays: `elem` is the element type, `n` the count, `data` the first element's bytes (strings and nested arrays
 * keep their own headers: walk them with oxi_gguf_next). */
typedef struct oxi_meta {
    const char *key;
    uint64_t key_len;
    uint32_t type, elem;
    uint64_t n;
    const uint8_t *data;
} oxi_meta;

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
uint64_t oxi_gguf_n_meta(const oxi_gguf *file);
const oxi_meta *oxi_gguf_meta(const oxi_gguf *file, uint64_t index);
const oxi_meta *oxi_gguf_find_meta(const oxi_gguf *file, const char *key);
/* Step through an array of strings or arrays, which opening the file has checked: fills `item` and advances `*at`. */
void oxi_gguf_next(const oxi_meta *array, const uint8_t **at, oxi_meta *item);
uint64_t oxi_gguf_n_tensors(const oxi_gguf *file);
const oxi_tensor *oxi_gguf_tensor(const oxi_gguf *file, uint64_t index);
const oxi_tensor *oxi_gguf_find_tensor(const oxi_gguf *file, const char *name);
uint64_t oxi_gguf_file_bytes(const oxi_gguf *file); /* all shards together */
/* Reading a tensor kills the process (SIGBUS) if the file was cut short after it was opened. Call this before long
 * reads: it fails once that has happened. Replacing the file by renaming another over it is safe. */
oxi_status oxi_gguf_check(const oxi_gguf *file, oxi_error *err);
/* Give a tensor's mapped pages back to the system. Reading them again is slow but allowed. */
void oxi_gguf_release(const oxi_gguf *file, const oxi_tensor *tensor);

/* -------------------------------------------------------------------------------------------- file formats (quant/) */

/* Decode `n` weights (a multiple of the type's block) to float32, bit for bit what the format's definition says. */
oxi_status oxi_dequantize(uint32_t type, const void *src, uint64_t n, float *dst, oxi_error *err);

/* Rounds weights to one type. Threads may share one. */
typedef struct oxi_quantizer oxi_quantizer;

bool oxi_quantizable(uint32_t type); /* there is a quantiser for it */
oxi_status oxi_quantizer_open(oxi_quantizer **out, uint32_t type, oxi_error *err);
void oxi_quantizer_close(oxi_quantizer **quantizer);
/* Quantise rows [n_rows, n_cols] of weights; n_cols is a multiple of the type's block. Minimises the sum of
 * importance[column] * error^2 within each block; importance NULL: all columns count alike. Every machine gives the same
 * bytes. Fails for weights that are not finite or (except for F32, F16 and BF16) exceed 65504 in magnitude, and for
 * importance that is negative or not finite. */
oxi_status oxi_quantizer_rows(const oxi_quantizer *q, const float *src, uint64_t n_rows, uint64_t n_cols,
                              const float *importance, void *dst, oxi_error *err);

/* ----------------------------------------------------------------------------------------------- kernels (kernels/) */

/* An isa is a variant of an instruction set that has kernels of its own. The one in use is chosen once: the best one for
 * this CPU, or the one OXILLAMA_ISA names. An unknown or unsupported name is an error. */
oxi_status oxi_kernels_init(const char *forced, oxi_error *err);
const char *oxi_kernels_name(void);
/* Names of all isas this CPU can execute, slowest first; NULL at the end. */
const char *const *oxi_kernels_available(void);

/* -------------------------------------------------------------------------------------------------- text (text/) */

/* The pieces of a SentencePiece BPE vocabulary. Threads may share one. */
typedef struct oxi_spm oxi_spm;

/* Piece i is bytes[ends[i - 1], ends[i]) with scores[i]; an empty piece is never found. Everything is copied. `seed`
 * should be random, so that a file cannot choose pieces that collide. Fails for a NaN score. */
oxi_status oxi_spm_open(oxi_spm **out, const char *bytes, const uint64_t *ends, const float *scores, size_t n_tokens,
                        uint64_t seed, oxi_error *err);
void oxi_spm_close(oxi_spm **spm);
/* Tokens of a UTF-8 text. Each byte b of a character that no token covers becomes -1 - b. `out` has room for n. */
oxi_status oxi_spm_encode(const oxi_spm *spm, const char *text, size_t n, int32_t *out, size_t *n_out, oxi_error *err);

/* ---------------------------------------------------------------------------------------------- sampling (sample/) */

/* The sampler chain of one generation. One thread at a time. The same seed and logits give the same tokens on every
 * platform. */
typedef struct oxi_sampler oxi_sampler;

/* The steps of a chain in their usual order. sample/chain/steps.h has their definitions and sources. */
typedef enum oxi_chain_step {
    OXI_CHAIN_PENALTIES,
    OXI_CHAIN_DRY,
    OXI_CHAIN_TEMPERATURE,
    OXI_CHAIN_TOP_N_SIGMA,
    OXI_CHAIN_TOP_K,
    OXI_CHAIN_TYPICAL_P,
    OXI_CHAIN_TOP_P,
    OXI_CHAIN_MIN_P,
    OXI_CHAIN_TOP_A,
    OXI_CHAIN_EPSILON_CUTOFF,
    OXI_CHAIN_ETA_CUTOFF,
    OXI_CHAIN_XTC,
    OXI_CHAIN_COUNT,
} oxi_chain_step;

/* NULL if there is no such step. */
const char *oxi_chain_step_name(int32_t step);

typedef struct oxi_sampler_params {
    int32_t n_vocab;
    int32_t n_steps;
    uint8_t steps[OXI_CHAIN_COUNT]; /* [n_steps] different ones in any order; the others are left out. Bias and bans come
                                      before the first that is neither penalties nor dry. */
    float temperature;        /* 0: the most likely token, ties to the lowest id; ends the chain */
    float dynatemp_range;     /* 0: off; else the entropy moves the temperature by at most this */
    float dynatemp_exponent;
    int32_t top_k;            /* 0: off */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off */
    float typical_p;          /* 1: off */
    float top_a;              /* 0: off */
    float top_n_sigma;        /* 0: off */
    float epsilon_cutoff;     /* 0: off */
    float eta_cutoff;         /* 0: off */
    float xtc_probability;    /* 0: off */
    float xtc_threshold;      /* above 0.5: off */
    float repeat_penalty;     /* 1: off; positive logits are divided by it, others multiplied */
    int32_t repeat_last_n;    /* how many of the latest tokens all three penalties see; -1: all */
    float frequency_penalty;  /* subtracted once per occurrence */
    float presence_penalty;   /* subtracted once */
    float dry_multiplier;     /* 0: off */
    float dry_base;
    int32_t dry_allowed_length;
    int32_t dry_penalty_last_n; /* how many of the latest tokens DRY sees; -1: all */
    int32_t mirostat;         /* 0: off; 1, 2: the version. It replaces all filters. */
    float mirostat_tau;       /* bits of surprise */
    float mirostat_eta;
    uint64_t seed;
} oxi_sampler_params;

/* `bias[i]` is added to the logit of `bias_ids[i]`; -inf excludes the token. Both are copied. */
oxi_status oxi_sampler_open(oxi_sampler **out, const oxi_sampler_params *params, const int32_t *bias_ids,
                            const float *bias, size_t n_bias, oxi_error *err);
void oxi_sampler_close(oxi_sampler **sampler);
/* Add a token of the prompt or of the answer to what penalties and DRY look at. breaks: the token completes a sequence
 * breaker. */
oxi_status oxi_sampler_accept(oxi_sampler *sampler, int32_t token, bool breaks, oxi_error *err);

/* What to choose from one row of logits, and what was chosen. NaN counts as -inf. Logits may lie anywhere; a sampler and a
 * choice take part in one call at a time, once. */
typedef struct oxi_choice {
    oxi_sampler *sampler;  /* draws `token`, without accepting it; NULL: `token` is given */
    const float *logits;   /* [n_vocab] */
    const int32_t *banned; /* tokens that are never drawn */
    size_t n_banned;
    const uint32_t *allowed; /* [(n_vocab + 31) / 32], bit i % 32 of word i / 32: token i may be drawn; NULL: all may */
    int32_t n_top;         /* also: the token's log-probability and this many most likely tokens; below 0: neither */
    int32_t token;
    double logprob;        /* summed in float64 */
    int32_t *top_ids;      /* [n_top], best first */
    double *top_logprobs;
    oxi_status status;     /* OXI_ERR_NUMERIC: no logit left is above -inf */
    oxi_error err;         /* filled if `status` is not OXI_OK */
} oxi_choice;

/* The memory in which tokens are chosen: some for each thread. One call at a time. */
typedef struct oxi_chooser oxi_chooser;

oxi_status oxi_chooser_open(oxi_chooser **out, int32_t n_vocab, int n_threads, oxi_error *err);
void oxi_chooser_close(oxi_chooser **chooser);
/* Make n choices, each on one of the pool's threads, at most the chooser's n_threads; pool NULL: on the calling thread. A
 * result depends on its own row and sampler alone. Each choice has its own status; the call fails only as oxi_pool_claim
 * does, and then no choice was made. */
oxi_status oxi_choose(oxi_chooser *chooser, oxi_pool *pool, oxi_choice *const *choices, size_t n, oxi_error *err);

/* ------------------------------------------------------------------------------------------- programs (graph/) */

#include "oxillama_ops.h"

oxi_status oxi_program_open(oxi_program **out, oxi_error *err);
/* The functions below fail while a runner of the program is open. Matrices come before their memory is reserved. */
void oxi_program_close(oxi_program **program);
/* Each writes the new object's index to `id`. */
oxi_status oxi_program_buffer(oxi_program *p, int32_t slot, int32_t width, int32_t *id, oxi_error *err);
oxi_status oxi_program_vector(oxi_program *p, const float *values, int64_t n, int32_t *id, oxi_error *err); /* copies */
/* A table whose rows are decoded from the mapping; the file must stay open. */
oxi_status oxi_program_table(oxi_program *p, const oxi_tensor *tensor, int32_t *id, oxi_error *err);
/* Matrices to pack, one for each expert: a tensor's rows are in n_experts groups (the indices of its third dimension, or
 * equal parts of a matrix), and rows [first_row, first_row + n_rows) of each are meant. The file must stay open until they
 * are packed. */
oxi_status oxi_program_matrix(oxi_program *p, const oxi_tensor *tensor, int32_t n_experts, int64_t first_row, int64_t n_rows,
                              int32_t *id, oxi_error *err);
#define OXI_MAX_KV_HEADS 65536
#define OXI_MAX_HEAD_DIM 65536

/* One layer of the key/value cache, within the limits above: returns its index. window: how many tokens attention over it
 * sees at most, its own included; older ones are forgotten. 0: all. shared: the layer has one head, whose values are the
 * first value_dim dimensions of its keys and are kept once. */
oxi_status oxi_program_cache(oxi_program *p, int32_t n_head, int32_t key_dim, int32_t value_dim, int32_t window, bool shared,
                             int32_t *id, oxi_error *err);
/* A recurrent state of a layer: n_floats values of float32 for every sequence, zero for one without tokens. An op finds
 * it in graph/state.h. */
oxi_status oxi_program_state(oxi_program *p, int32_t n_floats, int32_t *id, oxi_error *err);
oxi_status oxi_program_op(oxi_program *p, const oxi_op *op, oxi_error *err); /* checks every index and width */
/* Name the buffers that hold the results: logits [outputs, n_vocab], which may be absent, and their hidden states
 * [outputs, n_embd]. */
oxi_status oxi_program_results(oxi_program *p, oxi_view logits, oxi_view hidden, oxi_error *err);
int32_t oxi_program_n_matrices(const oxi_program *p);
uint64_t oxi_program_matrix_bytes(const oxi_program *p, int32_t matrix); /* packed */
/* How a matrix is read for one or two tokens, and for several, from 3 on up to where it is unpacked first: each is one of
 * the ways that oxi_reading_name names, from 0 on until it returns NULL. The choice changes speed, never a bit of a result.
 * At first it is what suits the processor's family. */
const char *oxi_reading_name(int32_t reading);
int32_t oxi_program_reading(const oxi_program *p, int32_t matrix, bool several);
oxi_status oxi_program_read_as(oxi_program *p, int32_t matrix, bool several, int32_t reading, oxi_error *err);
/* The tensor type of a matrix, and a comparison of the ways to read those of one type, once they are packed: rates in
 * bytes per second, [n_rounds][all ways], of products of one token or of eight on the whole pool. Each product takes other
 * weights, so that caches do not matter if the type's weights are much larger than they are. */
uint32_t oxi_program_matrix_type(const oxi_program *p, int32_t matrix);
oxi_status oxi_program_compare_readings(const oxi_program *p, uint32_t type, bool several, int32_t n_rounds, oxi_pool *pool,
                                        double *rates, oxi_error *err);
/* Reserve one block of memory for all packed matrices, then pack each on the whole pool. Packing gives its mapped pages
 * back. */
oxi_status oxi_program_reserve(oxi_program *p, oxi_error *err);
oxi_status oxi_program_pack(oxi_program *p, int32_t matrix, oxi_pool *pool, const oxi_gguf *file, oxi_error *err);

/* -------------------------------------------------------------------------------------------- runners (graph/, kv/) */

/* The 16-bit type that is faster on the isa in use. */
oxi_cache_type oxi_cache_quick(void);
/* Bytes of OXI_PAGE_TOKENS positions of one head. shared: as in oxi_program_cache. */
uint64_t oxi_cache_head_bytes(oxi_cache_type type, int32_t key_dim, int32_t value_dim, bool shared);

typedef struct oxi_runner_config {
    int32_t n_vocab, n_embd; /* columns of the program's results */
    int32_t n_batch; /* most tokens in a step */
    int32_t n_ctx;   /* most tokens in a sequence */
    int32_t n_pages; /* pages of OXI_PAGE_TOKENS tokens, all sequences together */
    int32_t n_seqs;  /* most sequences at a time */
    int32_t cache_type;
    /* What windows and recurrent states are kept for beside that: */
    int32_t n_active; /* most sequences in use; 0: n_seqs */
    int32_t n_saved;  /* other sequences, and checkpoints */
} oxi_runner_config;

/* A program with memory to run in and a paged key/value cache. One thread at a time, except for oxi_runner_cancel:
 * during a step every other call fails with OXI_ERR_ARGUMENT. The program, the pool and the file must outlive the
 * runner, and the program does not change while a runner is open. */
typedef struct oxi_runner oxi_runner;

typedef struct oxi_batch {
    const int32_t *tokens;   /* [n_tokens], the runs back to back */
    const uint8_t *outputs;  /* [n_tokens], non-zero: logits wanted */
    const int32_t *seqs;     /* [n_runs] */
    const int32_t *counts;   /* [n_runs], each at least 1 */
    int32_t n_tokens, n_runs;
} oxi_batch;

oxi_status oxi_runner_open(oxi_runner **out, oxi_program *p, oxi_pool *pool, const oxi_runner_config *config,
                           oxi_error *err);
void oxi_runner_close(oxi_runner **runner);
/* Free everything except the memory that oxi_runner_logits and oxi_runner_hidden returned, which closing the runner
 * frees. Afterwards neither the program nor the pool is needed. */
void oxi_runner_end(oxi_runner *r);
oxi_status oxi_seq_open(oxi_runner *r, int32_t *seq, oxi_error *err);
oxi_status oxi_seq_close(oxi_runner *r, int32_t seq, oxi_error *err);
oxi_status oxi_seq_len(const oxi_runner *r, int32_t seq, int32_t *n_tokens, oxi_error *err);
oxi_status oxi_seq_reserve(oxi_runner *r, int32_t seq, int32_t n_tokens, oxi_error *err);
oxi_status oxi_seq_truncate(oxi_runner *r, int32_t seq, int32_t n_tokens, oxi_error *err);
oxi_status oxi_seq_fork(oxi_runner *r, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err);
/* The largest number of tokens, at most n_tokens, that the sequence can be truncated to or forked at. Without windows and
 * recurrent states that is any. With them it is the end, a checkpoint, a position whose windows are still held, or 0. */
oxi_status oxi_seq_reusable(const oxi_runner *r, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err);
/* Keep what continuing from the sequence's end takes, for the sequence and its later forks, until it is truncated before
 * that, n_saved others were used more recently, or a step needs the memory. A sequence keeps 16, spread over its length.
 * *kept is 0 without memory for it. */
oxi_status oxi_seq_checkpoint(oxi_runner *r, int32_t seq, int32_t *kept, oxi_error *err);
/* The pages of a sequence without a window, in order; returns how many it has and writes at most `n`. For tests. */
int32_t oxi_seq_pages(const oxi_runner *r, int32_t seq, int32_t *pages, int32_t n);
int32_t oxi_runner_free_pages(const oxi_runner *r); /* without a window */
uint64_t oxi_runner_cache_bytes(const oxi_runner *r); /* of all pages */
/* Pages by class of layers: class 0 has no window; false: there is no class `kind`. */
typedef struct oxi_class_info {
    int32_t window, n_pages, n_free;
    size_t page_bytes;
} oxi_class_info;

bool oxi_runner_class(const oxi_runner *r, int32_t kind, oxi_class_info *info);
/* How many pages a class of a runner gets, and how many blocks of states: what is allocated. While n_active sequences are in
 * use, they do not run out before the pages of class 0 do. */
int32_t oxi_window_pages(int32_t window, int32_t n_pages, int32_t n_batch, int32_t n_active, int32_t n_saved);
int32_t oxi_state_blocks(int32_t n_active, int32_t n_saved);
int32_t oxi_runner_free_states(const oxi_runner *r);
uint64_t oxi_runner_state_bytes(const oxi_runner *r); /* of all blocks; 0 without recurrent states */
/* The batch is copied, so its memory may change during the step. */
oxi_status oxi_runner_step(oxi_runner *r, const oxi_batch *batch, int32_t *n_outputs, oxi_error *err);
/* Row 0 of the last step's results and the distance between rows, in floats. */
const float *oxi_runner_logits(const oxi_runner *r, int64_t *stride);
const float *oxi_runner_hidden(const oxi_runner *r, int64_t *stride);
/* Make the step under way, or the next one, end with OXI_ERR_CANCELLED and change nothing. Any thread. */
void oxi_runner_cancel(oxi_runner *r);
/* From now on, sum the squares of every matrix's input: the data of an importance matrix. */
oxi_status oxi_runner_observe(oxi_runner *r, oxi_error *err);
/* The sums of one matrix of the program: sums [n_experts, n_cols] and counts [n_experts] of rows seen; later steps add
 * to both. Returns the matrix's tensor; NULL: no such matrix, or not observing. */
const oxi_tensor *oxi_runner_observed(const oxi_runner *r, int32_t matrix, int32_t *n_experts, int64_t *n_cols,
                                      const double **sums, const int64_t **counts);
/* Nanoseconds that a thread spent in one op of the program: waiting for the others before it, preparing the input of
 * products, and then working. What comes after a thread's last op is in none of them. */
typedef struct oxi_op_times {
    uint64_t waited, prepared, worked;
} oxi_op_times;

/* From now on, time every op on every thread; times of earlier steps are forgotten. A step gets microseconds slower. */
oxi_status oxi_runner_clock(oxi_runner *r, oxi_error *err);
/* The sums since then: [n_ops] of thread `thread`. NULL: no such thread, or nothing is timed. */
const oxi_op_times *oxi_runner_clocked(const oxi_runner *r, int32_t thread, int32_t *n_ops);

#endif
