/* The specification of every kernel, in plain C and complete. The other isas are tested against it. */
#include "kernels/gemm/quantize_activations.h"
#include "kernels/isa/isa.h"
#include "kernels/pack/codebook_chunk.h"

#include <string.h>

/* One chunk of one panel, as the formulas see it. */
typedef struct plain_chunk {
    int value[OXI_CHUNK][OXI_PANEL];
    float scale[16][OXI_PANEL];   /* per group of 32 or 16 columns */
    float minimum[16][OXI_PANEL]; /* the same for minima; integers, before dmin */
    float d[OXI_PANEL], dmin[OXI_PANEL]; /* factors of the chunk's sums: d if sums are whole, else 1 */
} plain_chunk;

static float half_at(const uint8_t *p, int row) { return oxi_half_float(oxi_read_u16(p + 2 * row)); }

static float float_at(const uint8_t *p, int row)
{
    float v;
    memcpy(&v, p + 4 * row, sizeof v);
    return v;
}

/* Code register i's bits in a plane of `bits`. */
static int plane_at(int bits, const uint8_t *plane, int i, int lane)
{
    const int at = bits == 4 ? i % 4 : i * bits / 8, k = bits == 4 ? i / 4 : i % (8 / bits);
    return (plane[64 * at + lane] >> bits * k) & ((1 << bits) - 1);
}

static int value_at(const oxi_matrix *m, const uint8_t *group, int col, int row)
{
    const oxi_pack_traits *t = &oxi_traits[m->pack];
    const int i = col / 16 * 4 + col % 4, lane = 4 * row + col / 4 % 4, low = t->bits >= 4 ? 4 : t->bits >= 2 ? 2 : 1;
    int code = t->bits == 8 ? group[64 * i + lane] : plane_at(low, group, i, lane);
    if (t->bits > low && t->bits < 8) code |= plane_at(t->bits - low, group + 64 * low, i, lane) << low;
    if (t->bits == 1) code *= 2;
    if (t->table) return m->table[code];
    return t->zero_shift < 0 ? code : code - (1 << t->zero_shift);
}

static float d_at(const oxi_matrix *m, const uint8_t *factors, int r)
{
    switch (oxi_traits[m->pack].factors) {
    case OXI_FACTORS_INT8: return half_at(factors + oxi_int8_d(m->pack), r) * m->unit;
    case OXI_FACTORS_SIX_BIT: return half_at(factors + OXI_SIX_D, r);
    case OXI_FACTORS_FOUR_BIT: return half_at(factors + OXI_FOUR_D, r);
    case OXI_FACTORS_FLOAT: return float_at(factors, r);
    default: return 1.0f;
    }
}

/* Scale of group g of row r, without d. */
static float scale_at(const oxi_matrix *m, const uint8_t *factors, int g, int r)
{
    const oxi_pack_traits *t = &oxi_traits[m->pack];
    const int at = OXI_PANEL * g + r;
    switch (t->factors) {
    case OXI_FACTORS_HALF: return half_at(factors + 32 * (g * OXI_GROUP / t->span), r);
    case OXI_FACTORS_HALF_MIN: return half_at(factors + 64 * g, r);
    case OXI_FACTORS_E8M0: return oxi_bits_float(factors[at] < 2 ? 0x00200000u << factors[at] : (factors[at] - 1u) << 23);
    case OXI_FACTORS_E4M3: return oxi_bits_float((uint32_t)factors[at] << 20) * 0x1p119f;
    case OXI_FACTORS_INT8: return (float)(int8_t)factors[at];
    case OXI_FACTORS_SIX_BIT: return (float)((factors[at] & 15) | (factors[OXI_SIX_HIGH + at % 64] >> 4 * (at / 64) & 3) << 4);
    case OXI_FACTORS_FOUR_BIT: return (float)(factors[at] & 15);
    case OXI_FACTORS_FLOAT: break;
    }
    return 1.0f;
}

