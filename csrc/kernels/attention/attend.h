/* One call of attention, which a vector table computes (vec/vec.h). attend_body.h says how. */
#ifndef OXI_ATTEND_H
#define OXI_ATTEND_H

#include "kernels/attention/fetching.h"
#include "kv/page.h"

#define OXI_ATTEND_ROWS 64  /* most query rows of one call of attend */
#define OXI_ATTEND_KEYS 512 /* keys whose scores are softmaxed together; blocks start at multiples of it */
#define OXI_SHARED_PAGES (OXI_ATTEND_KEYS / OXI_PAGE_TOKENS)

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
    int32_t window;            /* 0: none; else a row sees its own key and window - 1 keys before it */
    bool chunked;              /* it sees those before it in its chunk of `window` keys instead */
    int32_t later;             /* how many keys after its own a row sees, as far as there are some */
    int32_t first_key, n_keys; /* keys [first_key, n_keys) are summed; the first is a multiple of OXI_ATTEND_KEYS */
    oxi_cache_type type;
    const uint8_t *const *keys;   /* page pointers by position / OXI_PAGE_TOKENS, at the head */
    const uint8_t *const *values;
    uint8_t *const *shared; /* NULL; or [OXI_SHARED_PAGES] of oxi_shared_bytes, to which `values` point in turns: the values are
                             * the keys' first value_dim dimensions and are made of them, block by block */
    const uint8_t *const *next_keys; /* [n_next] pages whose keys this thread reads after the call; prefetched during it */
    int32_t n_next;
    oxi_fetching fetching; /* one of oxi_fetchings */
    void *scratch; /* oxi_attend_scratch bytes, 64-byte aligned */
} oxi_attend;

/* Values of how many dimensions have one scale, and where the codes begin. Values that are keys have the keys' scales. */
static inline int32_t oxi_attend_value_group(const oxi_attend *a)
{
    return a->shared ? oxi_key_group(a->type) : oxi_value_group(a->type, a->value_pad);
}

static inline size_t oxi_attend_value_codes(const oxi_attend *a)
{
    return sizeof(uint16_t) * OXI_PAGE_TOKENS * (size_t)oxi_groups(a->value_dim, oxi_attend_value_group(a));
}

/* Bytes of a page of values that is made of a page of keys: as in page.h, but f16 becomes float32. A multiple of 64. */
static inline size_t oxi_shared_bytes(oxi_cache_type type, int32_t value_dim)
{
    const size_t values = OXI_PAGE_TOKENS * (size_t)oxi_pad16(value_dim);
    if (!oxi_cache_coded(type)) return sizeof(float) * values;
    return sizeof(uint16_t) * OXI_PAGE_TOKENS * (size_t)oxi_groups(value_dim, oxi_key_group(type)) + oxi_code_bytes(type) * values;
}

/* Floats of a row's unfinished sums: the largest score, the sum of e^(score - largest), 14 unused, the sum of values. */
static inline int32_t oxi_attend_part(int32_t value_pad) { return 16 + value_pad; }

/* Bytes of scratch that a call needs: scores; sums of one block and of all; pages of keys or values as float32. Types
 * with codes also need the queries' codes, a block's value scales, and a few rows' probabilities as codes, with their
 * scales. */
static inline size_t oxi_attend_scratch(int32_t key_dim, int32_t value_pad)
{
    const size_t values = 4 * (size_t)value_pad, widest = (size_t)key_dim > values ? (size_t)key_dim : values;
    const size_t queries = OXI_ATTEND_ROWS * (size_t)(oxi_groups(key_dim, OXI_CODE_RUN) * OXI_CODE_RUN / 2
                                                      + 2 * oxi_groups(key_dim, 32)); /* and scales and sums */
    const size_t shares = (size_t)oxi_groups(value_pad, 32) * (OXI_ATTEND_KEYS + 8 * OXI_CODE_RUN / 2 + 32
                                                                + 2 * OXI_ATTEND_ROWS * OXI_ATTEND_KEYS / OXI_CODE_RUN);
    return sizeof(float) * (OXI_ATTEND_ROWS * (size_t)(OXI_ATTEND_KEYS + 16)
                            + OXI_ATTEND_ROWS * 2 * (size_t)oxi_attend_part(value_pad) + OXI_PAGE_TOKENS * widest
                            + queries + shares);
}

#endif
