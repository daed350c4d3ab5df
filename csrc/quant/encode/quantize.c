/* The loops that quantise whole rows. */
#include "quant/encode/encode.h"
#include "quant/half.h"
#include "quant/quant.h"
#include "oxillama.h"

#include <stdlib.h>

/* Columns whose importance is read together: a multiple of every block. */
enum { CHUNK = 256 };

struct oxi_quantizer {
    uint32_t type;
    const oxi_format *format; /* NULL: F32, F16, BF16 */
    void *prepared;
};

bool oxi_quantizable(uint32_t type)
{
    const oxi_format *f = oxi_format_of(type);
    return type == OXI_TYPE_F32 || type == OXI_TYPE_F16 || type == OXI_TYPE_BF16 || (f && f->encode);
}

oxi_status oxi_quantizer_open(oxi_quantizer **out, uint32_t type, oxi_error *err)
{
    *out = NULL;
    if (!oxi_quantizable(type)) return oxi_type_unsupported(type, "quantising to", err);
    oxi_quantizer *q = malloc(sizeof *q);
    if (!q) return oxi_fail(err, OXI_ERR_NOMEM, "quantiser: out of memory");
    *q = (oxi_quantizer){type, oxi_format_of(type), NULL};
    if (q->format && q->format->prepare && !(q->prepared = q->format->prepare())) {
        free(q);
        return oxi_fail(err, OXI_ERR_NOMEM, "quantiser of %s: out of memory", oxi_type_describe(type)->name);
    }
    *out = q;
    return OXI_OK;
}

void oxi_quantizer_close(oxi_quantizer **quantizer)
{
    if (*quantizer) free((*quantizer)->prepared);
    free(*quantizer);
    *quantizer = NULL;
}

static void convert(uint32_t type, const float *src, uint64_t n, uint8_t *dst)
{
    if (type == OXI_TYPE_F32) {
        memcpy(dst, src, n * sizeof(float));
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        const uint16_t v = type == OXI_TYPE_F16 ? oxi_float_half(src[i]) : oxi_float_bf16(src[i]);
        memcpy(dst + 2 * i, &v, 2);
    }
}

/* Without its sign, a float's bits order as its magnitude does, with infinities and NaNs on top. */
static uint32_t largest_magnitude(const float *x, int n)
{
    uint32_t most = 0;
    for (int i = 0; i < n; i++) {
        const uint32_t body = oxi_float_bits(x[i]) & 0x7fffffffu;
        most = body > most ? body : most;
    }
    return most;
}

/* The encoder's weights for a chunk of columns: at most 1, and never zero. A column not seen when importance was
 * measured still needs usable values. */
static bool column_weights(const float *importance, int n, float *w)
{
    float top = 0.0f;
    for (int i = 0; i < n; i++) {
        if (!(importance[i] >= 0.0f && importance[i] <= 3e38f)) return false;
        top = importance[i] > top ? importance[i] : top;
    }
    for (int i = 0; i < n; i++) w[i] = top > 0.0f ? importance[i] / top * 0.9999f + 1e-4f : 1.0f;
    return true;
}

oxi_status oxi_quantizer_rows(const oxi_quantizer *q, const float *src, uint64_t n_rows, uint64_t n_cols,
                              const float *importance, void *dst, oxi_error *err)
{
    uint8_t *bytes = dst;
    const oxi_format *f = q->format;
    const char *name = oxi_type_describe(q->type)->name;
    if (!f) {
        convert(q->type, src, n_rows * n_cols, bytes);
        return OXI_OK;
    }
    if (n_cols % f->block)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "%llu weights are not a multiple of %s's block of %u",
                        (unsigned long long)n_cols, name, f->block);
    float w[CHUNK];
    for (int i = 0; i < CHUNK; i++) w[i] = 1.0f;
    for (uint64_t column = 0; column < n_cols; column += CHUNK) {
        const int n = n_cols - column < CHUNK ? (int)(n_cols - column) : CHUNK;
        if (importance && !column_weights(importance + column, n, w))
            return oxi_fail(err, OXI_ERR_ARGUMENT,
                            "the importance of a column from %llu to %llu is negative or not finite",
                            (unsigned long long)column, (unsigned long long)column + (unsigned)n - 1);
        for (uint64_t row = 0; row < n_rows; row++) {
            const float *x = src + row * n_cols + column;
            const uint32_t most = largest_magnitude(x, n);
            if (most > oxi_float_bits(OXI_ENCODE_MOST)) {
                const char *why = most < 0x7f800000u ? "above 65504" : "not finite";
                return oxi_fail(err, OXI_ERR_ARGUMENT, "a weight in columns %llu to %llu of row %llu is %s: %s cannot hold it",
                                (unsigned long long)column, (unsigned long long)column + (unsigned)n - 1,
                                (unsigned long long)row, why, name);
            }
            uint8_t *out = bytes + (row * n_cols + column) / f->block * f->block_size;
            for (int i = 0; i < n; i += f->block, out += f->block_size) f->encode(q->prepared, x + i, w + i, out);
        }
    }
    return OXI_OK;
}
