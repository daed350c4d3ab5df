/* Attention over the pages of the cache. Work is cut by (run of queries, key head) and, in decode with
 * few of those, by blocks of keys. It is handed out, so that late, longer blocks of a prefill do not wait for one thread.
 */
#include "graph/runner.h"

#include <math.h>

static float temperature(const oxi_op_attention *op, int32_t position)
{
    if (!op->temperature_floor) return 1.0f;
    return 1.0f + op->temperature_scale * logf(floorf((float)position / (float)op->temperature_floor) + 1.0f);
}

/* One piece of work: queries [first, first + n) of a run, n * group rows, against one key head and keys from first_key to
 * before n_keys. Without parts, those are all the keys there are. */
typedef struct piece {
    const oxi_run *run;
    int32_t first, n, head, first_key, n_keys;
    float *parts; /* [n * group][oxi_attend_part] or NULL */
} piece;

static int32_t oldest_key(const oxi_op_attention *op, int32_t position)
{
    return op->window && position >= op->window ? position - op->window + 1 : 0;
}

static void attend_piece(const oxi_step *s, const oxi_op_attention *op, const piece *w)
{
    const oxi_runner *r = s->r;
    const oxi_run *run = w->run;
    const oxi_cache_layer *l = oxi_cache_layer_of(r->cache, op->layer);
    const int32_t group = op->n_head / l->n_head, dim = l->key_dim;
    int32_t positions[OXI_ATTEND_ROWS];
    float slopes[OXI_ATTEND_ROWS], sinks[OXI_ATTEND_ROWS], *out[OXI_ATTEND_ROWS];
    const float *all_slopes = oxi_vector_data(r, op->slopes), *all_sinks = oxi_vector_data(r, op->sinks);

    const int32_t oldest = oldest_key(op, run->position + w->first), from = oldest > w->first_key ? oldest : w->first_key;
    for (int32_t p = from / OXI_ATTEND_KEYS * (OXI_ATTEND_KEYS / OXI_PAGE_TOKENS); p * OXI_PAGE_TOKENS < w->n_keys; p++) {
        const uint8_t *page = oxi_cache_page(r->cache, run->pages[p]);
        s->scratch->keys[p] = page + l->keys + l->key_bytes * (size_t)w->head;
        s->scratch->values[p] = page + l->values + l->value_bytes * (size_t)w->head;
    }
    /* A group may be larger than a call: several then, over the same keys. */
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
            .window = op->window, .first_key = w->first_key, .n_keys = w->n_keys, .type = oxi_cache_type_of(r->cache),
            .keys = s->scratch->keys, .values = s->scratch->values, .scratch = s->scratch->attend,
        };
        r->vec->attend(&call);
    }
}

/* Every run is one token, and there are too few of them to keep the threads evenly busy: each block of keys is a piece of
 * its own. Who finishes the last block of a run and head adds them up, in order, to the same bits as one thread alone. */
static void attend_split(oxi_step *s, const oxi_op_attention *op, int32_t index)
{
    oxi_runner *r = s->r;
    const oxi_cache_layer *l = oxi_cache_layer_of(r->cache, op->layer);
    const int32_t group = op->n_head / l->n_head, pad = oxi_attend_part(l->value_pad);
    const float *sinks = oxi_vector_data(r, op->sinks);
    int32_t taken = atomic_fetch_add(&r->next[index], 1), number = 0;
    for (int32_t i = 0; i < r->n_runs; i++) {
        const oxi_run *run = &r->runs[i];
        const int32_t first = oldest_key(op, run->position) / OXI_ATTEND_KEYS;
        const int32_t n_blocks = run->position / OXI_ATTEND_KEYS + 1 - first;
        for (int32_t head = 0; head < l->n_head; head++) {
            const int32_t unit = i * l->n_head + head;
            float *parts = r->parts + (int64_t)unit * r->part_blocks * group * pad;
            for (int32_t b = 0; b < n_blocks; b++, number++) {
                if (number != taken) continue;
                const int32_t key = (first + b) * OXI_ATTEND_KEYS, end = key + OXI_ATTEND_KEYS;
                attend_piece(s, op,
                             &(piece){.run = run, .n = 1, .head = head, .first_key = key,
                                      .n_keys = end < run->position + 1 ? end : run->position + 1,
                                      .parts = parts + (int64_t)b * group * pad});
                if (atomic_fetch_add(&r->joined[unit], 1) + 1 == n_blocks) {
                    for (int32_t g = 0; g < group; g++) {
                        const int32_t h = head * group + g;
                        r->vec->attend_join(parts + (int64_t)g * pad, (int64_t)group * pad, n_blocks, sinks ? &sinks[h] : NULL,
                                            l->value_dim, oxi_view_row(r, op->out, run->first) + (int64_t)h * l->value_dim);
                    }
                    atomic_store(&r->joined[unit], 0);
                }
                taken = atomic_fetch_add(&r->next[index], 1);
            }
        }
    }
}

void oxi_run_attention(oxi_step *s, const oxi_op_attention *op, int32_t index)
{
    oxi_runner *r = s->r;
    const int32_t n_head = r->program->caches[op->layer].n_head, group = op->n_head / n_head;
    const bool decode = r->n_runs == r->n_tokens && r->n_runs <= OXI_SPLIT_RUNS;
    if (decode && s->n_threads > 1 && r->n_runs * n_head < 8 * s->n_threads) {
        attend_split(s, op, index);
        return;
    }
    const int32_t block = group < OXI_ATTEND_ROWS ? OXI_ATTEND_ROWS / group : 1;
    int32_t taken = atomic_fetch_add(&r->next[index], 1), number = 0;
    for (int32_t i = 0; i < r->n_runs; i++) {
        const oxi_run *run = &r->runs[i];
        const int32_t n_blocks = (run->count + block - 1) / block;
        /* The longest first: the last blocks see the most keys. */
        for (int32_t b = n_blocks - 1; b >= 0; b--) {
            for (int32_t head = 0; head < n_head; head++, number++) {
                if (number != taken) continue;
                const int32_t first = b * block, left = run->count - first, n = left < block ? left : block;
                attend_piece(s, op,
                             &(piece){.run = run, .first = first, .n = n, .head = head,
                                      .n_keys = run->position + first + n});
                taken = atomic_fetch_add(&r->next[index], 1);
            }
        }
    }
}
