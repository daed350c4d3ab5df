/* Pages of values made of pages of keys, for layers whose values are the first dimensions of their keys (page.h): keys lie
 * dimension by dimension, and products with probabilities want the dimensions of a position side by side. Values from
 * codes keep the keys' codes and scales. Included by attend_body.h.
 */

typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef int16_t i16x8 __attribute__((vector_size(16)));
typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int64_t i64x2 __attribute__((vector_size(16)));

#if defined(__clang__)
#define PICK(places, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(places, a, b, ...) __builtin_shuffle(a, b, (places){__VA_ARGS__})
#endif

/* Floats: [2][key_dim][16] to [32][pad], the padding 0. */
static void share_floats(const oxi_attend *a, const float *keys, float *values)
{
    const int64_t pad = a->value_pad, dims = a->value_dim / 4 * 4;
    for (int32_t position = 0; position < OXI_PAGE_TOKENS; position += 4) {
        const float *from = keys + position / 16 * (int64_t)a->key_dim * 16 + position % 16;
        float *to = values + position * pad;
        for (int64_t d = 0; d < dims; d += 4) {
            f32x4 x[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) memcpy(&x[i], from + (d + i) * 16, sizeof x[i]);
            const f32x4 lo = PICK(i32x4, x[0], x[1], 0, 4, 1, 5), hi = PICK(i32x4, x[0], x[1], 2, 6, 3, 7);
            const f32x4 lo2 = PICK(i32x4, x[2], x[3], 0, 4, 1, 5), hi2 = PICK(i32x4, x[2], x[3], 2, 6, 3, 7);
            const f32x4 y[4] = {PICK(i32x4, lo, lo2, 0, 1, 4, 5), PICK(i32x4, lo, lo2, 2, 3, 6, 7), PICK(i32x4, hi, hi2, 0, 1, 4, 5),
                                PICK(i32x4, hi, hi2, 2, 3, 6, 7)};
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) memcpy(to + i * pad + d, &y[i], sizeof y[i]);
        }
        for (int64_t d = dims; d < pad; d++)
            for (int i = 0; i < 4; i++) to[i * pad + d] = d < a->value_dim ? from[d * 16 + i] : 0.0f;
    }
}

/* i16: [2][dims / 2][16][2] to blocks of [16][32][2], four positions of each half at a time. */
static void share_pairs(const oxi_attend *a, const uint8_t *keys, uint8_t *values)
{
    const int64_t half = (int64_t)oxi_key_lanes(a->type, a->key_dim) * 64, lanes = oxi_groups(a->value_dim, 2);
    const int32_t pad = a->value_pad;
    const bool odd = a->value_dim % 2;
    for (int32_t position = 0; position < 16; position += 4) {
        const uint8_t *from = keys + position * 4;
        for (int64_t d = 0; d < lanes; d++) { /* of a lane's two dimensions, one position after the other */
            i16x8 low, high;
            memcpy(&low, from + d * 64, sizeof low);
            memcpy(&high, from + half + d * 64, sizeof high);
            i16x8 y[2] = {PICK(i16x8, low, high, 0, 8, 1, 9, 2, 10, 3, 11), PICK(i16x8, low, high, 4, 12, 5, 13, 6, 14, 7, 15)};
            if (odd && d == lanes - 1) /* the second dimension is none of the values' */
                for (int i = 0; i < 2; i++) y[i] = (i16x8)((i64x2)y[i] & 0xffffffff);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                memcpy(values + oxi_value_at(a->type, pad, position + i, 2 * (int32_t)d), (const uint8_t *)&y[i / 2] + i % 2 * 8, 8);
        }
        for (int i = 0; i < 4 && 2 * lanes < pad; i++)
            memset(values + oxi_value_at(a->type, pad, position + i, 2 * (int32_t)lanes), 0, (size_t)(pad - 2 * lanes) * 4);
    }
}

/* q8_0: codes + 128 [2][dims / 4][16][4] to blocks of codes [8][32][4]: four by four bytes change places. */
static void share_quads(const oxi_attend *a, const uint8_t *keys, uint8_t *values)
{
    const int64_t half = (int64_t)oxi_key_lanes(a->type, a->key_dim) * 64, lanes = oxi_groups(a->value_dim, 4);
    const int32_t pad = a->value_pad;
    for (int32_t quad = 0; quad < OXI_PAGE_TOKENS / 4; quad++) {
        const uint8_t *from = keys + quad / 4 * half + quad % 4 * 16;
        for (int64_t d = 0; d < lanes; d++) {
            u8x16 x;
            memcpy(&x, from + d * 64, sizeof x);
            const u8x16 y = PICK(u8x16, x, x, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15) ^ 128;
            memcpy(values + oxi_value_at(a->type, pad, quad, 4 * (int32_t)d), &y, sizeof y);
        }
        if (a->value_dim < pad)
            memset(values + oxi_value_at(a->type, pad, quad, a->value_dim), 0, (size_t)(pad - a->value_dim) * 4);
    }
}

/* Make page p of the values. floats: the page's keys as floats, if they have been converted already. */
static void share_page(const oxi_attend *a, int32_t p, const float *floats)
{
    const uint8_t *keys = a->keys[p];
    uint8_t *values = a->shared[p % OXI_SHARED_PAGES];
    if (!oxi_cache_coded(a->type)) {
        share_floats(a, floats ? floats : (const float *)(const void *)keys, (float *)(void *)values);
        return;
    }
    const size_t scales = oxi_attend_value_codes(a);
    memcpy(values, keys, scales);
    keys += oxi_key_codes(a->type, a->key_dim);
    if (a->type == OXI_CACHE_Q8_0) share_quads(a, keys, values + scales);
    else share_pairs(a, keys, values + scales);
}
