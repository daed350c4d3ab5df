/* From file blocks to panels. Codes and scales keep their values to the last bit; only their places change. */
#include "layout.h"

#include "quant/half.h"
#include "quant/quant.h"

#include <string.h>

/* What the padding of an over-reading prefetch or load may touch behind the last panel. */
#define OVER_READ 64

bool oxi_pack_for(uint32_t type, oxi_pack *pack)
{
    switch (type) {
    case OXI_TYPE_F32: *pack = OXI_PACK_F32; return true;
    case OXI_TYPE_F16: *pack = OXI_PACK_F16; return true;
    case OXI_TYPE_BF16: *pack = OXI_PACK_BF16; return true;
    case OXI_TYPE_Q4_0: *pack = OXI_PACK_Q4_32; return true;
    case OXI_TYPE_Q8_0: *pack = OXI_PACK_Q8_32; return true;
    case OXI_TYPE_Q4_K: *pack = OXI_PACK_Q4_256; return true;
    case OXI_TYPE_Q5_K: *pack = OXI_PACK_Q5_256; return true;
    case OXI_TYPE_Q6_K: *pack = OXI_PACK_Q6_256; return true;
    default: return false;
    }
}

static oxi_act act_for(oxi_pack pack)
{
    switch (pack) {
    case OXI_PACK_Q4_32: case OXI_PACK_Q8_32: return OXI_ACT_Q8_32;
    case OXI_PACK_Q4_256: case OXI_PACK_Q5_256: case OXI_PACK_Q6_256: return OXI_ACT_Q8_256;
    default: return OXI_ACT_F32;
    }
}

static size_t panel_bytes(oxi_pack pack, int64_t n_cols)
{
    size_t bytes;
    switch (pack) {
    case OXI_PACK_F32: bytes = (size_t)n_cols * OXI_PANEL * 4; break;
    case OXI_PACK_F16: bytes = (size_t)n_cols * OXI_PANEL * 2; break;
    case OXI_PACK_BF16: bytes = (size_t)(n_cols + 1) / 2 * OXI_PANEL * 4; break;
    default: {
        const int rest = (int)(n_cols % OXI_CHUNK) / OXI_GROUP;
        bytes = (size_t)(n_cols / OXI_CHUNK) * oxi_chunk_bytes(pack, OXI_CHUNK_GROUPS);
        if (rest) bytes += oxi_chunk_bytes(pack, rest);
    }
    }
    return (bytes + 63) & ~(size_t)63;
}

oxi_status oxi_pack_plan(oxi_matrix *m, uint32_t type, int64_t n_rows, int64_t n_cols, oxi_error *err)
{
    oxi_pack pack;
    const char *name = oxi_type_describe(type)->name;
    if (!oxi_pack_for(type, &pack)) {
        if (name) return oxi_fail(err, OXI_ERR_UNSUPPORTED, "matrices of type %s are not supported", name);
        return oxi_fail(err, OXI_ERR_UNSUPPORTED, "GGUF defines no tensor type %u", type);
    }
    /* Wide enough for any model, narrow enough that no product below overflows. */
    if (n_rows < 1 || n_cols < 1 || n_rows > INT32_MAX || n_cols > INT32_MAX)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a matrix of %lld rows and %lld columns cannot be packed",
                        (long long)n_rows, (long long)n_cols);
    const oxi_format *f = oxi_format_of(type);
    if (f && n_cols % f->block)
        return oxi_fail(err, OXI_ERR_FORMAT, "a row of %lld columns is not a multiple of %s's block of %u",
                        (long long)n_cols, name, f->block);
    *m = (oxi_matrix){.pack = pack, .act = act_for(pack), .n_rows = n_rows, .n_cols = n_cols,
                      .n_panels = (n_rows + OXI_PANEL - 1) / OXI_PANEL, .panel_bytes = panel_bytes(pack, n_cols)};
    if ((size_t)m->n_panels > (SIZE_MAX - OVER_READ) / m->panel_bytes)
        return oxi_fail(err, OXI_ERR_NOMEM, "a matrix of %lld rows and %lld columns is too large", (long long)n_rows,
                        (long long)n_cols);
    return OXI_OK;
}

size_t oxi_pack_bytes(const oxi_matrix *m) { return (size_t)m->n_panels * m->panel_bytes + OVER_READ; }