static float minimum_at(const oxi_matrix *m, const uint8_t *factors, int g, int r)
{
    const int at = g / 2 * 32 + 2 * r + g % 2;
    switch (oxi_traits[m->pack].factors) {
    case OXI_FACTORS_HALF_MIN: return half_at(factors + 64 * g + 32, r);
    case OXI_FACTORS_SIX_BIT: return (float)(factors[at] >> 4 | (factors[OXI_SIX_HIGH + at % 64] >> (4 * (at / 64) + 2) & 3) << 4);
    case OXI_FACTORS_FOUR_BIT: return (float)(factors[at] >> 4);
    default: return 0.0f;
    }
}

static void read_chunk(const oxi_matrix *m, const uint8_t *src, int n_groups, plain_chunk *out)
{
    const oxi_pack_traits *t = &oxi_traits[m->pack];
    const int cols = n_groups * OXI_GROUP, group = t->group;
    const uint8_t *factors = src, *codes = src + oxi_factor_bytes(m->pack, n_groups);
    for (int r = 0; r < OXI_PANEL; r++) {
        for (int col = 0; col < cols; col++)
            out->value[col][r] = value_at(m, codes + (size_t)(col / OXI_GROUP) * oxi_group_bytes(m->pack), col % OXI_GROUP, r);
        const float d = d_at(m, factors, r);
        for (int g = 0; g < cols / group; g++) {
            out->scale[g][r] = (t->whole ? 1.0f : d) * scale_at(m, factors, g, r);
            out->minimum[g][r] = minimum_at(m, factors, g, r);
        }
        out->d[r] = t->whole ? d : 1.0f;
        out->dmin[r] = t->factors == OXI_FACTORS_SIX_BIT    ? half_at(factors + OXI_SIX_DMIN, r)
                       : t->factors == OXI_FACTORS_FOUR_BIT ? half_at(factors + OXI_FOUR_DMIN, r)
                                                      : 0.0f;
    }
}

/* sum[row] += the chunk's part of the product with one record. */
static void add_chunk(oxi_pack pack, const plain_chunk *w, int n_groups, const oxi_act_record *x, float sum[OXI_PANEL])
{
    const oxi_pack_traits *traits = &oxi_traits[pack];
    const int group = traits->group, n = n_groups * OXI_GROUP / group;
    const bool own_scale = traits->act == OXI_ACT_Q8_32;
    float part[OXI_PANEL] = {0};
    for (int g = 0; g < n; g++) {
        const float d = x->d[g * group / OXI_GROUP];
        int dot[OXI_PANEL] = {0}, all = 0;
        for (int col = g * group; col < (g + 1) * group; col++) {
            const int q = x->q[(col & ~15) | (col & 3) << 2 | (col >> 2 & 3)];
            all += q;
            for (int r = 0; r < OXI_PANEL; r++) dot[r] += w->value[col][r] * q;
        }
        for (int r = 0; r < OXI_PANEL; r++)
            if (own_scale) sum[r] += (float)dot[r] * (w->scale[g][r] * d) - w->minimum[g][r] * ((float)all * d);
            else part[r] += (float)dot[r] * w->scale[g][r];
    }
    if (own_scale) return;
    for (int r = 0; r < OXI_PANEL; r++) {
        float minima = 0.0f;
        for (int g = 0; g < n; g++) minima += w->minimum[g][r] * (float)(group == 16 ? x->sum16 : x->sum32)[g];
        sum[r] += (part[r] * w->d[r] - minima * w->dmin[r]) * x->d[0];
    }
}

static void store(const oxi_matrix *m, int64_t panel, const float sum[OXI_PANEL], float *out)
{
    const int64_t left = m->n_rows - panel * OXI_PANEL;
    memcpy(out + panel * OXI_PANEL, sum, (size_t)(left < OXI_PANEL ? left : OXI_PANEL) * sizeof(float));
}

/* Tokens that share one reading of a chunk. */
enum { TOKENS = 32 };

typedef struct plain_scratch {
    plain_chunk chunk;
    uint8_t tables[OXI_CODEBOOK_TABLE_BYTES], decoded[OXI_DECODED_BYTES];
} plain_scratch;

