/* Attention over the pages of the cache. Work is cut into tasks by (run of queries, key head) and, when decode has few
 * of those, also by blocks of keys. Threads take tasks as they become free, so the late, longer blocks of a prefill do
 * not wait for one thread. A thread takes its next task before it computes the current one, so decode can fetch the
 * next task's keys meanwhile. A thread's first task has the thread's own number: its keys are fetched while other
 * threads still work on the op before. */
#include "graph/ops/ops.h"
#include "kernels/attention/attend.h"

#include <math.h>

static float temperature(const oxi_op_attention *op, int32_t position)
{
    if (!op->temperature_floor) return 1.0f;
    return 1.0f + op->temperature_scale * logf(floorf((float)(position + op->temperature_offset) / (float)op->temperature_floor) + 1.0f);
}

/* One task: queries [first, first + n) of a run (n * group rows) against one key head, over keys from first_key
 * to before n_keys. Without `parts` these are all keys. */
typedef struct task {
    const oxi_run *run;
    int32_t first, n, head, first_key, n_keys;
    float *parts; /* [n * group][oxi_attend_part] or NULL */
    int32_t unit, n_parts; /* with parts: which run and head it belongs to, and how many tasks these have */
} task;

/* A thread's position among the tasks of an op. The numbers it takes only rise. */
typedef struct cursor {
    oxi_runner *r;
    const oxi_op_attention *op;
    int32_t group, n_threads;
    bool decode, split;
    oxi_fetching fetching;
    int32_t run;
    int64_t before; /* tasks of runs before `run` */
} cursor;

/* A row sees its own key and before_of(op) - 1 keys before it; 0: all. */
static int32_t before_of(const oxi_op_attention *op) { return op->both_ways && op->window ? op->window / 2 + 1 : op->window; }

/* How many keys after its own a row sees, as far as the run has them. */
static int32_t later_of(const oxi_op_attention *op)
{
    return !op->both_ways ? 0 : op->window ? op->window / 2 : INT32_MAX;
}

static int32_t oldest_key(const oxi_op_attention *op, int32_t position)
{
    const int32_t before = before_of(op);
    return before && position >= before ? position - before + 1 : 0;
}

/* End of the keys that queries before `end` see. */
static int32_t last_key(const oxi_op_attention *op, const oxi_run *run, int32_t end)
{
    const int32_t later = later_of(op), left = run->position + run->count - end;
    return later < left ? end + later : end + left;
}

static cursor begin(const oxi_step *s, const oxi_op_attention *op)
{
    oxi_runner *r = s->r;
    const int32_t n_head = r->program->caches[op->layer].n_head;
    const bool decode = r->n_runs == r->n_tokens;
    return (cursor){.r = r, .op = op, .group = op->n_head / n_head, .n_threads = s->n_threads, .decode = decode, .fetching = *oxi_kernels_fetching(),
                    .split = decode && r->n_runs <= r->split_runs && s->n_threads > 1
                          && r->n_runs * n_head < OXI_SPLIT_TASKS * s->n_threads};
}

/* End of the block of keys that starts at `key`, at most n_keys. A context may be INT32_MAX tokens long. */
static int32_t block_end(int32_t key, int32_t n_keys)
{
    return n_keys - key < OXI_ATTEND_KEYS ? n_keys : key + OXI_ATTEND_KEYS;
}

/* Number of blocks that a run's keys, or its queries, are cut into. */
static int32_t n_blocks_of(const cursor *c, const oxi_run *run, int32_t block)
{
    if (c->split) return run->position / OXI_ATTEND_KEYS + 1 - oldest_key(c->op, run->position) / OXI_ATTEND_KEYS;
    return (run->count + block - 1) / block;
}

/* Which (head, block of keys) comes `at`-th, as head * n_blocks + block. Threads take tasks in turns. So each has heads of its
 * own, if they can be shared out evenly, and the sums that it adds up in the end lie in its own cache. */
static int32_t block_in_turn(const cursor *c, int32_t at, int32_t n_blocks, int32_t n_head)
{
    if (n_head % c->n_threads) return at;
    return at % c->n_threads * (n_head / c->n_threads) * n_blocks + at / c->n_threads;
}

