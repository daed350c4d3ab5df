/* Run by test_memory.py, under the sanitizers: a small program with every kind of op is built, packed, stepped and
 * closed while each of its allocations fails in turn. Every failure must say so, hand out no handle and leave nothing
 * allocated; the run that succeeds must give finite logits. Linked with --wrap for the allocating functions, and with the
 * generic kernels alone. */
#include "kernels/attention/fetching.h"
#include "graph/program.h"
#include "kernels/isa/isa.h"
#include "kernels/vec/vec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { VOCAB = 20, WIDTH = 32, EXPERTS = 3, INNER = 24, HEADS = 4, DIM = 8, SLOTS = 16, LONGEST = 40 };

const oxi_kernels *oxi_kernels_get(void) { return &oxi_kernels_generic; }
const oxi_reading *oxi_kernels_reading(bool several) { (void)several; return &oxi_readings[OXI_READING_TURNS]; }
const struct oxi_fetching *oxi_kernels_fetching(void) { return &oxi_fetchings[OXI_FETCHING_TURNS]; }
const char *oxi_kernels_name(void) { return "generic"; }
void oxi_gguf_release(const oxi_gguf *file, const oxi_tensor *tensor) { (void)file; (void)tensor; }

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void *__real_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset);

static long allowed = -1; /* allocations before the one that fails; below 0: none fails */

static int fails(void) { return allowed >= 0 && allowed-- == 0; }

void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t n) { return fails() ? NULL : __real_realloc(old, n); }

void *__wrap_aligned_alloc(size_t alignment, size_t n) { return fails() ? NULL : __real_aligned_alloc(alignment, n); }

void *__wrap_mmap(void *at, size_t n, int protection, int flags, int file, off_t offset)
{
    return fails() ? MAP_FAILED : __real_mmap(at, n, protection, flags, file, offset);
}

static float weights[EXPERTS * INNER * WIDTH * 2];

static oxi_tensor tensor(const char *name, uint64_t columns, uint64_t rows, uint64_t n)
{
    return (oxi_tensor){.name = name, .type = OXI_TYPE_F32, .n_dims = 3, .ne = {columns, rows, n, 1},
                        .n_elements = columns * rows * n, .n_bytes = columns * rows * n * 4, .data = (void *)weights};
}

#define TRY(call) do { status = (call); if (status != OXI_OK) return status; } while (0)

/* Views of one buffer each, in the order they are made. */
static oxi_status views(oxi_program *p, oxi_view *view, const int32_t *widths, int32_t n, oxi_error *err)
{
    oxi_status status = OXI_OK;
    for (int32_t i = 0; i < n; i++) {
        TRY(oxi_program_buffer(p, i, widths[i], &view[i].buffer, err));
        view[i].column = 0;
        view[i].width = widths[i];
    }
    return status;
}

static oxi_status add(oxi_program *p, oxi_op_kind kind, oxi_rows rows, const void *fields, size_t size, oxi_error *err)
{
    oxi_op op = {.kind = kind, .rows = rows};
    memcpy(&op.as, fields, size);
    return oxi_program_op(p, &op, err);
}

#define ADD(kind, rows, ...) TRY(add(p, kind, rows, &(__VA_ARGS__), sizeof(__VA_ARGS__), err))

