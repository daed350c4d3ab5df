/* Repacks file blocks into panels. Codes and scales keep their values to the last bit; only their places change. */
#include "kernels/pack/codebook_chunk.h"
#include "kernels/pack/layout.h"

#include "quant/half.h"
#include "quant/quant.h"

#include <string.h>

/* Bytes behind the last panel that an over-reading prefetch or load may touch. */
#define OVER_READ 64

bool oxi_pack_for(uint32_t type, oxi_pack *pack)
{
    static const struct { uint8_t type, pack; } packs[] = {
        {OXI_TYPE_F32, OXI_PACK_F32},          {OXI_TYPE_F16, OXI_PACK_F16},          {OXI_TYPE_BF16, OXI_PACK_BF16},
        {OXI_TYPE_Q4_0, OXI_PACK_Q4_32},       {OXI_TYPE_Q4_1, OXI_PACK_Q4_32_MIN},   {OXI_TYPE_Q5_0, OXI_PACK_Q5_32},
        {OXI_TYPE_Q5_1, OXI_PACK_Q5_32_MIN},   {OXI_TYPE_Q8_0, OXI_PACK_Q8_32},       {OXI_TYPE_Q8_1, OXI_PACK_Q8_32},
        {OXI_TYPE_Q2_K, OXI_PACK_Q2_256_16},   {OXI_TYPE_Q3_K, OXI_PACK_Q3_256_16},   {OXI_TYPE_Q4_K, OXI_PACK_Q4_256},
        {OXI_TYPE_Q5_K, OXI_PACK_Q5_256},      {OXI_TYPE_Q6_K, OXI_PACK_Q6_256},      {OXI_TYPE_Q8_K, OXI_PACK_Q8_256},
        {OXI_TYPE_IQ4_NL, OXI_PACK_T4_32},     {OXI_TYPE_IQ4_XS, OXI_PACK_T4_256},    {OXI_TYPE_MXFP4, OXI_PACK_T4_E8M0},
        {OXI_TYPE_NVFP4, OXI_PACK_T4_E4M3},    {OXI_TYPE_IQ1_S, OXI_PACK_T3_256},     {OXI_TYPE_IQ1_M, OXI_PACK_T3_256_16},
        {OXI_TYPE_IQ2_XXS, OXI_PACK_T3_256},   {OXI_TYPE_IQ2_XS, OXI_PACK_T3_256_16}, {OXI_TYPE_IQ2_S, OXI_PACK_T3_256_16},
        {OXI_TYPE_IQ3_XXS, OXI_PACK_T4_256},   {OXI_TYPE_IQ3_S, OXI_PACK_T4_256},     {OXI_TYPE_TQ1_0, OXI_PACK_Q2_64},
        {OXI_TYPE_TQ2_0, OXI_PACK_Q2_64},      {OXI_TYPE_Q2_0, OXI_PACK_Q2_64},       {OXI_TYPE_Q1_0, OXI_PACK_Q1_128},
    };
    for (size_t i = 0; i < sizeof packs / sizeof *packs; i++)
        if (packs[i].type == type) {
            *pack = (oxi_pack)packs[i].pack;
            return true;
        }
    return false;
}

static size_t panel_bytes(oxi_pack pack, const oxi_codebook *codebook, int64_t n_cols)
{
    size_t bytes;
    if (codebook) {
        bytes = (size_t)(n_cols / OXI_CHUNK) * oxi_codebook_layout_of(codebook, oxi_traits[pack].group).bytes;
    } else if (pack == OXI_PACK_F32) {
        bytes = (size_t)n_cols * OXI_PANEL * 4;
    } else if (pack == OXI_PACK_F16) {
        bytes = (size_t)n_cols * OXI_PANEL * 2;
    } else if (pack == OXI_PACK_BF16) {
        bytes = (size_t)(n_cols + 1) / 2 * OXI_PANEL * 4;
    } else {
        const int rest = (int)(n_cols % OXI_CHUNK) / OXI_GROUP;
        bytes = (size_t)(n_cols / OXI_CHUNK) * oxi_chunk_bytes(pack, OXI_CHUNK_GROUPS);
        if (rest) bytes += oxi_chunk_bytes(pack, rest);
    }
    return (bytes + 63) & ~(size_t)63;
}