/* Find task `number`; false: there are fewer tasks. */
static bool find_task(cursor *c, int64_t number, task *out)
{
    const oxi_runner *r = c->r;
    const oxi_cache_layer *l = oxi_cache_layer_of(r->cache, c->op->layer);
    const int32_t block = c->group < OXI_ATTEND_ROWS ? OXI_ATTEND_ROWS / c->group : 1;
    for (; c->run < r->n_runs; c->run++) {
        const oxi_run *run = &r->runs[c->run];
        const int32_t n_blocks = n_blocks_of(c, run, block);
        const int64_t n_tasks = (int64_t)n_blocks * l->n_head;
        if (number - c->before >= n_tasks) {
            c->before += n_tasks;
            continue;
        }
        const int32_t at = (int32_t)(number - c->before);
        if (c->split) {
            const int32_t turn = block_in_turn(c, at, n_blocks, l->n_head);
            const int32_t b = turn % n_blocks, head = turn / n_blocks, unit = c->run * l->n_head + head;
            const int32_t key = (oldest_key(c->op, run->position) / OXI_ATTEND_KEYS + b) * OXI_ATTEND_KEYS;
            const int32_t n_keys = run->position + 1, part = oxi_attend_part(l->value_pad);
            *out = (task){.run = run, .n = 1, .head = head, .first_key = key, .n_keys = block_end(key, n_keys),
                           .parts = r->parts + ((int64_t)unit * r->part_blocks + b) * c->group * part,
                           .unit = unit, .n_parts = n_blocks};
            return true;
        }
        /* The longest first: the last blocks see the most keys. */
        const int32_t first = (n_blocks - 1 - at / l->n_head) * block, left = run->count - first;
        const int32_t n = left < block ? left : block;
        *out = (task){.run = run, .first = first, .n = n, .head = at % l->n_head, .n_keys = last_key(c->op, run, run->position + first + n)};
        return true;
    }
    return false;
}

