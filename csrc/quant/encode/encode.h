/* Encoders round weights to a format. An encoder searches for the block that minimises
 *
 *     sum over i of w[i] * (x[i] - weight[i])^2
 *
 * and writes its bytes. x are finite and at most OXI_ENCODE_MOST in magnitude. w are above zero and at most 1: how much an
 * error in that column counts; all are 1 without an importance matrix.
 */
#ifndef OXI_ENCODE_H
#define OXI_ENCODE_H

#include <stdint.h>

/* The largest half: a format's scale can hold it even where one code stands for the scale itself. */
#define OXI_ENCODE_MOST 65504.0f

/* Encode one block. `prepared`: the result of the format's `prepare`, or NULL if it has none. */
typedef void oxi_encode(const void *prepared, const float *x, const float *w, uint8_t *dst);
/* Make the tables that an encoder searches: malloc'd, read by any number of threads; NULL: out of memory. */
typedef void *oxi_prepare(void);

oxi_encode oxi_encode_q4_0, oxi_encode_q4_1, oxi_encode_q5_0, oxi_encode_q5_1, oxi_encode_q8_0; /* encode_32.c */
oxi_encode oxi_encode_q2_k, oxi_encode_q4_k, oxi_encode_q5_k;                                    /* encode_affine.c */
oxi_encode oxi_encode_q3_k, oxi_encode_q6_k;                                                     /* encode_scaled.c */
oxi_encode oxi_encode_iq4_nl, oxi_encode_iq4_xs, oxi_encode_mxfp4, oxi_encode_nvfp4;              /* encode_tables.c */
oxi_encode oxi_encode_tq1_0, oxi_encode_tq2_0, oxi_encode_q1_0, oxi_encode_q2_0;                  /* encode_ternary.c */
oxi_encode oxi_encode_iq1_s, oxi_encode_iq1_m, oxi_encode_iq2_xxs, oxi_encode_iq2_xs, oxi_encode_iq2_s, oxi_encode_iq3_xxs,
    oxi_encode_iq3_s; /* encode_codebooks.c */
oxi_prepare oxi_prepare_iq1, oxi_prepare_iq2_xxs, oxi_prepare_iq2_xs, oxi_prepare_iq2_s, oxi_prepare_iq3_xxs,
    oxi_prepare_iq3_s; /* encode_codebooks.c */
oxi_prepare oxi_prepare_nl, oxi_prepare_e2m1;                                                     /* encode_tables.c */

/* The scale search is compiled again for wider registers where the loader can choose between the copies. The copies are
 * named by CPU features, since arch= would require that exact model. No copy fuses or reorders operations, so all give
 * the same bytes. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) \
    && !defined(__SANITIZE_THREAD__)
#define OXI_ENCODER __attribute__((target_clones("avx2", "default")))
#else
#define OXI_ENCODER
#endif

#endif
