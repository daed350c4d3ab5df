/* A runner's memory: measured by its program, opened and freed. */
#include "graph/state.h"
#include "graph/observe.h"
#include "graph/ops/experts/experts.h"
#include "kernels/attention/attend.h"
#include "platform/memory.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BATCH (1 << 16)

/* What the largest op of each kind needs. */
typedef struct sizes {
    size_t row, act_row, act_batch, attend, key_dim, made, part, key_heads;
    size_t experts_rows, experts_in, experts_out, experts_act, n_expert, n_used, act_few, expert_blocks;
} sizes;

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t act_bytes(const oxi_matrix *m, int64_t rows) { return oxi_act_bytes(m->act, rows, m->n_cols); }

static void measure_experts(const oxi_program *p, const oxi_op_experts *e, int32_t n_batch, sizes *z)
{
    const oxi_matrix *up = &p->weights[e->up].matrix, *down = &p->weights[e->down].matrix;
    const oxi_matrix *gate = e->gate >= 0 ? &p->weights[e->gate].matrix : up;
    const int64_t rows = (int64_t)n_batch * e->n_used;
    const int64_t busy = rows < e->n_expert ? rows : e->n_expert;
    /* Each expert's rows form a separate batch: count the rows, plus what each batch is rounded up by. */
    const oxi_matrix *all[OXI_EXPERT_PRODUCTS] = {gate, up, down};
    size_t bytes[OXI_EXPERT_PRODUCTS];
    for (int i = 0; i < OXI_EXPERT_PRODUCTS; i++) {
        bytes[i] = act_bytes(all[i], rows) + (size_t)busy * (act_bytes(all[i], 16) + OXI_ALIGN);
        z->act_few = larger(z->act_few, (act_bytes(all[i], OXI_FEW_ROWS) + OXI_ALIGN - 1) / OXI_ALIGN * OXI_ALIGN);
    }
    z->act_row = larger(z->act_row, 2 * z->act_few);
    z->experts_act = larger(z->experts_act, larger(bytes[0] + bytes[1], bytes[2]));
    z->experts_rows = larger(z->experts_rows, (size_t)rows);
    z->experts_in = larger(z->experts_in, (size_t)rows * (size_t)up->n_rows);
    z->experts_out = larger(z->experts_out, (size_t)rows * (size_t)down->n_rows);
    z->n_expert = larger(z->n_expert, (size_t)e->n_expert);
    z->n_used = larger(z->n_used, (size_t)e->n_used);
    z->expert_blocks = larger(z->expert_blocks, (size_t)down->n_panels / OXI_EXPERT_PANELS + 1);
}

static sizes measure(const oxi_program *p, int32_t n_batch, oxi_cache_type type)
{
    sizes z = {.row = 16, .made = 1, .act_row = 64, .act_batch = 64, .attend = 64, .key_dim = 1, .part = 1, .key_heads = 1};
    for (int32_t i = 0; i < p->n_ops; i++) {
        const oxi_op *op = &p->ops[i];
        if (op->kind == OXI_OP_DELTA || op->kind == OXI_OP_SCAN) z.row = larger(z.row, 2 * (size_t)n_batch); /* gates of every token */
        if (op->kind == OXI_OP_EXPERTS) measure_experts(p, &op->as.experts, n_batch, &z);
        if (op->kind == OXI_OP_ATTENTION) {
            const int32_t pad = oxi_pad16(p->caches[op->as.attention.layer].value_dim);
            z.part = larger(z.part, (size_t)op->as.attention.n_head * (size_t)oxi_attend_part(pad));
        }
        if (op->kind == OXI_OP_HEAD_LINEAR) {
            const int32_t rows = n_batch < OXI_HEAD_ROWS ? n_batch : OXI_HEAD_ROWS;
            z.act_row = larger(z.act_row, act_bytes(&p->weights[op->as.head_linear.matrix].matrix, rows));
        }
        if (op->kind != OXI_OP_LINEAR) continue;
        const oxi_op_linear *l = &op->as.linear;
        z.row = larger(z.row, (size_t)l->x.width);
        for (int32_t j = 0; j < l->n_parts; j++) {
            z.act_row = larger(z.act_row, act_bytes(&p->weights[l->part[j].matrix].matrix, 1));
            z.act_batch = larger(z.act_batch, act_bytes(&p->weights[l->part[j].matrix].matrix, n_batch));
        }
    }
    for (int32_t i = 0; i < p->n_caches; i++) {
        const oxi_cache_shape *c = &p->caches[i];
        z.row = larger(z.row, larger((size_t)c->key_dim, (size_t)c->value_dim));
        z.key_dim = larger(z.key_dim, (size_t)c->key_dim);
        z.key_heads = larger(z.key_heads, (size_t)c->n_head);
        z.attend = larger(z.attend, oxi_attend_scratch(c->key_dim, oxi_pad16(c->value_dim)));
        if (c->shared) z.made = larger(z.made, OXI_SHARED_PAGES * oxi_shared_bytes(type, c->value_dim));
    }
    return z;
}

