/* Float vector work beside the matrix products: norms, activation functions, rope, attention. The one source,
 * vec_impl.h, is compiled once per instruction set; a kernel row names its table. */
#ifndef OXI_VEC_H
#define OXI_VEC_H

#include "kernels/page.h"

#define OXI_ATTEND_ROWS 64  /* most query rows of one call of attend */
#define OXI_ATTEND_KEYS 512 /* keys whose scores are softmaxed together; blocks start at multiples of it */

/* Attention of up to OXI_ATTEND_ROWS query rows that share one key head, over the pages of one sequence.
 * page.h draws the pages of keys and values. */
typedef struct oxi_attend {
    int32_t n_rows, key_dim, value_dim, value_pad;
    const float *q;            /* [n_rows][key_dim], already scaled */
    const int32_t *positions;  /* [n_rows] */
    const float *slopes;       /* [n_rows] or NULL */
    const float *sinks;        /* [n_rows] or NULL */
    float *const *out;         /* [n_rows] pointers to value_dim floats */
    float *parts;              /* [n_rows][oxi_attend_part] or NULL: where to leave sums for attend_join, without sinks */
    float softcap;             /* 0: none */
    int32_t window;            /* 0: none */
    int32_t first_key, n_keys; /* keys [first_key, n_keys) are summed; the first is a multiple of OXI_ATTEND_KEYS */
    oxi_cache_type type;
    const uint8_t *const *keys;   /* page pointers by position / OXI_PAGE_TOKENS, at the head */
    const uint8_t *const *values;
    const uint8_t *const *next_keys; /* [n_next] pages whose keys this thread reads after the call; prefetched during it */
    int32_t n_next;
    void *scratch; /* oxi_attend_scratch bytes, 64-byte aligned */
} oxi_attend;

/* Floats of a row's unfinished sums: the largest score, the sum of e^(score - largest), 14 unused, the sum of values. */
static inline int32_t oxi_attend_part(int32_t value_pad) { return 16 + value_pad; }

/* Bytes of scratch that a call needs: scores; sums of one block and of all; pages of keys or values as float32. Types
 * with codes also need the queries' codes, a block's value scales, and a few rows' probabilities as codes, with their
 * scales. */
static inline size_t oxi_attend_scratch(int32_t key_dim, int32_t value_pad)
{
    const size_t values = 4 * (size_t)value_pad, widest = (size_t)key_dim > values ? (size_t)key_dim : values;
    const size_t queries = OXI_ATTEND_ROWS * (size_t)(oxi_groups(key_dim, OXI_CODE_RUN) * OXI_CODE_RUN / 2 + 1); /* and a scale */
    const size_t shares = (size_t)oxi_groups(value_pad, 32) * (OXI_ATTEND_KEYS + 8 * (OXI_CODE_RUN / 2 + 1));
    return sizeof(float) * (OXI_ATTEND_ROWS * (size_t)(OXI_ATTEND_KEYS + 16)
                            + OXI_ATTEND_ROWS * 2 * (size_t)oxi_attend_part(value_pad) + OXI_PAGE_TOKENS * widest
                            + queries + shares);
}

typedef struct oxi_vec {
    const char *name;
    bool quick_codes; /* one instruction multiplies and adds pairs of 16-bit integers: i16 is faster than f16 */
    /* x / sqrt(mean(x^2) + eps) * weight + bias; weight and bias may be NULL, out may be x. */
    void (*rms_norm)(const float *x, const float *weight, const float *bias, int64_t n, float eps, float *out);
    /* (x - mean) / sqrt(variance + eps) * weight + bias. */
    void (*layer_norm)(const float *x, const float *weight, const float *bias, int64_t n, float eps, float *out);
    /* out = fn(x) * times; times NULL: fn(x). */
    void (*glu)(oxi_fn fn, const float *x, const float *times, int64_t n, float *out);
    /* out = x * scale * times + bias + addend; NULL counts as 1 or 0. out may be any of the inputs. */
    void (*affine)(const float *x, float scale, const float *times, const float *bias, const float *addend, int64_t n,
                   float *out);
    void (*softcap)(const float *x, float cap, int64_t n, float *out);
    /* Rotate n_rot = 2 * half columns of each of n_heads heads of head_dim; table: half cosines, half sines. */
    void (*rope_pairs)(float *x, const float *table, int32_t half, int32_t n_heads, int32_t head_dim);
    void (*rope_halves)(float *x, const float *table, int32_t half, int32_t n_heads, int32_t head_dim);
    void (*softmax)(float *x, int64_t n); /* in place; all -inf gives zeros */
    void (*to_f16)(const float *x, int64_t n, uint16_t *out);
    void (*from_f16)(const uint16_t *x, int64_t n, float *out);
    /* codes = x / scale, rounded to integers of at most `most`. Returns the scale. If `half` is given, the scale is a
     * half float and is also stored there. If x holds a NaN or an infinity, the scale is NaN and the codes are 0. */
    float (*encode)(const float *x, int64_t n, float most, uint16_t *half, int16_t *codes);
    void (*attend)(const oxi_attend *a);
    /* The result of one row whose blocks of keys several calls have summed. The parts are `apart` floats from each
     * other, in the order of their keys; the first is overwritten. sink may be NULL. The bits are those of one call over
     * all keys. */
    void (*attend_join)(float *parts, int64_t apart, int32_t n_parts, const float *sink, int32_t value_dim, float *out);
} oxi_vec;

extern const oxi_vec oxi_vec_generic, oxi_vec_avx2, oxi_vec_avx2vnni, oxi_vec_avx512, oxi_vec_avx512vnni, oxi_vec_neon;

#endif
