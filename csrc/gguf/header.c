/* One file's header: counts, key/values, tensor descriptions, in that order, and where its data begins.
 *
 *     "GGUF" u32 version  u64 n_tensors  u64 n_meta
 *     n_meta      x  string key  u32 type  value
 *     n_tensors x  string name  u32 n_dims  u64 ne[n_dims]  u32 type  u64 offset
 *     padding to general.alignment, then the tensors' data in the same order, each padded likewise
 *
 * A string is a u64 length and its bytes; an array is u32 element type, u64 count, elements.
 */
#include "gguf/cursor.h"

#include <inttypes.h>
#include <stdlib.h>

#define META_MIN 14      /* length, a letter, type, a byte of value */
#define TENSOR_MIN 25  /* length, a letter, n_dims 0, type, offset */

bool oxi_gguf_grow(void **items, uint32_t n, uint32_t *capacity, size_t item_size)
{
    if (n < *capacity) return true;
    const uint32_t wanted = *capacity ? *capacity * 2 : 64; /* n is below OXI_GGUF_MAX_ENTRIES: no overflow */
    void *grown = realloc(*items, wanted * item_size);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

const oxi_meta *oxi_gguf_meta_named(const meta_list *metadata, const char *key)
{
    const size_t n = strlen(key);
    for (uint32_t i = 0; i < metadata->n; i++)
        if (metadata->items[i].key_len == n && memcmp(metadata->items[i].key, key, n) == 0) return &metadata->items[i];
    return NULL;
}

/* ------------------------------------------------------------------------------------------------- keys and tensors */

static oxi_status read_name(cursor *c, const char *what, size_t most)
{
    const uint8_t *text;
    uint64_t n = 0;
    oxi_status status = oxi_cursor_string(c, &text, &n, what);
    if (status != OXI_OK) return status;
    if (n == 0) return oxi_cursor_bad(c, "%s is empty", what);
    c->name = text;
    c->name_len = (size_t)n;
    if (n > most) return oxi_cursor_bad(c, "%s has %" PRIu64 " bytes, %zu are allowed", what, n, most);
    if (memchr(text, 0, (size_t)n)) return oxi_cursor_bad(c, "%s holds a zero byte", what);
    return OXI_OK;
}

static void start_item(cursor *c, const char *kind, uint64_t index, uint64_t count)
{
    c->kind = kind;
    c->index = index;
    c->count = count;
    c->name = NULL;
}

static oxi_status read_metadata(cursor *c, uint64_t count, meta_list *metadata)
{
    for (uint64_t i = 0; i < count; i++) {
        start_item(c, "key", i, count);
        oxi_status status = read_name(c, "its name", OXI_GGUF_MAX_KEY);
        if (status != OXI_OK) return status;
        oxi_meta meta = {.key = (const char *)c->name, .key_len = c->name_len};
        status = cursor_take(c, &meta.type, sizeof meta.type, "its type");
        if (status == OXI_OK) status = oxi_cursor_value(c, &meta);
        if (status != OXI_OK) return status;
        if (!oxi_gguf_grow((void **)&metadata->items, metadata->n, &metadata->capacity, sizeof *metadata->items))
            return oxi_cursor_fail(c, OXI_ERR_NOMEM, "out of memory");
        metadata->items[metadata->n++] = meta;
    }
    return OXI_OK;
}

/* Shape and type to sizes, with every product checked. */
static oxi_status measure_tensor(const cursor *c, oxi_tensor *t)
{
    t->n_elements = 1;
    for (uint32_t d = 0; d < t->n_dims; d++) {
        if (t->ne[d] == 0) return oxi_cursor_bad(c, "dimension %" PRIu32 " is 0", d);
        if (__builtin_mul_overflow(t->n_elements, t->ne[d], &t->n_elements) || t->n_elements > INT64_MAX)
            return oxi_cursor_bad(c, "its dimensions multiply to more than 2^63 - 1 elements");
    }
    const oxi_type_info *type = oxi_type_describe(t->type);
    if (!type->name)
        return oxi_cursor_fail(c, OXI_ERR_UNSUPPORTED, "has type number %" PRIu32 ", which this version does not know",
                               t->type);
    if (!type->block_size)
        return oxi_cursor_fail(c, OXI_ERR_UNSUPPORTED, "has type %s, which the format has withdrawn", type->name);
    if (t->ne[0] % type->block)
        return oxi_cursor_bad(c, "rows of %" PRIu64 " elements are no multiple of %s's block of %" PRIu32,
                               t->ne[0], type->name, type->block);
    if (__builtin_mul_overflow(t->n_elements / type->block, (uint64_t)type->block_size, &t->n_bytes))
        return oxi_cursor_bad(c, "its size in bytes does not fit 64 bits");
    return OXI_OK;
}

static oxi_status read_tensor(cursor *c, tensor_entry *entry)
{
    oxi_tensor *t = &entry->tensor;
    oxi_status status = read_name(c, "its name", OXI_GGUF_MAX_NAME);
    if (status == OXI_OK) status = cursor_take(c, &t->n_dims, sizeof t->n_dims, "its dimensions");
    if (status != OXI_OK) return status;
    entry->name = c->name;
    entry->name_len = c->name_len;
    if (t->n_dims > 4) return oxi_cursor_bad(c, "has %" PRIu32 " dimensions, at most 4 are allowed", t->n_dims);
    /* A tensor without dimensions is a single number, as in the reference implementation. */
    for (int d = 0; d < 4; d++) t->ne[d] = 1;
    status = cursor_take(c, t->ne, t->n_dims * sizeof t->ne[0], "its dimensions");
    if (status == OXI_OK) status = cursor_take(c, &t->type, sizeof t->type, "its type");
    if (status == OXI_OK) status = cursor_take(c, &entry->offset, sizeof entry->offset, "its offset");
    return status == OXI_OK ? measure_tensor(c, t) : status;
}

static oxi_status read_tensors(cursor *c, uint64_t count, uint32_t shard, tensor_list *tensors)
{
    if (count > OXI_GGUF_MAX_ENTRIES - tensors->n)
        return oxi_cursor_bad(c, "the shards together claim more than %u tensors", OXI_GGUF_MAX_ENTRIES);
    for (uint64_t i = 0; i < count; i++) {
        start_item(c, "tensor", i, count);
        tensor_entry entry = {.tensor.shard = shard};
        const oxi_status status = read_tensor(c, &entry);
        if (status != OXI_OK) return status;
        if (!oxi_gguf_grow((void **)&tensors->items, tensors->n, &tensors->capacity, sizeof *tensors->items))
            return oxi_cursor_fail(c, OXI_ERR_NOMEM, "out of memory");
        tensors->items[tensors->n++] = entry;
    }
    return OXI_OK;
}

/* --------------------------------------------------------------------------------------------------- the whole file */

static oxi_status check_count(const cursor *c, uint64_t n, size_t least, const char *what)
{
    if (n > cursor_left(c) / least)
        return oxi_cursor_bad(c, "claims %" PRIu64 " %s, more than its %zu bytes can hold: it is cut short or damaged",
                               n, what, c->end);
    if (n > OXI_GGUF_MAX_ENTRIES)
        return oxi_cursor_bad(c, "claims %" PRIu64 " %s, at most %u are read", n, what, OXI_GGUF_MAX_ENTRIES);
    return OXI_OK;
}

static oxi_status read_counts(cursor *c, uint64_t *n_tensors, uint64_t *n_meta)
{
    uint8_t magic[4];
    uint32_t version = 0;
    char quoted[OXI_GGUF_QUOTE];
    oxi_status status = cursor_take(c, magic, sizeof magic, "the four letters that begin it");
    if (status != OXI_OK) return status;
    if (memcmp(magic, "FUGG", 4) == 0)
        return oxi_cursor_fail(c, OXI_ERR_UNSUPPORTED, "is a big-endian GGUF file; only little-endian ones are read");
    if (memcmp(magic, "GGUF", 4) != 0)
        return oxi_cursor_bad(c, "is not a GGUF file (it begins with '%s')", oxi_gguf_quote(quoted, magic, 4));
    status = cursor_take(c, &version, sizeof version, "the version");
    if (status != OXI_OK) return status;
    if (version && !(version & 0xffff))
        return oxi_cursor_fail(c, OXI_ERR_UNSUPPORTED, "is a big-endian GGUF file; only little-endian ones are read");
    if (version == 0) return oxi_cursor_bad(c, "has GGUF version 0, which never was");
    if (version == 1 || version > 3)
        return oxi_cursor_fail(c, OXI_ERR_UNSUPPORTED, "has GGUF version %" PRIu32 "; versions 2 and 3 are read",
                               version);
    status = cursor_take(c, n_tensors, sizeof *n_tensors, "the number of tensors");
    if (status == OXI_OK) status = cursor_take(c, n_meta, sizeof *n_meta, "the number of keys");
    if (status != OXI_OK) return status;
    status = check_count(c, *n_meta, META_MIN, "keys");
    return status == OXI_OK ? check_count(c, *n_tensors, TENSOR_MIN, "tensors") : status;
}

static oxi_status read_alignment(cursor *c, const meta_list *metadata, uint32_t *alignment)
{
    static const char key[] = "general.alignment";
    *alignment = 32;
    const oxi_meta *meta = oxi_gguf_meta_named(metadata, key);
    if (!meta) return OXI_OK;
    c->kind = "key";
    c->name = (const uint8_t *)key;
    c->name_len = sizeof key - 1;
    if (meta->type != OXI_META_U32) return oxi_cursor_bad(c, "must be a u32");
    memcpy(alignment, meta->data, sizeof *alignment);
    if (*alignment < 8 || *alignment > OXI_GGUF_MAX_ALIGNMENT || *alignment & (*alignment - 1))
        return oxi_cursor_bad(c, "%" PRIu32 " is not a power of two from 8 to %u", *alignment,
                               OXI_GGUF_MAX_ALIGNMENT);
    return OXI_OK;
}

static void name_tensor(cursor *c, const tensor_entry *entry)
{
    c->kind = "tensor";
    c->name = entry->name;
    c->name_len = entry->name_len;
}

/* Tensors lie in the order of their descriptions, each padded to the alignment. So a damaged offset is found even if it
 * stays inside the file. After this check a tensor's data pointer is valid for n_bytes. */
static oxi_status place_tensors(cursor *c, const oxi_mapping *map, uint32_t alignment, tensor_entry *entries,
                                uint32_t n)
{
    const uint64_t padding = alignment - 1;
    const uint64_t start = ((uint64_t)c->at + padding) & ~padding;
    const uint64_t room = start < map->size ? map->size - start : 0;
    uint64_t expected = 0; /* at most room plus padding */
    for (uint32_t i = 0; i < n; i++) {
        tensor_entry *e = &entries[i];
        name_tensor(c, e);
        if (e->offset != expected)
            return oxi_cursor_bad(c, "its offset is %" PRIu64 ", but the data before it ends at %" PRIu64, e->offset,
                                  expected);
        if (e->offset > room || e->tensor.n_bytes > room - e->offset)
            return oxi_cursor_bad(c,
                                  "its %" PRIu64 " bytes at offset %" PRIu64 " lie past the file's end (%" PRIu64
                                  " bytes of data): the file is cut short or damaged",
                                  e->tensor.n_bytes, e->offset, room);
        e->tensor.data = map->data + start + e->offset;
        expected = (e->offset + e->tensor.n_bytes + padding) & ~padding;
    }
    return OXI_OK;
}

oxi_status oxi_gguf_read_header(const oxi_mapping *map, const char *path, uint32_t shard, meta_list *metadata,
                                tensor_list *tensors, oxi_error *err)
{
    cursor c = {.bytes = map->data, .end = map->size, .path = path, .err = err};
    c.capped = c.end > OXI_GGUF_MAX_HEADER;
    if (c.capped) c.end = OXI_GGUF_MAX_HEADER;
    const uint32_t first = tensors->n;
    uint64_t n_tensors = 0, n_meta = 0;
    uint32_t alignment = 0;
    oxi_status status = read_counts(&c, &n_tensors, &n_meta);
    if (status == OXI_OK) status = read_metadata(&c, n_meta, metadata);
    if (status == OXI_OK) status = read_alignment(&c, metadata, &alignment);
    c.kind = NULL;
    if (status == OXI_OK) status = read_tensors(&c, n_tensors, shard, tensors);
    if (status == OXI_OK && n_tensors)
        status = place_tensors(&c, map, alignment, tensors->items + first, tensors->n - first);
    return status;
}
