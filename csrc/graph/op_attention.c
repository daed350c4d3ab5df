/* Keys and values into the pages, and attention over them. Work is cut by (run of queries, key head) and handed out, so
 * that a decode step with few heads keeps all threads busy and late, longer blocks of a prefill do not wait for one.
 */
#include "graph/runner.h"

#include <math.h>

/* One key into its column of a page [2][key_dim][16]. */
static void store_key(const oxi_vec *vec, oxi_cache_type type, const float *k, int32_t dim, int32_t slot, uint8_t *page,
                      float *scratch)
{
    const size_t at = (size_t)(slot / 16) * (size_t)dim * 16 + (size_t)(slot % 16);
    if (type == OXI_CACHE_F32) {
        float *to = (float *)page + at;
        for (int32_t d = 0; d < dim; d++) to[d * 16] = k[d];
    } else {
        uint16_t *half = (uint16_t *)scratch, *to = (uint16_t *)page + at;
        vec->to_f16(k, dim, half);
        for (int32_t d = 0; d < dim; d++) to[d * 16] = half[d];
    }
}

static void store_value(const oxi_vec *vec, oxi_cache_type type, const float *v, const oxi_cache_layer *l, int32_t slot,
                        uint8_t *page)
{
    const size_t at = (size_t)slot * (size_t)l->value_pad;
    if (type == OXI_CACHE_F32) vec->affine(v, 1.0f, NULL, NULL, NULL, l->value_dim, (float *)page + at);
    else vec->to_f16(v, l->value_dim, (uint16_t *)page + at);
}

void oxi_run_kv_store(oxi_step *s, const oxi_op_kv_store *op)
{
    const oxi_runner *r = s->r;
    const oxi_cache_layer *l = oxi_cache_layer_of(r->cache, op->layer);
    const oxi_cache_type type = oxi_cache_type_of(r->cache);
    int64_t from;
    const int64_t to = oxi_share(s, r->n_tokens, &from);
    for (int32_t i = 0; i < r->n_runs; i++) {
        const oxi_run *run = &r->runs[i];
        const int64_t first = from > run->first ? from : run->first;
        const int64_t end = to < run->first + run->count ? to : run->first + run->count;
        for (int64_t t = first; t < end; t++) {
            const int32_t position = r->positions[t], slot = position % OXI_PAGE_TOKENS;
            uint8_t *page = oxi_cache_page(r->cache, run->pages[position / OXI_PAGE_TOKENS]);
            const float *k = oxi_view_row(r, op->k, t), *v = oxi_view_row(r, op->v, t);
            for (int32_t h = 0; h < l->n_head; h++) {
                store_key(r->vec, type, k + (int64_t)h * l->key_dim, l->key_dim, slot,
                          page + l->keys + l->key_bytes * (size_t)h, s->scratch->row);
                store_value(r->vec, type, v + (int64_t)h * l->value_dim, l, slot,
                            page + l->values + l->value_bytes * (size_t)h);
            }
        }
    }
}

static float temperature(const oxi_op_attention *op, int32_t position)
{
    if (!op->temperature_floor) return 1.0f;
    return 1.0f + op->temperature_scale * logf(floorf((float)position / (float)op->temperature_floor) + 1.0f);
}

/* Queries [first, first + n) of a run against one key head: n * group rows. */
static void attend_block(const oxi_step *s, const oxi_op_attention *op, const oxi_run *run, int32_t first, int32_t n,
                         int32_t head)
{
    const oxi_runner *r = s->r;
    const oxi_cache_layer *l = oxi_cache_layer_of(r->cache, op->layer);
    const int32_t group = op->n_head / l->n_head, dim = l->key_dim;
    int32_t positions[OXI_ATTEND_ROWS];
    float slopes[OXI_ATTEND_ROWS], sinks[OXI_ATTEND_ROWS], *out[OXI_ATTEND_ROWS];
    const float *all_slopes = oxi_vector_data(r, op->slopes), *all_sinks = oxi_vector_data(r, op->sinks);
    const int32_t n_keys = run->position + first + n;

    const int32_t oldest = op->window && run->position + first >= op->window ? run->position + first - op->window + 1 : 0;
    for (int32_t p = oldest / OXI_ATTEND_KEYS * (OXI_ATTEND_KEYS / OXI_PAGE_TOKENS); p * OXI_PAGE_TOKENS < n_keys; p++) {
        const uint8_t *page = oxi_cache_page(r->cache, run->pages[p]);
        s->scratch->keys[p] = page + l->keys + l->key_bytes * (size_t)head;
        s->scratch->values[p] = page + l->values + l->value_bytes * (size_t)head;
    }
    /* A group may be larger than a block: several calls then, over the same keys. */
    for (int32_t row = 0; row < n * group;) {
        int32_t rows = 0;
        for (; row < n * group && rows < OXI_ATTEND_ROWS; row++, rows++) {
            const int32_t i = first + row / group, h = head * group + row % group;
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
            .sinks = all_sinks ? sinks : NULL, .out = out, .softcap = op->softcap, .window = op->window,
            .n_keys = n_keys, .type = oxi_cache_type_of(r->cache), .keys = s->scratch->keys,
            .values = s->scratch->values, .scratch = s->scratch->attend,
        };
        r->vec->attend(&call);
    }
}

void oxi_run_attention(oxi_step *s, const oxi_op_attention *op, int32_t index)
{
    oxi_runner *r = s->r;
    const int32_t n_head = r->program->caches[op->layer].n_head, group = op->n_head / n_head;
    const int32_t block = group < OXI_ATTEND_ROWS ? OXI_ATTEND_ROWS / group : 1;
    int32_t taken = atomic_fetch_add(&r->next[index], 1), piece = 0;
    for (int32_t i = 0; i < r->n_runs; i++) {
        const oxi_run *run = &r->runs[i];
        const int32_t n_blocks = (run->count + block - 1) / block;
        /* The longest first: the last blocks see the most keys. */
        for (int32_t b = n_blocks - 1; b >= 0; b--) {
            for (int32_t head = 0; head < n_head; head++, piece++) {
                if (piece != taken) continue;
                const int32_t first = b * block, left = run->count - first;
                attend_block(s, op, run, first, left < block ? left : block, head);
                taken = atomic_fetch_add(&r->next[index], 1);
            }
        }
    }
}
