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

static oxi_status read_array(cursor *c, oxi_kv *kv, int depth);

static oxi_status read_items(cursor *c, const oxi_kv *kv, int depth)
{
    oxi_status status = OXI_OK;
    oxi_kv item;
    for (uint64_t i = 0; status == OXI_OK && i < kv->n; i++)
        status = kv->elem == OXI_KV_STRING ? oxi_cursor_string(c, &item.data, &item.n, "a string in the array")
                                           : read_array(c, &item, depth + 1);
    return status;
}

static oxi_status read_array(cursor *c, oxi_kv *kv, int depth)
{
    if (depth > OXI_GGUF_MAX_DEPTH)
        return oxi_cursor_bad(c, "arrays are nested more than %d deep", OXI_GGUF_MAX_DEPTH);
    oxi_status status = cursor_take(c, &kv->elem, sizeof kv->elem, "an array's type");
    if (status == OXI_OK) status = cursor_take(c, &kv->n, sizeof kv->n, "an array's count");
    if (status != OXI_OK) return status;
    const size_t size = oxi_gguf_scalar_size(kv->elem);
    if (!size && kv->elem != OXI_KV_STRING && kv->elem != OXI_KV_ARRAY)
        return oxi_cursor_bad(c, "array of unknown type %" PRIu32, kv->elem);
    const size_t least = size ? size : kv->elem == OXI_KV_STRING ? STRING_MIN : ARRAY_MIN;
    if (kv->n > cursor_left(c) / least)
        return oxi_cursor_bad(c, "array claims %" PRIu64 " elements, more than the %zu bytes left can hold", kv->n,
                              cursor_left(c));
    kv->type = OXI_KV_ARRAY;
    kv->data = cursor_here(c);
    if (!size) return read_items(c, kv, depth);
    c->at += (size_t)kv->n * size;
    return kv->elem == OXI_KV_BOOL ? check_bools(c, kv->data, kv->n) : OXI_OK;
}

oxi_status oxi_cursor_value(cursor *c, oxi_kv *kv)
{
    kv->elem = 0;
    kv->n = 1;
    if (kv->type == OXI_KV_ARRAY) return read_array(c, kv, 1);
    if (kv->type == OXI_KV_STRING) return oxi_cursor_string(c, &kv->data, &kv->n, "its string");
    const size_t size = oxi_gguf_scalar_size(kv->type);
    if (!size) return oxi_cursor_bad(c, "unknown value type %" PRIu32, kv->type);
    kv->data = cursor_here(c);
    const oxi_status status = cursor_skip(c, size, "its value");
    return status == OXI_OK && kv->type == OXI_KV_BOOL ? check_bools(c, kv->data, 1) : status;
}

bool oxi_gguf_kv_unsigned(const oxi_kv *kv, uint64_t *value)
{
    enum {
        SIGNED = 1 << OXI_KV_I8 | 1 << OXI_KV_I16 | 1 << OXI_KV_I32 | 1 << OXI_KV_I64,
        UNSIGNED = 1 << OXI_KV_U8 | 1 << OXI_KV_U16 | 1 << OXI_KV_U32 | 1 << OXI_KV_U64,
    };
    const int kind = 1 << kv->type;
    if (!(kind & (SIGNED | UNSIGNED))) return false;
    const size_t size = oxi_gguf_scalar_size(kv->type);
    if (kind & SIGNED && kv->data[size - 1] & 0x80) return false; /* the sign bit: little-endian */
    *value = 0;
    memcpy(value, kv->data, size);
    return true;
}
