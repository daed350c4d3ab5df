/* Steps through arrays whose elements have no fixed size. Opening the file has checked every length met here. */
#include "gguf/internal.h"

#include <string.h>

static const uint8_t *take(const uint8_t *at, void *out, size_t n)
{
    memcpy(out, at, n);
    return at + n;
}

/* Read the array header at `at` into `array`; returns where the whole array ends. */
static const uint8_t *walk_array(const uint8_t *at, oxi_meta *array)
{
    array->type = OXI_META_ARRAY;
    at = take(at, &array->elem, sizeof array->elem);
    at = take(at, &array->n, sizeof array->n);
    array->data = at;
    const size_t size = oxi_gguf_scalar_size(array->elem);
    if (size) return at + (size_t)array->n * size;
    oxi_meta item;
    for (uint64_t i = 0; i < array->n; i++) oxi_gguf_next(array, &at, &item);
    return at;
}

void oxi_gguf_next(const oxi_meta *array, const uint8_t **at, oxi_meta *item)
{
    *item = (oxi_meta){.key = array->key, .key_len = array->key_len, .type = array->elem};
    if (array->elem == OXI_META_STRING) {
        item->data = take(*at, &item->n, sizeof item->n);
        *at = item->data + item->n;
    } else {
        *at = walk_array(*at, item);
    }
}