size_t oxi_act_bytes(oxi_act act, int64_t n_tokens, int64_t n_cols)
{
    const size_t record = act == OXI_ACT_F32 ? OXI_CHUNK * sizeof(float) : sizeof(oxi_act_record);
    return record * ((size_t)n_tokens * (size_t)oxi_n_chunks(n_cols) + OXI_ACT_PADDING);
}

/* -------------------------------------------------------------------------------------------------------- quantised */

/* Sixteen rows of one chunk, decoded. */
typedef struct chunk_rows {
    uint8_t code[OXI_PANEL][OXI_CHUNK];
    uint16_t d[OXI_PANEL][OXI_CHUNK_GROUPS]; /* formats of 32: one per group; of 256: [0] */
    uint16_t dmin[OXI_PANEL];
    int8_t scale[OXI_PANEL][OXI_MAX_GROUPS];
    uint8_t minimum[OXI_PANEL][OXI_MAX_GROUPS];
} chunk_rows;

static void decode_row(const oxi_format *f, const uint8_t *src, int n_blocks, int row, chunk_rows *out)
{
    oxi_block b;
    for (int i = 0; i < n_blocks; i++) {
        f->decode(src + (size_t)i * f->block_size, &b);
        memcpy(out->code[row] + i * f->block, b.code, f->block);
        out->d[row][i] = b.d;
    }
    if (f->block != OXI_CHUNK) return;
    out->dmin[row] = f->minima ? b.dmin : 0;
    memcpy(out->scale[row], b.scale, sizeof b.scale);
    memcpy(out->minimum[row], b.minimum, sizeof b.minimum);
}

/* A row that is not there: code `zero`, scale 0. */
static void absent_row(const oxi_format *f, int row, chunk_rows *out)
{
    memset(out->code[row], f->zero, sizeof out->code[row]);
    memset(out->d[row], 0, sizeof out->d[row]);
    out->dmin[row] = 0;
    memset(out->scale[row], 0, sizeof out->scale[row]);
    memset(out->minimum[row], 0, sizeof out->minimum[row]);
}

/* The codes of one group; `dst` is oxi_group_bytes long. Four columns travel as one 32-bit lane. */
static void interleave_group(oxi_pack pack, const chunk_rows *rows, int g, uint8_t *dst)
{
    uint32_t lane[8][OXI_PANEL], plane[OXI_PANEL];
    for (int r = 0; r < OXI_PANEL; r++) {
        uint32_t c[8];
        memcpy(c, rows->code[r] + g * OXI_GROUP, sizeof c);
        for (int i = 0; i < 8; i++) lane[i][r] = c[i];
    }
    if (pack == OXI_PACK_Q8_32) {
        memcpy(dst, lane, sizeof lane);
        return;
    }
    for (int j = 0; j < 4; j++, dst += sizeof plane) {
        for (int r = 0; r < OXI_PANEL; r++)
            plane[r] = (lane[j][r] & 0x0f0f0f0fu) | (lane[4 + j][r] & 0x0f0f0f0fu) << 4;
        memcpy(dst, plane, sizeof plane);
    }
    if (pack == OXI_PACK_Q5_256) {
        memset(plane, 0, sizeof plane);
        for (int i = 0; i < 8; i++)
            for (int r = 0; r < OXI_PANEL; r++) plane[r] |= ((lane[i][r] >> 4) & 0x01010101u) << i;
        memcpy(dst, plane, sizeof plane);
    }
    if (pack == OXI_PACK_Q6_256)
        for (int half = 0; half < 2; half++, dst += sizeof plane) {
            memset(plane, 0, sizeof plane);
            for (int i = 0; i < 4; i++)
                for (int r = 0; r < OXI_PANEL; r++)
                    plane[r] |= ((lane[4 * half + i][r] >> 4) & 0x03030303u) << 2 * i;
            memcpy(dst, plane, sizeof plane);
        }
}

static void put_halves(const uint16_t *v, int stride, uint8_t *dst)
{
    for (int r = 0; r < OXI_PANEL; r++) memcpy(dst + 2 * r, v + r * stride, 2);
}