/* True if the allocation succeeded. */
static bool get(void *at, size_t count, size_t size)
{
    void **out = at;
    return (*out = oxi_alloc_array(count, size)) != NULL;
}

static bool get_thread(oxi_thread_scratch *t, const sizes *z, const oxi_runner_config *c)
{
    const size_t all = (size_t)c->n_ctx / OXI_PAGE_TOKENS, pages = (all < (size_t)c->n_pages ? all : (size_t)c->n_pages) + 2;
    return get(&t->row, z->row + 16, sizeof(float)) && get(&t->activations, z->act_row, 1)
        && get(&t->matmul, OXI_MATMUL_SCRATCH, 1) && get(&t->attend, z->attend, 1)
        && get(&t->queries, OXI_ATTEND_ROWS * z->key_dim, sizeof(float)) && get(&t->keys, pages, sizeof(void *))
        && get(&t->values, pages, sizeof(void *)) && get(&t->made, z->made, 1);
}

static bool get_experts(oxi_runner *r, const sizes *z)
{
    oxi_expert_scratch *x = &r->experts;
    if (!z->n_expert) return true;
    for (int i = 0; i < r->n_threads; i++)
        if (!oxi_expert_order_open(&r->threads[i].order, z->n_used, z->n_expert)) return false;
    x->act_few = z->act_few;
    return oxi_expert_order_open(&x->order, z->experts_rows, z->n_expert) && get(&x->gate, z->experts_in, sizeof(float))
        && get(&x->up, z->experts_in, sizeof(float)) && get(&x->down, z->experts_out, sizeof(float))
        && get(&x->act, z->experts_act, 1) && get(&x->done, z->expert_blocks, sizeof *x->done);
}

static bool get_slots(oxi_runner *r)
{
    const oxi_program *p = r->program;
    if (!get(&r->slots, (size_t)p->n_slots, sizeof *r->slots)) return false;
    r->n_slots = p->n_slots;
    for (int32_t i = 0; i < p->n_slots; i++) {
        int64_t widest = 0;
        for (int32_t b = 0; b < p->n_buffers; b++)
            if (p->buffers[b].slot == i && p->buffers[b].stride > widest) widest = p->buffers[b].stride;
        if (!get(&r->slots[i], (size_t)widest * (size_t)r->config.n_batch, sizeof(float))) return false;
    }
    return true;
}

/* Memory for attention that is cut by blocks of keys. */
static bool get_parts(oxi_runner *r, const sizes *z)
{
    const oxi_program *p = r->program;
    const int64_t room = (int64_t)r->config.n_pages * OXI_PAGE_TOKENS;
    const int64_t longest = room < r->config.n_ctx ? room : r->config.n_ctx;
    r->part_blocks = (int32_t)((longest - 1) / OXI_ATTEND_KEYS + 1);
    int32_t heads = OXI_MAX_KV_HEADS;
    for (int32_t i = 0; i < p->n_caches; i++)
        if (p->caches[i].n_head < heads) heads = p->caches[i].n_head;
    const size_t run_bytes = (size_t)r->part_blocks * z->part * sizeof(float);
    int64_t runs = OXI_SPLIT_TASKS * r->n_threads / heads;
    if (runs > (int64_t)(OXI_SPLIT_BYTES / run_bytes)) runs = (int64_t)(OXI_SPLIT_BYTES / run_bytes);
    if (runs > r->config.n_batch) runs = r->config.n_batch;
    r->split_runs = runs > OXI_SPLIT_RUNS ? (int32_t)runs : OXI_SPLIT_RUNS;
    return get(&r->parts, (size_t)r->split_runs, run_bytes) && get(&r->joined, (size_t)r->split_runs * z->key_heads, sizeof *r->joined);
}

static bool get_memory(oxi_runner *r)
{
    const sizes z = measure(r->program, r->config.n_batch, (oxi_cache_type)r->config.cache_type);
    const size_t n = (size_t)r->config.n_batch;
    const int n_threads = oxi_pool_size(r->pool);
    if (!get(&r->threads, (size_t)n_threads, sizeof *r->threads)) return false;
    r->n_threads = n_threads;
    for (int i = 0; i < n_threads; i++)
        if (!get_thread(&r->threads[i], &z, &r->config)) return false;
    return get_experts(r, &z) && get_slots(r) && get_parts(r, &z) && get(&r->activations, z.act_batch, 1)
        && get(&r->queues, (size_t)n_threads, sizeof *r->queues) && oxi_program_share(r->program, n_threads, &r->shares) && get(&r->positions, n, sizeof(int32_t))
        && get(&r->output_rows, n, sizeof(int32_t))
        && get(&r->runs, n, sizeof *r->runs) && get(&r->tokens, n, sizeof(int32_t)) && get(&r->seqs, n, sizeof(int32_t))
        && get(&r->counts, n, sizeof(int32_t)) && get(&r->outputs, n, 1);
}

