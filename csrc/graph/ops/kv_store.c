/* Writes keys and values into the pages of the cache (kv/page.h). */
#include "graph/ops/ops.h"
#include "kv/page.h"

/* Store one key in its column of a page [2][key_dim][16]. */
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

/* Encode one position group by group; each group's scale goes to [group][slot]. */
static void encode(const oxi_vec *vec, oxi_cache_type type, const float *x, int32_t dim, int32_t group, int32_t slot,
                   uint8_t *page, int16_t *codes)
{
    uint16_t *scales = (uint16_t *)page + slot;
    for (int32_t d = 0; d < dim; d += group)
        vec->encode(x + d, dim - d < group ? dim - d : group, (float)oxi_code_most(type),
                    &scales[d / group * OXI_PAGE_TOKENS], codes + d);
}

/* Store one code in its place. */
static void put(oxi_cache_type type, uint8_t *to, int32_t at, int16_t code)
{
    if (type == OXI_CACHE_Q8_0) to[at] = (uint8_t)code;
    else ((int16_t *)to)[at] = code;
}

static void store_coded_key(const oxi_vec *vec, oxi_cache_type type, const float *k, int32_t dim, int32_t slot,
                            uint8_t *page, int16_t *codes)
{
    const int32_t n = oxi_key_lane(type), half = slot / 16 * oxi_key_lanes(type, dim), offset = type == OXI_CACHE_Q8_0 ? 128 : 0;
    uint8_t *const to = page + oxi_key_codes(type, dim);
    encode(vec, type, k, dim, oxi_key_group(type), slot, page, codes);
    for (int32_t d = 0; d < dim; d++)
        put(type, to, ((half + d / n) * 16 + slot % 16) * n + d % n, (int16_t)(codes[d] + offset));
}

static void store_coded_value(const oxi_vec *vec, oxi_cache_type type, const float *v, const oxi_cache_layer *l,
                              int32_t slot, uint8_t *page, int16_t *codes)
{
    const int32_t dim = l->value_dim, pad = l->value_pad;
    uint8_t *const to = page + oxi_value_codes(type, dim);
    encode(vec, type, v, dim, oxi_value_group(type, dim), slot, page, codes);
    for (int32_t d = 0; d < dim; d++)
        if (type == OXI_CACHE_Q8_0) put(type, to + oxi_value_at(type, pad, slot / 4, d), slot % 4, codes[d]);
        else put(type, to + oxi_value_at(type, pad, slot % 16, d), slot / 16, codes[d]);
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
            uint8_t *page = oxi_run_page(r, run, l, position / OXI_PAGE_TOKENS);
            const float *k = oxi_view_row(r, op->k, t), *v = oxi_view_row(r, op->v, t);
            for (int32_t h = 0; h < l->n_head; h++, k += l->key_dim, v += l->value_dim) {
                uint8_t *keys = page + l->keys + l->key_bytes * (size_t)h;
                uint8_t *values = page + l->values + l->value_bytes * (size_t)h;
                float *scratch = s->scratch->row;
                if (oxi_cache_coded(type)) {
                    store_coded_key(r->vec, type, k, l->key_dim, slot, keys, (int16_t *)scratch);
                    if (!l->shared) store_coded_value(r->vec, type, v, l, slot, values, (int16_t *)scratch);
                } else {
                    store_key(r->vec, type, k, l->key_dim, slot, keys, scratch);
                    if (!l->shared) store_value(r->vec, type, v, l, slot, values);
                }
            }
        }
    }
}