/* The sign is bit 3 of a file's code but bit 2 of a packed 3-bit one: codebooks of two bits leave bit 2 unused. */
static uint8_t fold(uint8_t code) { return (uint8_t)((code & 3) | (code & 8) >> 1); }

static bool folds(const oxi_format *f, oxi_pack pack) { return oxi_traits[pack].bits == 3 && f->bits == 4; }

static void fill_table(oxi_matrix *m, const oxi_format *f)
{
    for (int c = 0; c < 1 << f->bits; c++) {
        const int to = folds(f, m->pack) ? fold((uint8_t)c) : c;
        if (folds(f, m->pack) && c & 4) continue;
        m->table[to] = f->values ? f->values[c] : (int8_t)(c - f->zero);
    }
}

oxi_status oxi_pack_plan(oxi_matrix *m, uint32_t type, const oxi_codebook_decoder *decoder, int64_t n_rows, int64_t n_cols,
                         oxi_error *err)
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
    const oxi_codebook *codebook = f && decoder ? f->codebook : NULL;
    *m = (oxi_matrix){.pack = pack, .act = oxi_traits[pack].act, .unit = f ? f->unit : 1.0f, .n_rows = n_rows,
                      .n_cols = n_cols, .n_panels = (n_rows + OXI_PANEL - 1) / OXI_PANEL,
                      .panel_bytes = panel_bytes(pack, codebook, n_cols), .codebook = codebook,
                      .decoder = codebook ? decoder : NULL, .reading = {&oxi_readings[OXI_READING_TURNS], &oxi_readings[OXI_READING_TURNS]}};
    if (oxi_traits[pack].table) fill_table(m, f);
    if ((size_t)m->n_panels > (SIZE_MAX - OVER_READ) / m->panel_bytes)
        return oxi_fail(err, OXI_ERR_NOMEM, "a matrix of %lld rows and %lld columns is too large", (long long)n_rows,
                        (long long)n_cols);
    return OXI_OK;
}

size_t oxi_pack_bytes(const oxi_matrix *m) { return (size_t)m->n_panels * m->panel_bytes + OVER_READ; }

size_t oxi_act_bytes(oxi_act act, int64_t n_tokens, int64_t n_cols)
{
    const bool floats = act == OXI_ACT_F32 || act == OXI_ACT_BF16;
    const size_t record = floats ? OXI_CHUNK * sizeof(float) : sizeof(oxi_act_record);
    return record * ((size_t)n_tokens * (size_t)oxi_n_chunks(n_cols) + OXI_ACT_PADDING);
}

/* -------------------------------------------------------------------------------------------------------- quantised */

/* Sixteen rows of one chunk, decoded: codes by column, halves by block, the rest by the format's groups. */
typedef struct chunk_rows {
    uint8_t code[OXI_PANEL][OXI_CHUNK];
    uint16_t d[OXI_CHUNK_GROUPS][OXI_PANEL], dmin[OXI_CHUNK_GROUPS][OXI_PANEL];
    uint16_t entry[OXI_PANEL][OXI_MAX_ENTRIES];
    int8_t scale[OXI_MAX_GROUPS][OXI_PANEL];
    uint8_t minimum[OXI_MAX_GROUPS][OXI_PANEL];
    float wide[OXI_MAX_GROUPS][OXI_PANEL];
} chunk_rows;

static void decode_row(const oxi_format *f, const uint8_t *src, int n_blocks, int row, chunk_rows *out)
{
    const int per = f->block / f->group;
    oxi_block b;
    for (int i = 0; i < n_blocks; i++) {
        f->decode(src + (size_t)i * f->block_size, &b);
        memcpy(out->code[row] + i * f->block, b.code, f->block);
        if (f->codebook) memcpy(out->entry[row], b.entry, sizeof b.entry);
        if (!f->wide) out->d[i][row] = b.d;
        if (f->minima) out->dmin[i][row] = b.dmin;
        for (int g = 0; g < per; g++) {
            if (f->wide) out->wide[i * per + g][row] = b.wide[g];
            else if (f->block == OXI_CHUNK) out->scale[g][row] = b.scale[g];
            if (f->minima && f->block == OXI_CHUNK) out->minimum[g][row] = b.minimum[g];
        }
    }
}