/* The pages of keys that a task begins with; returns their number. */
static int32_t first_pages(const cursor *c, const task *w, const uint8_t **pages)
{
    const oxi_cache_layer *l = oxi_cache_layer_of(c->r->cache, c->op->layer);
    const int32_t oldest = oldest_key(c->op, w->run->position + w->first), from = oldest > w->first_key ? oldest : w->first_key;
    const int32_t key = from / OXI_ATTEND_KEYS * OXI_ATTEND_KEYS;
    const int32_t n = (block_end(key, w->n_keys) - key + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS;
    for (int32_t p = 0; p < n; p++)
        pages[p] = oxi_run_page(c->r, w->run, l, key / OXI_PAGE_TOKENS + p) + l->keys + l->key_bytes * (size_t)w->head;
    return n;
}

static void attend_task(const oxi_step *s, const cursor *c, const task *w, const uint8_t *const *next_keys, int32_t n_next)
{
    const oxi_runner *r = s->r;
    const oxi_op_attention *op = c->op;
    const oxi_run *run = w->run;
    const oxi_cache_layer *l = oxi_cache_layer_of(r->cache, op->layer);
    const int32_t group = op->n_head / l->n_head, dim = l->key_dim;
    int32_t positions[OXI_ATTEND_ROWS];
    float slopes[OXI_ATTEND_ROWS], sinks[OXI_ATTEND_ROWS], *out[OXI_ATTEND_ROWS];
    const float *all_slopes = oxi_vector_data(r, op->slopes), *all_sinks = oxi_vector_data(r, op->sinks);

    const int32_t oldest = oldest_key(op, run->position + w->first), from = oldest > w->first_key ? oldest : w->first_key;
    const int32_t last_page = (w->n_keys - 1) / OXI_PAGE_TOKENS;
    uint8_t *made[OXI_SHARED_PAGES];
    for (int32_t i = 0; l->shared && i < OXI_SHARED_PAGES; i++)
        made[i] = s->scratch->made + oxi_shared_bytes(oxi_cache_type_of(r->cache), l->value_dim) * (size_t)i;
    for (int32_t p = from / OXI_ATTEND_KEYS * (OXI_ATTEND_KEYS / OXI_PAGE_TOKENS); p <= last_page; p++) {
        const uint8_t *page = oxi_run_page(r, run, l, p);
        s->scratch->keys[p] = page + l->keys + l->key_bytes * (size_t)w->head;
        s->scratch->values[p] = l->shared ? made[p % OXI_SHARED_PAGES] : page + l->values + l->value_bytes * (size_t)w->head;
    }
    /* A group may exceed the rows of one call; several calls then cover the same keys. */
    for (int32_t row = 0; row < w->n * group;) {
        const int32_t done = row;
        int32_t rows = 0;
        for (; row < w->n * group && rows < OXI_ATTEND_ROWS; row++, rows++) {
            const int32_t i = w->first + row / group, h = w->head * group + row % group;
            const int64_t t = run->first + i;
            positions[rows] = run->position + i;
            r->vec->affine(oxi_view_row(r, op->q, t) + (int64_t)h * dim, op->scale * temperature(op, positions[rows]), NULL,
                           NULL, NULL, dim, s->scratch->queries + (int64_t)rows * dim);
            out[rows] = oxi_view_row(r, op->out, t) + (int64_t)h * l->value_dim;
            if (all_slopes) slopes[rows] = all_slopes[h];
            if (all_sinks) sinks[rows] = all_sinks[h];
        }
        const oxi_attend call = {
            .n_rows = rows, .key_dim = dim, .value_dim = l->value_dim, .value_pad = l->value_pad,
            .q = s->scratch->queries, .positions = positions, .slopes = all_slopes ? slopes : NULL,
            .sinks = all_sinks ? sinks : NULL, .out = out,
            .parts = w->parts ? w->parts + (int64_t)done * oxi_attend_part(l->value_pad) : NULL, .softcap = op->softcap,
            .window = before_of(op), .chunked = op->chunked, .later = later_of(op), .first_key = w->first_key, .n_keys = w->n_keys, .type = oxi_cache_type_of(r->cache),
            .keys = s->scratch->keys, .values = s->scratch->values, .shared = l->shared ? made : NULL, .next_keys = next_keys, .n_next = n_next,
            .fetching = c->fetching, .scratch = s->scratch->attend,
        };
        r->vec->attend(&call);
    }
}

/* The thread that finishes the last block of a run and head adds up all blocks, in order. The bits are the same as with
 * one thread. */
static void join(const cursor *c, const task *w)
{
    oxi_runner *r = c->r;
    const oxi_op_attention *op = c->op;
    const oxi_cache_layer *l = oxi_cache_layer_of(r->cache, op->layer);
    const int32_t group = c->group, part = oxi_attend_part(l->value_pad);
    if (atomic_fetch_add(&r->joined[w->unit], 1) + 1 < w->n_parts) return;
    const float *sinks = oxi_vector_data(r, op->sinks);
    float *parts = r->parts + (int64_t)w->unit * r->part_blocks * group * part;
    for (int32_t g = 0; g < group; g++) {
        const int32_t h = w->head * group + g;
        r->vec->attend_join(parts + (int64_t)g * part, (int64_t)group * part, w->n_parts, sinks ? &sinks[h] : NULL, l->value_dim,
                            oxi_view_row(r, op->out, w->run->first) + (int64_t)h * l->value_dim);
    }
    atomic_store(&r->joined[w->unit], 0);
}

void oxi_fetch_attention(const oxi_step *s, const oxi_op_attention *op)
{
    cursor c = begin(s, op);
    const uint8_t *pages[OXI_ATTEND_KEYS / OXI_PAGE_TOKENS];
    task first;
    if (!c.decode || !find_task(&c, s->thread, &first)) return;
    const size_t bytes = oxi_cache_layer_of(s->r->cache, op->layer)->key_bytes;
    const int32_t n = first_pages(&c, &first, pages);
    for (int32_t p = 0; p < n; p++)
        for (size_t i = 0; i < bytes; i += 64) {
            if (c.fetching.one_run) __builtin_prefetch(pages[p] + i, 0, 2);
            else __builtin_prefetch(pages[p] + i);
        }
}

void oxi_run_attention(oxi_step *s, const oxi_op_attention *op)
{
    oxi_runner *r = s->r;
    cursor c = begin(s, op);
    task now, next = {0};
    bool more;
    _Atomic int32_t *const taken = &r->queues[0].next[oxi_round(s)]; /* one queue for all */
    for (bool any = find_task(&c, s->thread, &now); any; any = more, now = next) {
        const uint8_t *pages[OXI_ATTEND_KEYS / OXI_PAGE_TOKENS];
        more = find_task(&c, s->n_threads + atomic_fetch_add_explicit(taken, 1, memory_order_relaxed), &next);
        attend_task(s, &c, &now, pages, more && c.decode ? first_pages(&c, &next, pages) : 0);
        if (c.split) join(&c, &now);
    }
}