static oxi_status open_cache(oxi_runner *r, oxi_error *err)
{
    const oxi_program *p = r->program;
    oxi_cache_layer *layers = calloc((size_t)p->n_caches + 1, sizeof *layers);
    if (!layers) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory");
    for (int32_t i = 0; i < p->n_caches; i++) {
        layers[i].n_head = p->caches[i].n_head;
        layers[i].key_dim = p->caches[i].key_dim;
        layers[i].value_dim = p->caches[i].value_dim;
        layers[i].window = p->caches[i].window;
        layers[i].shared = p->caches[i].shared;
    }
    const oxi_runner_config *c = &r->config;
    const oxi_cache_config config = {.type = (oxi_cache_type)c->cache_type, .n_pages = c->n_pages, .n_seqs = c->n_seqs,
                                     .n_ctx = c->n_ctx, .n_batch = c->n_batch, .n_active = c->n_active ? c->n_active : c->n_seqs,
                                     .n_saved = c->n_saved, .state_bytes = p->state_floats * sizeof(float)};
    const oxi_status s = oxi_cache_open(&r->cache, layers, p->n_caches, &config, err);
    free(layers);
    return s;
}

oxi_status oxi_runner_open(oxi_runner **out, oxi_program *p, oxi_pool *pool, const oxi_runner_config *config,
                           oxi_error *err)
{
    *out = NULL;
    if (config->n_batch < 1 || config->n_batch > MAX_BATCH)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "n_batch must be between 1 and %d, not %d", MAX_BATCH, config->n_batch);
    if (config->cache_type < 0 || config->cache_type >= OXI_CACHE_COUNT)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "key/value cache type %d is unknown", config->cache_type);
    oxi_status s = oxi_program_check(p, config->n_vocab, config->n_embd, config->n_ctx, err);
    if (s != OXI_OK) return s;
    oxi_runner *r = calloc(1, sizeof *r);
    if (!r) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory");
    r->program = p;
    p->n_runners++;
    r->pool = pool;
    r->config = *config;
    r->kernels = oxi_kernels_get();
    r->vec = r->kernels->vec;
    s = open_cache(r, err);
    if (s == OXI_OK && !get_memory(r))
        s = oxi_fail(err, OXI_ERR_NOMEM, "out of memory for batches of %d tokens", config->n_batch);
    if (s == OXI_OK) *out = r;
    else oxi_runner_close(&r);
    return s;
}

/* Free the memory that `at` points to and clear the pointer, so that it is freed once. */
static void drop(void *at)
{
    void **memory = at;
    oxi_free(*memory);
    *memory = NULL;
}

void oxi_runner_end(oxi_runner *r)
{
    if (!r->program) return;
    const oxi_program *p = r->program;
    const int32_t results[] = {p->logits.buffer < 0 ? -1 : p->buffers[p->logits.buffer].slot, p->buffers[p->hidden.buffer].slot};
    for (int32_t i = 0; r->slots && i < r->n_slots; i++)
        if (i != results[0] && i != results[1]) drop(&r->slots[i]);
    for (int i = 0; r->threads && i < r->n_threads; i++) {
        oxi_thread_scratch *t = &r->threads[i];
        void *all[] = {t->row, t->activations, t->matmul, t->attend, t->queries, t->keys, t->values, t->made};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) oxi_free(all[j]);
        oxi_expert_order_close(&t->order);
    }
    oxi_expert_scratch *x = &r->experts;
    void *all[] = {&r->threads, &r->activations, &r->queues, &r->shares, &r->parts, &r->joined, &r->positions, &r->output_rows,
                   &r->runs, &r->tokens, &r->seqs, &r->counts, &r->outputs, &r->times, &x->gate, &x->up, &x->down, &x->act,
                   &x->done};
    for (size_t j = 0; j < sizeof all / sizeof *all; j++) drop(all[j]);
    oxi_expert_order_close(&x->order);
    oxi_observer_close(&r->observer);
    oxi_cache_close(&r->cache);
    r->program->n_runners--;
    r->program = NULL;
    r->pool = NULL;
}

void oxi_runner_close(oxi_runner **runner)
{
    oxi_runner *r = *runner;
    *runner = NULL;
    if (!r) return;
    oxi_runner_end(r);
    for (int32_t i = 0; r->slots && i < r->n_slots; i++) oxi_free(r->slots[i]);
    oxi_free(r->slots);
    free(r);
}