/* A row that does not exist: code `zero` and all scales 0. */
static void absent_row(const oxi_format *f, int row, chunk_rows *out)
{
    memset(out->code[row], f->zero, sizeof out->code[row]);
    memset(out->entry[row], 0, sizeof out->entry[row]);
    for (int i = 0; i < OXI_CHUNK_GROUPS; i++) out->d[i][row] = out->dmin[i][row] = 0;
    for (int g = 0; g < OXI_MAX_GROUPS; g++) {
        out->scale[g][row] = 0;
        out->minimum[g][row] = 0;
        out->wide[g][row] = 0.0f;
    }
}

typedef uint32_t lanes[OXI_PANEL];

/* Bits [first, first + bits) of eight code registers, as a plane. Returns the bytes written. */
static size_t put_plane(const lanes *code, int first, int bits, uint8_t *dst)
{
    const uint32_t mask = 0x01010101u * ((1u << bits) - 1);
    for (int j = 0; j < bits; j++) {
        lanes plane = {0};
        for (int k = 0; k < 8 / bits; k++) {
            /* Nibbles alternate; narrower codes follow one another. */
            const int i = bits == 4 ? 4 * k + j : 8 / bits * j + k;
            for (int r = 0; r < OXI_PANEL; r++) plane[r] |= ((code[i][r] >> first) & mask) << bits * k;
        }
        memcpy(dst + sizeof plane * (size_t)j, plane, sizeof plane);
    }
    return sizeof(lanes) * (size_t)bits;
}

/* Four registers of four consecutive columns each become four registers of every fourth column: a byte transposition. */
static void order_columns(lanes w[4])
{
    const uint32_t even = 0x00ff00ff, odd = 0xff00ff00, low = 0x0000ffff;
    for (int r = 0; r < OXI_PANEL; r++) {
        const uint32_t a = (w[0][r] & even) | (w[1][r] & even) << 8, b = (w[0][r] >> 8 & even) | (w[1][r] & odd);
        const uint32_t c = (w[2][r] & even) | (w[3][r] & even) << 8, d = (w[2][r] >> 8 & even) | (w[3][r] & odd);
        w[0][r] = (a & low) | c << 16;
        w[1][r] = (b & low) | d << 16;
        w[2][r] = a >> 16 | (c & ~low);
        w[3][r] = b >> 16 | (d & ~low);
    }
}

/* Store the codes of one group; `dst` is oxi_group_bytes long. Four columns move as one 32-bit lane. */
static void interleave_group(oxi_pack pack, const chunk_rows *rows, int g, uint8_t *dst)
{
    lanes code[8];
    for (int r = 0; r < OXI_PANEL; r++) {
        uint32_t c[8];
        memcpy(c, rows->code[r] + g * OXI_GROUP, sizeof c);
        for (int i = 0; i < 8; i++) code[i][r] = c[i];
    }
    order_columns(code);
    order_columns(code + 4);
    const int bits = oxi_traits[pack].bits;
    if (bits == 8) {
        memcpy(dst, code, sizeof code);
        return;
    }
    const int low = bits >= 4 ? 4 : bits >= 2 ? 2 : 1;
    dst += put_plane(code, 0, low, dst);
    if (bits > low) put_plane(code, low, bits - low, dst);
}

/* Lay out scales as [group][row], and minima in pairs: [group / 2][row][group % 2]. */
static void order_scales(const chunk_rows *rows, int n_groups, uint8_t *s, uint8_t *m)
{
    for (int g = 0; g < n_groups; g++)
        for (int r = 0; r < OXI_PANEL; r++) {
            s[g * OXI_PANEL + r] = (uint8_t)rows->scale[g][r];
            m[g / 2 * 2 * OXI_PANEL + 2 * r + g % 2] = rows->minimum[g][r];
        }
}

