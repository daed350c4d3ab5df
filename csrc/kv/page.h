/* How one head's keys and values lie in a page of the cache.
 *
 * f32, f16:  keys [2][dim][16], values [32][pad], pad: value_dim up to a multiple of 16.
 * i16, q8_0: codes, integers that a scale (f16) belongs to:
 *     keys   scales [groups][32]
 *            i16: codes [2][dims / 2][16][2], two dimensions of a position side by side
 *            q8_0: codes + 128 [2][dims / 4][16][4], four
 *     values scales [groups][32]
 *            in blocks of 32 dimensions (the last may have 16), so that attention reads ascending addresses
 *            i16: codes [16][32][2], positions i and i + 16 of a dimension side by side
 *            q8_0: codes [8][32][4], positions 4 i to 4 i + 3
 * A 32-bit lane then holds the operand of an instruction that multiplies and adds pairs or quads of integers. A group is
 * the values of one position that share a scale; the last group may be shorter. i16 codes have 13 bits and a sign: the sum
 * of 64 products of two codes, one of them at most OXI_CODE_MOST / 2, fits 32 bits.
 *
 * Values that are the first dimensions of their key have no bytes of their own: attention makes pages of values from pages
 * of keys (attention/shared_body.h).
 */
#ifndef OXI_PAGE_H
#define OXI_PAGE_H

#include "oxillama_types.h"

#define OXI_CODE_MOST 8191 /* largest code of probabilities and of i16's queries; for i16's keys and values: half of it */
#define OXI_BYTE_MOST 127  /* largest code of q8_0, and of its queries */
#define OXI_CODE_RUN 64    /* most products summed as integers */
#define OXI_VALUE_BLOCK 32

static inline int32_t oxi_pad16(int32_t n) { return (n + 15) / 16 * 16; }

static inline bool oxi_cache_coded(oxi_cache_type type) { return type == OXI_CACHE_I16 || type == OXI_CACHE_Q8_0; }
static inline int32_t oxi_code_most(oxi_cache_type type) { return type == OXI_CACHE_Q8_0 ? OXI_BYTE_MOST : OXI_CODE_MOST / 2; }
static inline size_t oxi_code_bytes(oxi_cache_type type) { return type == OXI_CACHE_Q8_0 ? 1 : 2; }

static inline int32_t oxi_key_group(oxi_cache_type type) { return type == OXI_CACHE_Q8_0 ? 32 : OXI_CODE_RUN; }
/* Values of i16 have one scale, which is multiplied into the probabilities. */
static inline int32_t oxi_value_group(oxi_cache_type type, int32_t dim) { return type == OXI_CACHE_Q8_0 ? 32 : dim; }

static inline int32_t oxi_groups(int32_t dim, int32_t group) { return (dim + group - 1) / group; }

/* How many of a key's dimensions are side by side in a 32-bit lane, and how many lanes a key has. */
static inline int32_t oxi_key_lane(oxi_cache_type type) { return type == OXI_CACHE_Q8_0 ? 4 : 2; }
static inline int32_t oxi_key_lanes(oxi_cache_type type, int32_t dim) { return oxi_groups(dim, oxi_key_lane(type)); }

/* Offset of the codes of a head's page, behind the scales. */
static inline size_t oxi_key_codes(oxi_cache_type type, int32_t dim)
{
    return sizeof(uint16_t) * OXI_PAGE_TOKENS * (size_t)oxi_groups(dim, oxi_key_group(type));
}

static inline size_t oxi_value_codes(oxi_cache_type type, int32_t dim)
{
    return sizeof(uint16_t) * OXI_PAGE_TOKENS * (size_t)oxi_groups(dim, oxi_value_group(type, dim));
}

/* How many lanes of positions a dimension of values has. */
static inline int32_t oxi_value_lanes(oxi_cache_type type) { return OXI_PAGE_TOKENS / (type == OXI_CACHE_Q8_0 ? 4 : 2); }

/* Dimensions of the block of values that begins at dimension `first`, a multiple of OXI_VALUE_BLOCK. */
static inline int32_t oxi_value_block(int32_t pad, int32_t first) { return pad - first < OXI_VALUE_BLOCK ? pad - first : OXI_VALUE_BLOCK; }

/* Bytes from the codes of a head's values to a lane of positions of a dimension. */
static inline size_t oxi_value_at(oxi_cache_type type, int32_t pad, int32_t lane, int32_t dim)
{
    const int32_t first = dim / OXI_VALUE_BLOCK * OXI_VALUE_BLOCK;
    return 4 * ((size_t)first * (size_t)oxi_value_lanes(type) + (size_t)(lane * oxi_value_block(pad, first) + dim - first));
}

/* Bytes of one head's keys or values in a page. */
static inline size_t oxi_key_bytes(oxi_cache_type type, int32_t dim)
{
    if (!oxi_cache_coded(type)) return (type == OXI_CACHE_F32 ? 4 : 2) * OXI_PAGE_TOKENS * (size_t)dim;
    return oxi_key_codes(type, dim) + 4 * OXI_PAGE_TOKENS * (size_t)oxi_key_lanes(type, dim);
}

static inline size_t oxi_value_bytes(oxi_cache_type type, int32_t dim)
{
    const size_t values = OXI_PAGE_TOKENS * (size_t)oxi_pad16(dim);
    if (!oxi_cache_coded(type)) return (type == OXI_CACHE_F32 ? 4 : 2) * values;
    return oxi_value_codes(type, dim) + oxi_code_bytes(type) * values;
}

#endif
