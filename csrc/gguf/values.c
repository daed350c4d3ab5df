/* Values: scalars, strings, and arrays of either or of arrays. */
#include "gguf/cursor.h"

#include <inttypes.h>

#define STRING_MIN 8 /* a length */
#define ARRAY_MIN 12 /* a type and a count */

size_t oxi_gguf_scalar_size(uint32_t type)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof sizes ? sizes[type] : 0;
}

oxi_status oxi_cursor_string(cursor *c, const uint8_t **text, uint64_t *n, const char *what)
{
    oxi_status status = cursor_take(c, n, sizeof *n, what);
    if (status != OXI_OK) return status;
    *text = cursor_here(c);
    if (*n <= cursor_left(c)) {
        c->at += (size_t)*n;
        return OXI_OK;
    }
    return oxi_cursor_bad(c, "%s claims %" PRIu64 " bytes, and %zu are left", what, *n, cursor_left(c));
}

static oxi_status check_bools(const cursor *c, const uint8_t *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (values[i] > 1) return oxi_cursor_bad(c, "%u is not a boolean (0 or 1)", values[i]);
    return OXI_OK;
}

static oxi_status read_array(cursor *c, oxi_meta *meta, int depth);

static oxi_status read_items(cursor *c, const oxi_meta *meta, int depth)
{
    oxi_status status = OXI_OK;
    oxi_meta item;
    for (uint64_t i = 0; status == OXI_OK && i < meta->n; i++)
        status = meta->elem == OXI_META_STRING ? oxi_cursor_string(c, &item.data, &item.n, "a string in the array")
                                           : read_array(c, &item, depth + 1);
    return status;
}

static oxi_status read_array(cursor *c, oxi_meta *meta, int depth)
{
    if (depth > OXI_GGUF_MAX_DEPTH)
        return oxi_cursor_bad(c, "arrays are nested more than %d deep", OXI_GGUF_MAX_DEPTH);
    oxi_status status = cursor_take(c, &meta->elem, sizeof meta->elem, "an array's type");
    if (status == OXI_OK) status = cursor_take(c, &meta->n, sizeof meta->n, "an array's count");
    if (status != OXI_OK) return status;
    const size_t size = oxi_gguf_scalar_size(meta->elem);
    if (!size && meta->elem != OXI_META_STRING && meta->elem != OXI_META_ARRAY)
        return oxi_cursor_bad(c, "array of unknown type %" PRIu32, meta->elem);
    const size_t least = size ? size : meta->elem == OXI_META_STRING ? STRING_MIN : ARRAY_MIN;
    if (meta->n > cursor_left(c) / least)
        return oxi_cursor_bad(c, "array claims %" PRIu64 " elements, more than the %zu bytes left can hold", meta->n,
                              cursor_left(c));
    meta->type = OXI_META_ARRAY;
    meta->data = cursor_here(c);
    if (!size) return read_items(c, meta, depth);
    c->at += (size_t)meta->n * size;
    return meta->elem == OXI_META_BOOL ? check_bools(c, meta->data, meta->n) : OXI_OK;
}

oxi_status oxi_cursor_value(cursor *c, oxi_meta *meta)
{
    meta->elem = 0;
    meta->n = 1;
    if (meta->type == OXI_META_ARRAY) return read_array(c, meta, 1);
    if (meta->type == OXI_META_STRING) return oxi_cursor_string(c, &meta->data, &meta->n, "its string");
    const size_t size = oxi_gguf_scalar_size(meta->type);
    if (!size) return oxi_cursor_bad(c, "unknown value type %" PRIu32, meta->type);
    meta->data = cursor_here(c);
    const oxi_status status = cursor_skip(c, size, "its value");
    return status == OXI_OK && meta->type == OXI_META_BOOL ? check_bools(c, meta->data, 1) : status;
}

bool oxi_gguf_meta_unsigned(const oxi_meta *meta, uint64_t *value)
{
    enum {
        SIGNED = 1 << OXI_META_I8 | 1 << OXI_META_I16 | 1 << OXI_META_I32 | 1 << OXI_META_I64,
        UNSIGNED = 1 << OXI_META_U8 | 1 << OXI_META_U16 | 1 << OXI_META_U32 | 1 << OXI_META_U64,
    };
    const int kind = 1 << meta->type;
    if (!(kind & (SIGNED | UNSIGNED))) return false;
    const size_t size = oxi_gguf_scalar_size(meta->type);
    if (kind & SIGNED && meta->data[size - 1] & 0x80) return false; /* the sign bit: little-endian */
    *value = 0;
    memcpy(value, meta->data, size);
    return true;
}