static void put_six_bit(const chunk_rows *rows, uint8_t *dst)
{
    uint8_t s[128], m[128];
    order_scales(rows, 8, s, m);
    for (int k = 0; k < 128; k++) dst[k] = (uint8_t)((s[k] & 15) | m[k] << 4);
    for (int k = 0; k < 64; k++)
        dst[OXI_SIX_HIGH + k] = (uint8_t)(s[k] >> 4 | m[k] >> 4 << 2 | s[64 + k] >> 4 << 4 | m[64 + k] >> 4 << 6);
    memcpy(dst + OXI_SIX_D, rows->d[0], sizeof rows->d[0]);
    memcpy(dst + OXI_SIX_DMIN, rows->dmin[0], sizeof rows->dmin[0]);
}

/* These turn a decoded scale back into its byte in the file. Every float that occurs has such a byte. */
static uint8_t e8m0_byte(float half)
{
    const uint32_t bits = oxi_float_bits(half);
    return (uint8_t)(bits >> 23 ? (bits >> 23) + 1 : bits >> 22);
}

static uint8_t e4m3_byte(float half) { return (uint8_t)(oxi_float_bits(half * 0x1p-119f) >> 20); }

static void put_four_bit(const chunk_rows *rows, uint8_t *dst)
{
    uint8_t s[256], m[256];
    order_scales(rows, 16, s, m);
    for (int k = 0; k < 256; k++) dst[k] = (uint8_t)(s[k] | m[k] << 4);
    memcpy(dst + OXI_FOUR_D, rows->d[0], sizeof rows->d[0]);
    memcpy(dst + OXI_FOUR_DMIN, rows->dmin[0], sizeof rows->dmin[0]);
}

static void put_factors(oxi_pack pack, const oxi_format *f, const chunk_rows *rows, int n_groups, uint8_t *dst)
{
    const int cols = n_groups * OXI_GROUP, group = oxi_traits[pack].group;
    enum { HALVES = sizeof rows->d[0] };
    switch (oxi_traits[pack].factors) {
    case OXI_FACTORS_HALF:
        for (int c = 0; c < cols; c += oxi_traits[pack].span, dst += HALVES) memcpy(dst, rows->d[c / f->block], HALVES);
        break;
    case OXI_FACTORS_HALF_MIN:
        for (int g = 0; g < n_groups; g++, dst += 2 * HALVES) {
            memcpy(dst, rows->d[g], HALVES);
            memcpy(dst + HALVES, rows->dmin[g], HALVES);
        }
        break;
    case OXI_FACTORS_E8M0: case OXI_FACTORS_E4M3:
        for (int g = 0; g < cols / group; g++)
            for (int r = 0; r < OXI_PANEL; r++)
                *dst++ = oxi_traits[pack].factors == OXI_FACTORS_E8M0 ? e8m0_byte(rows->wide[g][r]) : e4m3_byte(rows->wide[g][r]);
        break;
    case OXI_FACTORS_INT8:
        memcpy(dst, rows->scale, (size_t)oxi_int8_d(pack));
        memcpy(dst + oxi_int8_d(pack), rows->d[0], HALVES);
        break;
    case OXI_FACTORS_SIX_BIT: put_six_bit(rows, dst); break;
    case OXI_FACTORS_FOUR_BIT: put_four_bit(rows, dst); break;
    case OXI_FACTORS_FLOAT: memcpy(dst, rows->wide[0], sizeof rows->wide[0]); break;
    }
}

static size_t put_chunk(const oxi_matrix *m, const oxi_format *f, int n_groups, chunk_rows *rows, uint8_t *dst)
{
    const int group = oxi_traits[m->pack].group;
    if (m->codebook) {
        oxi_codebook_pack(m->codebook, group, rows->entry, rows->code, rows->scale, rows->d[0], dst);
        return oxi_codebook_layout_of(m->codebook, group).bytes;
    }
    if (folds(f, m->pack))
        for (int r = 0; r < OXI_PANEL; r++)
            for (int i = 0; i < n_groups * OXI_GROUP; i++) rows->code[r][i] = fold(rows->code[r][i]);
    put_factors(m->pack, f, rows, n_groups, dst);
    uint8_t *codes = dst + oxi_factor_bytes(m->pack, n_groups);
    for (int g = 0; g < n_groups; g++, codes += oxi_group_bytes(m->pack)) interleave_group(m->pack, rows, g, codes);
    return oxi_chunk_bytes(m->pack, n_groups);
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
        dst += put_chunk(m, f, n_groups, &rows, dst);
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