static void matmul_quantised(const oxi_matrix *m, int64_t p0, int64_t p1, const void *act, int64_t n_tokens, float *out,
                             int64_t ldo, void *scratch)
{
    plain_scratch *s = scratch;
    plain_chunk *w = &s->chunk;
    _Static_assert(sizeof *s <= OXI_MATMUL_SCRATCH, "the chunk fits the scratch");
    const int group = oxi_traits[m->pack].group;
    const size_t codebook_bytes = m->codebook ? oxi_codebook_layout_of(m->codebook, group).bytes : 0;
    if (m->codebook) m->decoder->load_tables(m->codebook, s->tables);
    const oxi_act_record *x = act;
    for (int64_t p = p0; p < p1; p++)
        for (int64_t t0 = 0; t0 < n_tokens; t0 += TOKENS) {
            const int n = (int)(n_tokens - t0 < TOKENS ? n_tokens - t0 : TOKENS);
            float sum[TOKENS][OXI_PANEL] = {{0}};
            const uint8_t *src = m->data + (size_t)p * m->panel_bytes;
            for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++) {
                const int n_groups = oxi_chunk_cols(m->n_cols, c) / OXI_GROUP;
                if (m->codebook) m->decoder->decode(m->codebook, group, s->tables, src, s->decoded);
                read_chunk(m, m->codebook ? s->decoded : src, n_groups, w);
                for (int t = 0; t < n; t++) add_chunk(m->pack, w, n_groups, x + c * n_tokens + t0 + t, sum[t]);
                src += m->codebook ? codebook_bytes : oxi_chunk_bytes(m->pack, n_groups);
            }
            for (int t = 0; t < n; t++) store(m, p, sum[t], out + (t0 + t) * ldo);
        }
}

static float weight_at(oxi_pack pack, const uint8_t *panel, int64_t col, int row)
{
    if (pack == OXI_PACK_F32) {
        float v;
        memcpy(&v, panel + (col * OXI_PANEL + row) * 4, 4);
        return v;
    }
    if (pack == OXI_PACK_F16) return oxi_half_float(oxi_read_u16(panel + (col * OXI_PANEL + row) * 2));
    return oxi_bf16_float(oxi_read_u16(panel + ((col / 2 * OXI_PANEL + row) * 2 + col % 2) * 2));
}

static void matmul_float(const oxi_matrix *m, int64_t p0, int64_t p1, const void *act, int64_t n_tokens, float *out,
                         int64_t ldo, void *scratch)
{
    const float *x = act;
    float(*w)[OXI_PANEL] = scratch; /* one chunk, read once for TOKENS tokens */
    for (int64_t p = p0; p < p1; p++)
        for (int64_t t0 = 0; t0 < n_tokens; t0 += TOKENS) {
            const int n = (int)(n_tokens - t0 < TOKENS ? n_tokens - t0 : TOKENS);
            float sum[TOKENS][OXI_PANEL] = {{0}};
            for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++) {
                const int cols = oxi_chunk_cols(m->n_cols, c);
                for (int i = 0; i < cols; i++)
                    for (int r = 0; r < OXI_PANEL; r++)
                        w[i][r] = weight_at(m->pack, m->data + (size_t)p * m->panel_bytes, c * OXI_CHUNK + i, r);
                for (int t = 0; t < n; t++) {
                    const float *xt = x + (c * n_tokens + t0 + t) * OXI_CHUNK;
                    for (int i = 0; i < cols; i++)
                        for (int r = 0; r < OXI_PANEL; r++) sum[t][r] += w[i][r] * xt[i];
                }
            }
            for (int t = 0; t < n; t++) store(m, p, sum[t], out + (t0 + t) * ldo);
        }
}

const oxi_kernels oxi_kernels_generic = {
    .name = "generic",
    .needs = 0,
    .quantize = OXI_QUANTIZE_TABLE,
    .vec = &oxi_vec_generic,
    .matmul = {[OXI_PACK_F32] = matmul_float, [OXI_PACK_F16] = matmul_float, [OXI_PACK_BF16] = matmul_float,
               [OXI_PACK_Q4_32 ... OXI_PACK_COUNT - 1] = matmul_quantised},
};
