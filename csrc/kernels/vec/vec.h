/* Float vector work beside the matrix products: norms, activation functions, rope, attention. The one source
 * (vec_body.h, attention/attend_body.h) is compiled once per instruction set, and the kernel table points at the result. */
#ifndef OXI_VEC_H
#define OXI_VEC_H

#include "oxillama_types.h"

struct oxi_attend; /* attention/attend.h */
struct oxi_delta;  /* recurrent.h */
struct oxi_scan;
struct oxi_dplr;

/* Logits per block, at absolute positions in a row. */
#define OXI_LOGIT_BLOCK 256

typedef struct oxi_vec {
    const char *name;
    bool quick_codes; /* one instruction multiplies and adds pairs of 16-bit integers: i16 is faster than f16 */
    /* x / sqrt(mean(x^2) + eps) * weight + bias; weight and bias may be NULL, out may be x. */
    void (*rms_norm)(const float *x, const float *weight, const float *bias, int64_t n, float eps, float *out);
    /* (x - mean) / sqrt(variance + eps) * weight + bias. */
    void (*layer_norm)(const float *x, const float *weight, const float *bias, int64_t n, float eps, float *out);
    /* out = fn(x) * times; times NULL: fn(x). See oxi_op_glu. */
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
    void (*attend)(const struct oxi_attend *a);
    /* The result of one row whose blocks of keys several calls have summed. The parts are `apart` floats from each
     * other, in the order of their keys; the first is overwritten. sink may be NULL. The bits are those of one call over
     * all keys. */
    void (*attend_join)(float *parts, int64_t apart, int32_t n_parts, const float *sink, int32_t value_dim, float *out);

    /* out = the sum over j < n_taps of kernel[j] * x[j] * times[j]: rows of n columns; times[j] NULL: 1. */
    void (*conv_row)(const float *const *x, const float *const *times, const float *kernel, int64_t kernel_stride,
                     int32_t n_taps, int64_t n, float *out);
    void (*delta_rule)(const struct oxi_delta *d);
    void (*selective_scan)(const struct oxi_scan *scan);
    void (*dplr)(const struct oxi_dplr *d);
    /* x between low and high; a NaN stays. out may be x. */
    void (*clamp)(const float *x, float low, float high, int64_t n, float *out);

    /* Rows of logits. Every isa gives the same bits: one rounding per operation, and one order of summation. */

    /* maxima[b] = the largest of block b; NaN counts as -inf. */
    void (*block_maxima)(const float *x, int64_t n, float *maxima);
    /* w = exp((x - max) * inverse): 1 where x == max, 0 for NaN. Fills the maxima of w's blocks and returns the sum of w.
     * No x is above max, which is finite; so is inverse. */
    double (*weights)(const float *x, int64_t n, float max, float inverse, float *w, float *maxima);
    /* The sum of exp(x - max), NaN left out, in float64: each term to about 4 units in the last place. max as above. */
    double (*exp_sum)(const float *x, int64_t n, float max);
    /* The sum of w * (x - max) in float64, where w is above 0. max as above. */
    double (*weighted_sum)(const float *x, const float *w, int64_t n, float max);
    /* keys = 1 / (1 + |(x - max) * inverse - mean|), 0 where w is 0. max and inverse as above. */
    void (*nearness)(const float *x, const float *w, int64_t n, float max, float inverse, double mean, float *keys);
    /* How many values are above -inf, and the sums of x - max and (x - max)^2 over them, in float64. max as above. */
    void (*moments)(const float *x, int64_t n, float max, double *count, double *sum, double *squares);
} oxi_vec;

#endif
