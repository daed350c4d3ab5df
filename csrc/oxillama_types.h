/* The part of the C API that all areas share: errors, and the enumerations that files, kernels and programs agree on.
 * Kernels include this and no more, because they take long to compile. Include oxillama.h elsewhere. */
#ifndef OXILLAMA_TYPES_H
#define OXILLAMA_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define OXI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define OXI_PRINTF(fmt, args)
#endif

/* ------------------------------------------------------------------------------------------------ errors (platform/) */

/* Values never change: the binding maps each to one exception class. */
typedef enum oxi_status {
    OXI_OK = 0,
    OXI_ERR_ARGUMENT = 1,    /* the caller's value is out of range */
    OXI_ERR_IO = 2,          /* the system refused; sys_errno says why */
    OXI_ERR_FORMAT = 3,      /* the file is damaged, hostile or wrong */
    OXI_ERR_UNSUPPORTED = 4, /* the file is well formed, and this build cannot run it */
    OXI_ERR_NOMEM = 5,
    OXI_ERR_KV_FULL = 6,     /* no free KV pages: nothing was changed */
    OXI_ERR_CANCELLED = 7,
    OXI_ERR_NUMERIC = 8,     /* all logits are NaN */
} oxi_status;

typedef struct oxi_error {
    oxi_status code;
    int sys_errno;
    char text[480];
} oxi_error;

/* Fill `err` and return `code`, so that a failing function ends in `return oxi_fail(err, …)`. */
oxi_status oxi_fail(oxi_error *err, oxi_status code, const char *fmt, ...) OXI_PRINTF(3, 4);

/* Tensor types as GGUF numbers them. */
typedef enum oxi_type {
    OXI_TYPE_F32 = 0, OXI_TYPE_F16 = 1, OXI_TYPE_Q4_0 = 2, OXI_TYPE_Q4_1 = 3, OXI_TYPE_Q5_0 = 6, OXI_TYPE_Q5_1 = 7,
    OXI_TYPE_Q8_0 = 8, OXI_TYPE_Q8_1 = 9, OXI_TYPE_Q2_K = 10, OXI_TYPE_Q3_K = 11, OXI_TYPE_Q4_K = 12,
    OXI_TYPE_Q5_K = 13, OXI_TYPE_Q6_K = 14, OXI_TYPE_Q8_K = 15, OXI_TYPE_IQ2_XXS = 16, OXI_TYPE_IQ2_XS = 17,
    OXI_TYPE_IQ3_XXS = 18, OXI_TYPE_IQ1_S = 19, OXI_TYPE_IQ4_NL = 20, OXI_TYPE_IQ3_S = 21, OXI_TYPE_IQ2_S = 22,
    OXI_TYPE_IQ4_XS = 23, OXI_TYPE_I8 = 24, OXI_TYPE_I16 = 25, OXI_TYPE_I32 = 26, OXI_TYPE_I64 = 27,
    OXI_TYPE_F64 = 28, OXI_TYPE_IQ1_M = 29, OXI_TYPE_BF16 = 30, OXI_TYPE_TQ1_0 = 34, OXI_TYPE_TQ2_0 = 35,
    OXI_TYPE_MXFP4 = 39, OXI_TYPE_NVFP4 = 40, OXI_TYPE_Q1_0 = 41, OXI_TYPE_Q2_0 = 42,
    OXI_TYPE_COUNT = 43,
} oxi_type;

typedef struct oxi_type_info {
    const char *name;    /* "Q4_K"; NULL: a number GGUF does not define */
    uint32_t block;      /* weights per block */
    uint32_t block_size; /* bytes per block; 0: this build knows the name only */
} oxi_type_info;

/* Describes any number that a file may hold; never NULL. */
const oxi_type_info *oxi_type_describe(uint32_t type);

/* The element-wise functions. */
typedef enum oxi_fn {
    OXI_FN_NONE = 0,
    OXI_FN_SILU = 1,
    OXI_FN_GELU = 2, /* the tanh form */
    OXI_FN_RELU = 3,
    OXI_FN_RELU2 = 4, /* max(x, 0)^2 */
    OXI_FN_SIGMOID = 5,
    OXI_FN_TANH = 6,
    OXI_FN_GELU_ERF = 7,   /* x / 2 (1 + erf(x / sqrt 2)) */
    OXI_FN_GELU_QUICK = 8, /* x sigmoid(1.702 x) */
    OXI_FN_SOFTPLUS = 9,   /* log(1 + e^x) */
    OXI_FN_SWIGLU_CLAMPED = 10, /* gpt-oss: g sigmoid(1.702 g) (u + 1), g = min(x, 7), u = times between -7 and 7 */
    OXI_FN_EXP = 11,
    OXI_FN_COUNT
} oxi_fn;

/* Keys and values in the cache. I16: 14-bit integers with one scale per position and head. Q8_0: 8-bit integers with one
 * scale per 32 values. */
typedef enum oxi_cache_type { OXI_CACHE_F32 = 0, OXI_CACHE_F16, OXI_CACHE_I16, OXI_CACHE_Q8_0, OXI_CACHE_COUNT } oxi_cache_type;

#define OXI_PAGE_TOKENS 32

#endif