static void put_tail(oxi_pack pack, const chunk_rows *rows, int n_groups, uint8_t *dst)
{
    if (pack == OXI_PACK_Q4_32 || pack == OXI_PACK_Q8_32) {
        for (int g = 0; g < n_groups; g++) put_halves(&rows->d[0][g], OXI_CHUNK_GROUPS, dst + 32 * g);
        return;
    }
    if (pack == OXI_PACK_Q6_256) {
        for (int g = 0; g < 16; g++)
            for (int r = 0; r < OXI_PANEL; r++) dst[g * OXI_PANEL + r] = (uint8_t)rows->scale[r][g];
        put_halves(&rows->d[0][0], OXI_CHUNK_GROUPS, dst + OXI_Q6_TAIL_D);
        return;
    }
    uint8_t s[128], m[128];
    for (int g = 0; g < 8; g++)
        for (int r = 0; r < OXI_PANEL; r++) {
            s[g * OXI_PANEL + r] = (uint8_t)rows->scale[r][g];
            m[g / 2 * 2 * OXI_PANEL + 2 * r + g % 2] = rows->minimum[r][g];
        }
    for (int k = 0; k < 128; k++) dst[OXI_K_TAIL_LOW + k] = (uint8_t)((s[k] & 15) | m[k] << 4);
    for (int k = 0; k < 64; k++)
        dst[OXI_K_TAIL_HIGH + k] =
            (uint8_t)(s[k] >> 4 | m[k] >> 4 << 2 | s[64 + k] >> 4 << 4 | m[64 + k] >> 4 << 6);
    put_halves(&rows->d[0][0], OXI_CHUNK_GROUPS, dst + OXI_K_TAIL_D);
    put_halves(rows->dmin, 1, dst + OXI_K_TAIL_DMIN);
}

static void pack_panel(const oxi_matrix *m, const oxi_format *f, const uint8_t *src, int64_t panel, uint8_t *dst)
{
    const size_t row_bytes = (size_t)(m->n_cols / f->block) * f->block_size;
    const uint8_t *const end = dst + m->panel_bytes;
    chunk_rows rows;
    for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++) {
        const int cols = oxi_chunk_cols(m->n_cols, c), n_groups = cols / OXI_GROUP;
        const size_t at = (size_t)(c * OXI_CHUNK / f->block) * f->block_size;
        for (int r = 0; r < OXI_PANEL; r++) {
            const int64_t row = panel * OXI_PANEL + r;
            if (row < m->n_rows) decode_row(f, src + (size_t)row * row_bytes + at, cols / f->block, r, &rows);
            else absent_row(f, r, &rows);
        }
        uint8_t *to = dst;
        for (int g = 0; g < n_groups; g++, to += oxi_group_bytes(m->pack)) interleave_group(m->pack, &rows, g, to);
        put_tail(m->pack, &rows, n_groups, to);
        dst += oxi_chunk_bytes(m->pack, n_groups);
    }
    memset(dst, 0, (size_t)(end - dst));
}

/* ----------------------------------------------------------------------------------------------------------- floats */

static void pack_float_panel(const oxi_matrix *m, const uint8_t *src, int64_t panel, uint8_t *dst)
{
    const size_t size = m->pack == OXI_PACK_F32 ? 4 : 2, row_bytes = (size_t)m->n_cols * size;
    const int64_t left = m->n_rows - panel * OXI_PANEL;
    const int n = (int)(left < OXI_PANEL ? left : OXI_PANEL);
    src += (size_t)(panel * OXI_PANEL) * row_bytes;
    if (n < OXI_PANEL || m->pack == OXI_PACK_BF16) memset(dst, 0, m->panel_bytes);
    for (int r = 0; r < n; r++, src += row_bytes)
        for (int64_t c = 0; c < m->n_cols; c++) {
            if (m->pack == OXI_PACK_F32) memcpy(dst + (c * OXI_PANEL + r) * 4, src + c * 4, 4);
            else if (m->pack == OXI_PACK_F16) memcpy(dst + (c * OXI_PANEL + r) * 2, src + c * 2, 2);
            else memcpy(dst + ((c / 2 * OXI_PANEL + r) * 2 + c % 2) * 2, src + c * 2, 2);
        }
}

void oxi_pack_panels(const oxi_matrix *m, uint32_t type, const void *src, int64_t p0, int64_t p1, uint8_t *dst)
{
    const oxi_format *f = oxi_format_of(type);
    for (int64_t p = p0; p < p1; p++) {
        uint8_t *to = dst + (size_t)p * m->panel_bytes;
        if (f) pack_panel(m, f, src, p, to);
        else pack_float_panel(m, src, p, to);
    }
}