static oxi_status describe(oxi_program *p, const oxi_tensor *t, oxi_error *err)
{
    const oxi_view none = {.buffer = -1};
    const int32_t widths[] = {WIDTH, DIM, WIDTH, WIDTH, WIDTH, WIDTH, EXPERTS, WIDTH, WIDTH, VOCAB, WIDTH};
    enum { X, TABLE, Q, K, V, A, ROUTER, MIXED, PICKED, LOGITS, CAPPED, N };
    oxi_view v[N];
    oxi_status status = views(p, v, widths, N, err);
    if (status != OXI_OK) return status;
    int32_t table, square, head, router, up, down, cache, state, norm, frequencies;
    TRY(oxi_program_table(p, &t[0], &table, err));
    TRY(oxi_program_matrix(p, &t[1], (int32_t)t[1].ne[2], 0, (int64_t)t[1].ne[1], &square, err));
    TRY(oxi_program_matrix(p, &t[2], (int32_t)t[2].ne[2], 0, (int64_t)t[2].ne[1], &head, err));
    TRY(oxi_program_matrix(p, &t[3], (int32_t)t[3].ne[2], 0, (int64_t)t[3].ne[1], &router, err));
    TRY(oxi_program_matrix(p, &t[4], (int32_t)t[4].ne[2], 0, (int64_t)t[4].ne[1], &up, err));
    TRY(oxi_program_matrix(p, &t[5], (int32_t)t[5].ne[2], 0, (int64_t)t[5].ne[1], &down, err));
    TRY(oxi_program_cache(p, HEADS, DIM, DIM, 9, false, &cache, err));
    TRY(oxi_program_state(p, 24, &state, err));
    TRY(oxi_program_vector(p, weights, WIDTH, &norm, err));
    TRY(oxi_program_vector(p, weights, DIM / 2, &frequencies, err));
    ADD(OXI_OP_EMBED, OXI_ROWS_TOKENS, (oxi_op_embed){.out = v[X], .table = table, .scale = 1});
    ADD(OXI_OP_ROPE_TABLE, OXI_ROWS_TOKENS, (oxi_op_rope_table){v[TABLE], frequencies, 1});
    oxi_op_linear qkv = {.x = v[X], .prologue = OXI_PROLOGUE_NORM, .n_parts = 3,
                         .norm = {v[X], none, OXI_NORM_RMS, WIDTH, norm, -1, 1e-5f}};
    for (int i = 0; i < 3; i++) qkv.part[i] = (struct oxi_linear_part){square, -1, 1, v[Q + i], none};
    ADD(OXI_OP_LINEAR, OXI_ROWS_TOKENS, qkv);
    ADD(OXI_OP_ROPE, OXI_ROWS_TOKENS, (oxi_op_rope){v[Q], v[K], v[TABLE], OXI_ROPE_PAIRS, DIM, DIM, 0});
    ADD(OXI_OP_KV_STORE, OXI_ROWS_TOKENS, (oxi_op_kv_store){v[K], v[V], cache});
    ADD(OXI_OP_ATTENTION, OXI_ROWS_TOKENS,
        (oxi_op_attention){.q = v[Q], .out = v[A], .layer = cache, .n_head = HEADS, .slopes = -1, .sinks = -1,
                           .scale = 0.3f, .window = 9, .softcap = 5});
    oxi_op_linear route = {.x = v[A], .n_parts = 1};
    route.part[0] = (struct oxi_linear_part){router, -1, 1, v[ROUTER], none};
    ADD(OXI_OP_LINEAR, OXI_ROWS_TOKENS, route);
    ADD(OXI_OP_EXPERTS, OXI_ROWS_TOKENS,
        (oxi_op_experts){.x = v[A], .logits = v[ROUTER], .out = v[MIXED], .addend = v[X], .gate = up, .up = up,
                         .down = down, .gate_bias = -1, .up_bias = -1, .down_bias = -1, .gate_scale = -1, .up_scale = -1,
                         .down_scale = -1, .selection_bias = -1, .n_expert = EXPERTS, .n_used = 2, .fn = OXI_FN_SILU,
                         .normalize = 1, .weight_scale = 1});
    ADD(OXI_OP_SELECT, OXI_ROWS_OUTPUTS, (oxi_op_select){.x = v[MIXED], .out = v[PICKED]});
    ADD(OXI_OP_SOFTCAP, OXI_ROWS_OUTPUTS, (oxi_op_softcap){v[PICKED], v[CAPPED], 3});
    oxi_op_linear out = {.x = v[CAPPED], .n_parts = 1};
    out.part[0] = (struct oxi_linear_part){head, -1, 1, v[LOGITS], none};
    ADD(OXI_OP_LINEAR, OXI_ROWS_OUTPUTS, out);
    return oxi_program_results(p, v[LOGITS], v[CAPPED], err);
}

