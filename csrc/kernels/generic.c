/* The specification of every kernel, in plain C: complete, plain, and what the other rows are tested against. */
#include "layout.h"
#include "prepare.h"
#include "rows.h"

#include <string.h>

/* One chunk of one panel, as the formulas see it. */
typedef struct plain_chunk {
    int code[OXI_CHUNK][OXI_PANEL]; /* less the zero point */
    float scale[16][OXI_PANEL];     /* per group of 32 or 16 columns */
    int minimum[8][OXI_PANEL];
    float dmin[OXI_PANEL];
} plain_chunk;

static float half_at(const uint8_t *p, int row) { return oxi_half_float(oxi_read_u16(p + 2 * row)); }

static int code_at(oxi_pack pack, const uint8_t *group, int col, int row)
{
    const int i = col / 4, lane = 4 * row + col % 4;
    if (pack == OXI_PACK_Q8_32) return group[64 * i + lane] - 128;
    const int low = (group[64 * (i % 4) + lane] >> 4 * (i / 4)) & 15;
    if (pack == OXI_PACK_Q4_32) return low - 8;
    if (pack == OXI_PACK_Q4_256) return low;
    if (pack == OXI_PACK_Q5_256) return low | ((group[256 + lane] >> i) & 1) << 4;
    return (low | ((group[256 + 64 * (i / 4) + lane] >> 2 * (i % 4)) & 3) << 4) - 32;
}

static void read_chunk(oxi_pack pack, const uint8_t *src, int n_groups, plain_chunk *out)
{
    for (int col = 0; col < n_groups * OXI_GROUP; col++)
        for (int r = 0; r < OXI_PANEL; r++)
            out->code[col][r] = code_at(pack, src + (size_t)(col / OXI_GROUP) * oxi_group_bytes(pack), col % OXI_GROUP, r);
    const uint8_t *tail = src + (size_t)n_groups * oxi_group_bytes(pack);
    for (int r = 0; r < OXI_PANEL; r++) {
        if (pack == OXI_PACK_Q4_32 || pack == OXI_PACK_Q8_32) {
            for (int g = 0; g < n_groups; g++) out->scale[g][r] = half_at(tail + 32 * g, r);
        } else if (pack == OXI_PACK_Q6_256) {
            const float d = half_at(tail + OXI_Q6_TAIL_D, r);
            for (int g = 0; g < 16; g++) out->scale[g][r] = d * (float)(int8_t)tail[16 * g + r];
        } else {
            const float d = half_at(tail + OXI_K_TAIL_D, r);
            for (int g = 0; g < 8; g++) {
                const int s = 16 * g + r, m = g / 2 * 32 + 2 * r + g % 2;
                const uint8_t sh = (uint8_t)(tail[OXI_K_TAIL_HIGH + s % 64] >> 4 * (s / 64));
                const uint8_t mh = (uint8_t)(tail[OXI_K_TAIL_HIGH + m % 64] >> 4 * (m / 64));
                out->scale[g][r] = d * (float)((tail[s] & 15) | (sh & 3) << 4);
                out->minimum[g][r] = tail[m] >> 4 | ((mh >> 2) & 3) << 4;
            }
            out->dmin[r] = half_at(tail + OXI_K_TAIL_DMIN, r);
        }
    }
}

/* sum[row] += the chunk's part of the product with one record. */
static void add_chunk(oxi_pack pack, const plain_chunk *w, int n_groups, const oxi_act_record *x, float sum[OXI_PANEL])
{
    const int group = pack == OXI_PACK_Q6_256 ? 16 : 32, n = n_groups * OXI_GROUP / group;
    const bool own_scale = pack == OXI_PACK_Q4_32 || pack == OXI_PACK_Q8_32;
    float part[OXI_PANEL] = {0};
    for (int g = 0; g < n; g++) {
        int dot[OXI_PANEL] = {0};
        for (int col = g * group; col < (g + 1) * group; col++)
            for (int r = 0; r < OXI_PANEL; r++) dot[r] += w->code[col][r] * x->q[col];
        for (int r = 0; r < OXI_PANEL; r++)
            if (own_scale) sum[r] += (float)dot[r] * (w->scale[g][r] * x->d[g]);
            else part[r] += (float)dot[r] * w->scale[g][r];
    }
    if (own_scale) return;
    for (int r = 0; r < OXI_PANEL; r++) {
        sum[r] += part[r] * x->d[0];
        if (pack == OXI_PACK_Q6_256) continue;
        int minima = 0;
        for (int g = 0; g < 8; g++) minima += w->minimum[g][r] * x->sum[g];
        sum[r] -= (float)minima * (w->dmin[r] * x->d[0]);
    }
}

static void store(const oxi_matrix *m, int64_t panel, const float sum[OXI_PANEL], float *out)
{
    const int64_t left = m->n_rows - panel * OXI_PANEL;
    memcpy(out + panel * OXI_PANEL, sum, (size_t)(left < OXI_PANEL ? left : OXI_PANEL) * sizeof(float));
}

/* Tokens that share one reading of a chunk. */
enum { TOKENS = 32 };

static void matmul_quantised(const oxi_matrix *m, int64_t p0, int64_t p1, const void *act, int64_t n_tokens, float *out,
                             int64_t ldo, void *scratch)
{
    plain_chunk *w = scratch;
    _Static_assert(sizeof *w <= OXI_MATMUL_SCRATCH, "the chunk fits the scratch");
    const oxi_act_record *x = act;
    for (int64_t p = p0; p < p1; p++)
        for (int64_t t0 = 0; t0 < n_tokens; t0 += TOKENS) {
            const int n = (int)(n_tokens - t0 < TOKENS ? n_tokens - t0 : TOKENS);
            float sum[TOKENS][OXI_PANEL] = {{0}};
            const uint8_t *src = m->data + (size_t)p * m->panel_bytes;
            for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++) {
                const int n_groups = oxi_chunk_cols(m->n_cols, c) / OXI_GROUP;
                read_chunk(m->pack, src, n_groups, w);
                for (int t = 0; t < n; t++) add_chunk(m->pack, w, n_groups, x + c * n_tokens + t0 + t, sum[t]);
                src += oxi_chunk_bytes(m->pack, n_groups);
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

const oxi_kernels oxi_row_generic = {
    .name = "generic",
    .needs = 0,
    .prepare = OXI_PREPARE_TABLE,
    .matmul = {[OXI_PACK_F32] = matmul_float, [OXI_PACK_F16] = matmul_float, [OXI_PACK_BF16] = matmul_float,
               [OXI_PACK_Q4_32] = matmul_quantised, [OXI_PACK_Q8_32] = matmul_quantised,
               [OXI_PACK_Q4_256] = matmul_quantised, [OXI_PACK_Q5_256] = matmul_quantised,
               [OXI_PACK_Q6_256] = matmul_quantised},
};