static oxi_status step(oxi_runner *r, int32_t seq, int32_t n, oxi_error *err)
{
    int32_t tokens[LONGEST], n_outputs;
    uint8_t outputs[LONGEST];
    for (int32_t i = 0; i < n; i++) {
        tokens[i] = i % VOCAB;
        outputs[i] = 1;
    }
    const oxi_batch batch = {tokens, outputs, &seq, &n, n, 1};
    return oxi_runner_step(r, &batch, &n_outputs, err);
}

static oxi_status run(oxi_runner *r, oxi_error *err)
{
    oxi_status status = OXI_OK;
    int32_t seq, fork, kept;
    TRY(oxi_seq_open(r, &seq, err));
    TRY(step(r, seq, 37, err));
    TRY(oxi_seq_checkpoint(r, seq, &kept, err));
    TRY(step(r, seq, LONGEST - 37, err));
    TRY(oxi_seq_fork(r, seq, 37, &fork, err));
    TRY(step(r, fork, 3, err));
    TRY(step(r, fork, 1, err));
    int64_t stride;
    const float *logits = oxi_runner_logits(r, &stride);
    for (int i = 0; i < VOCAB; i++)
        if (!isfinite(logits[i])) return oxi_fail(err, OXI_ERR_NUMERIC, "logit %d is not finite", i);
    return oxi_seq_close(r, seq, err);
}

static oxi_status whole_life(oxi_pool *pool, const oxi_tensor *t, oxi_error *err)
{
    oxi_program *p = NULL;
    oxi_runner *r = NULL;
    oxi_status s = oxi_program_open(&p, err);
    if (s == OXI_OK) s = describe(p, t, err);
    if (s == OXI_OK) s = oxi_program_reserve(p, err);
    for (int32_t i = 0; s == OXI_OK && i < oxi_program_n_matrices(p); i++) s = oxi_program_pack(p, i, pool, NULL, err);
    const oxi_runner_config config = {.n_vocab = VOCAB, .n_embd = WIDTH, .n_batch = LONGEST, .n_ctx = 64, .n_pages = 4,
                                      .n_seqs = 2, .n_saved = 1, .cache_type = OXI_CACHE_F16};
    if (s == OXI_OK) s = oxi_runner_open(&r, p, pool, &config, err);
    if (s == OXI_OK) s = run(r, err);
    oxi_runner_close(&r);
    oxi_program_close(&p);
    return s;
}

int main(void)
{
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) weights[i] = (float)(i * 7919 % 1000) / 1000 - 0.45f;
    const oxi_tensor tensors[] = {
        tensor("table", WIDTH, VOCAB, 1), tensor("square", WIDTH, WIDTH, 1), tensor("head", WIDTH, VOCAB, 1),
        tensor("router", WIDTH, EXPERTS, 1), tensor("up", WIDTH, INNER, EXPERTS), tensor("down", INNER, WIDTH, EXPERTS),
    };
    oxi_error err = {0};
    oxi_pool *pool = NULL;
    if (oxi_pool_open(&pool, 2, NULL, &err) != OXI_OK) return 1;
    long n = 0;
    for (;; n++) {
        allowed = n;
        memset(&err, 0, sizeof err);
        const oxi_status status = whole_life(pool, tensors, &err);
        allowed = -1;
        if (status == OXI_OK) break;
        if (status != OXI_ERR_NOMEM || !strstr(err.text, "memory")) {
            fprintf(stderr, "allocation %ld: status %d, '%s'\n", n, (int)status, err.text);
            return 1;
        }
    }
    oxi_pool_close(&pool);
    printf("%ld allocations failed in turn\n", n);
    return n < 30;
}
