#include "gguf/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct shard {
    oxi_mapping map;
    char *path;
} shard;

struct oxi_gguf {
    shard *shards;
    uint32_t n_shards, shard_capacity;
    meta_list metadata; /* the first shard's */
    tensor_list tensors;
    uint32_t *meta_order, *tensor_order; /* by key, by name */
    char *names;
    uint64_t file_bytes;
};

static oxi_status no_memory(const char *path, oxi_error *err)
{
    return oxi_fail(err, OXI_ERR_NOMEM, "%s: out of memory", oxi_path_label(path));
}

/* ---------------------------------------------------------------------------------------------------------- indices */

static int compare_texts(const void *a, size_t n_a, const void *b, size_t n_b)
{
    const int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

static int by_key(const void *items, uint32_t a, uint32_t b)
{
    const oxi_meta *x = (const oxi_meta *)items + a, *y = (const oxi_meta *)items + b;
    return compare_texts(x->key, x->key_len, y->key, y->key_len);
}

static int by_name(const void *items, uint32_t a, uint32_t b)
{
    const tensor_entry *x = (const tensor_entry *)items + a, *y = (const tensor_entry *)items + b;
    return compare_texts(x->name, x->name_len, y->name, y->name_len);
}

static oxi_status index_metadata(const meta_list *metadata, uint32_t **order, const char *path, oxi_error *err)
{
    *order = oxi_gguf_sorted(metadata->n, by_key, metadata->items);
    if (!*order) return no_memory(path, err);
    for (uint32_t i = 1; i < metadata->n; i++) {
        const oxi_meta *meta = &metadata->items[(*order)[i]];
        char quoted[OXI_GGUF_QUOTE];
        if (by_key(metadata->items, (*order)[i - 1], (*order)[i]) == 0)
            return oxi_fail(err, OXI_ERR_FORMAT, "%s: key '%s': occurs twice", oxi_path_label(path),
                            oxi_gguf_quote(quoted, (const uint8_t *)meta->key, meta->key_len));
    }
    return OXI_OK;
}

static oxi_status index_tensors(oxi_gguf *g, oxi_error *err)
{
    const tensor_entry *items = g->tensors.items;
    g->tensor_order = oxi_gguf_sorted(g->tensors.n, by_name, items);
    if (!g->tensor_order) return no_memory(g->shards[0].path, err);
    for (uint32_t i = 1; i < g->tensors.n; i++) {
        const tensor_entry *e = &items[g->tensor_order[i]];
        char quoted[OXI_GGUF_QUOTE];
        if (by_name(items, g->tensor_order[i - 1], g->tensor_order[i]) == 0)
            return oxi_fail(err, OXI_ERR_FORMAT, "%s: tensor '%s': occurs twice",
                            oxi_path_label(g->shards[e->tensor.shard].path),
                            oxi_gguf_quote(quoted, e->name, e->name_len));
    }
    return OXI_OK;
}

/* Terminated copies of the names, so that they can be used as C strings. */
static oxi_status copy_names(oxi_gguf *g, oxi_error *err)
{
    size_t total = 1; /* below OXI_GGUF_MAX_ENTRIES * (OXI_GGUF_MAX_NAME + 1) */
    for (uint32_t i = 0; i < g->tensors.n; i++) total += g->tensors.items[i].name_len + 1;
    char *at = g->names = malloc(total);
    if (!at) return no_memory(g->shards[0].path, err);
    for (uint32_t i = 0; i < g->tensors.n; i++) {
        tensor_entry *e = &g->tensors.items[i];
        memcpy(at, e->name, e->name_len);
        at[e->name_len] = 0;
        e->tensor.name = at;
        at += e->name_len + 1;
    }
    return OXI_OK;
}

/* ---------------------------------------------------------------------------------------------------------- opening */

/* Takes over `path`; the caller opens the mapping. */
static shard *add_shard(oxi_gguf *g, char *path)
{
    if (!path || !oxi_gguf_grow((void **)&g->shards, g->n_shards, &g->shard_capacity, sizeof *g->shards)) {
        free(path);
        return NULL;
    }
    shard *s = &g->shards[g->n_shards++];
    *s = (shard){.map = {.fd = -1}, .path = path};
    return s;
}

static oxi_status check_sibling(const meta_list *metadata, const char *path, uint64_t no, uint64_t count, oxi_error *err)
{
    shard_keys keys;
    const oxi_status status = oxi_gguf_shard_keys(metadata, path, &keys, err);
    if (status != OXI_OK || (keys.no == no && keys.count == count)) return status;
    return oxi_fail(err, OXI_ERR_FORMAT,
                    "%s: by its keys is shard %" PRIu64 " of %" PRIu64 ", by its name %" PRIu64 " of %" PRIu64,
                    oxi_path_label(path), keys.no + 1, keys.count, no + 1, count);
}

static oxi_status open_sibling(oxi_gguf *g, uint64_t no, uint64_t count, oxi_error *err)
{
    char *path;
    oxi_status status = oxi_gguf_shard_path(g->shards[0].path, 0, no, count, &path, err);
    if (status != OXI_OK) return status;
    shard *s = add_shard(g, path);
    if (!s) return no_memory(g->shards[0].path, err);
    status = oxi_mapping_open(&s->map, path, err);
    if (status == OXI_ERR_IO && err->sys_errno == ENOENT) {
        errno = ENOENT;
        return oxi_fail(err, OXI_ERR_IO, "%s: shard %" PRIu64 " of %" PRIu64 " is missing", oxi_path_label(path),
                        no + 1, count);
    }
    if (status != OXI_OK) return status;
    meta_list metadata = {0};
    uint32_t *order = NULL;
    status = oxi_gguf_read_header(&s->map, path, (uint32_t)no, &metadata, &g->tensors, err);
    if (status == OXI_OK) status = index_metadata(&metadata, &order, path, err);
    if (status == OXI_OK) status = check_sibling(&metadata, path, no, count, err);
    free(order);
    free(metadata.items);
    return status;
}

static oxi_status open_siblings(oxi_gguf *g, oxi_error *err)
{
    const char *path = g->shards[0].path;
    shard_keys keys;
    oxi_status status = oxi_gguf_shard_keys(&g->metadata, path, &keys, err);
    if (status != OXI_OK || keys.count == 1) return status;
    if (g->shards[0].map.fd < 0)
        return oxi_fail(err, OXI_ERR_UNSUPPORTED, "%s: is one of several shards, which memory has no others of", path);
    if (keys.no != 0) {
        char *first;
        status = oxi_gguf_shard_path(path, keys.no, 0, keys.count, &first, err);
        if (status != OXI_OK) return status;
        oxi_fail(err, OXI_ERR_FORMAT, "%s: is shard %" PRIu64 " of %" PRIu64 "; open the first, %s",
                 oxi_path_label(path), keys.no + 1, keys.count, oxi_path_label(first));
        free(first);
        return OXI_ERR_FORMAT;
    }
    for (uint64_t no = 1; status == OXI_OK && no < keys.count; no++) status = open_sibling(g, no, keys.count, err);
    if (status == OXI_OK && keys.n_tensors != UINT64_MAX && keys.n_tensors != g->tensors.n)
        return oxi_fail(err, OXI_ERR_FORMAT,
                        "%s: key 'split.tensors.count': %" PRIu64 ", but the shards hold %" PRIu32 " tensors",
                        oxi_path_label(path), keys.n_tensors, g->tensors.n);
    return status;
}

static oxi_status read_all(oxi_gguf *g, oxi_error *err)
{
    oxi_status status = oxi_gguf_read_header(&g->shards[0].map, g->shards[0].path, 0, &g->metadata, &g->tensors, err);
    if (status == OXI_OK) status = index_metadata(&g->metadata, &g->meta_order, g->shards[0].path, err);
    if (status == OXI_OK) status = open_siblings(g, err);
    if (status == OXI_OK) status = index_tensors(g, err);
    if (status == OXI_OK) status = copy_names(g, err);
    for (uint32_t i = 0; i < g->n_shards; i++) g->file_bytes += g->shards[i].map.size;
    return status;
}

/* If `memory` is NULL, map the file at `path`. */
static oxi_status open_any(oxi_gguf **out, const char *path, const oxi_mapping *memory, oxi_error *err)
{
    *out = NULL;
    oxi_gguf *g = calloc(1, sizeof *g);
    shard *first = g ? add_shard(g, strdup(path)) : NULL;
    oxi_status status = first ? OXI_OK : no_memory(path, err);
    if (status == OXI_OK && memory) first->map = *memory;
    else if (status == OXI_OK) status = oxi_mapping_open(&first->map, path, err);
    if (status == OXI_OK) status = read_all(g, err);
    if (status == OXI_OK) *out = g;
    else oxi_gguf_close(&g);
    return status;
}

oxi_status oxi_gguf_open(oxi_gguf **out, const char *path, oxi_error *err) { return open_any(out, path, NULL, err); }

oxi_status oxi_gguf_open_memory(oxi_gguf **out, const void *bytes, size_t size, const char *label, oxi_error *err)
{
    const oxi_mapping memory = {.data = bytes, .size = size, .fd = -1};
    return open_any(out, label, &memory, err);
}

void oxi_gguf_close(oxi_gguf **file)
{
    oxi_gguf *g = *file;
    *file = NULL;
    if (!g) return;
    for (uint32_t i = 0; i < g->n_shards; i++) {
        oxi_mapping_close(&g->shards[i].map);
        free(g->shards[i].path);
    }
    free(g->shards);
    free(g->metadata.items);
    free(g->tensors.items);
    free(g->meta_order);
    free(g->tensor_order);
    free(g->names);
    free(g);
}

/* ---------------------------------------------------------------------------------------------------------- looking */

uint64_t oxi_gguf_n_meta(const oxi_gguf *file) { return file->metadata.n; }

const oxi_meta *oxi_gguf_meta(const oxi_gguf *file, uint64_t index)
{
    return index < file->metadata.n ? &file->metadata.items[index] : NULL;
}

const oxi_meta *oxi_gguf_find_meta(const oxi_gguf *file, const char *key)
{
    const size_t n = strlen(key);
    for (uint32_t low = 0, high = file->metadata.n; low < high;) {
        const uint32_t middle = low + (high - low) / 2;
        const oxi_meta *meta = &file->metadata.items[file->meta_order[middle]];
        const int order = compare_texts(key, n, meta->key, meta->key_len);
        if (order == 0) return meta;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

uint64_t oxi_gguf_n_tensors(const oxi_gguf *file) { return file->tensors.n; }

const oxi_tensor *oxi_gguf_tensor(const oxi_gguf *file, uint64_t index)
{
    return index < file->tensors.n ? &file->tensors.items[index].tensor : NULL;
}

const oxi_tensor *oxi_gguf_find_tensor(const oxi_gguf *file, const char *name)
{
    for (uint32_t low = 0, high = file->tensors.n; low < high;) {
        const uint32_t middle = low + (high - low) / 2;
        const oxi_tensor *tensor = &file->tensors.items[file->tensor_order[middle]].tensor;
        const int order = strcmp(name, tensor->name); /* bytes as unsigned, like the sort */
        if (order == 0) return tensor;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

uint64_t oxi_gguf_file_bytes(const oxi_gguf *file) { return file->file_bytes; }

oxi_status oxi_gguf_check(const oxi_gguf *file, oxi_error *err)
{
    oxi_status status = OXI_OK;
    for (uint32_t i = 0; status == OXI_OK && i < file->n_shards; i++)
        status = oxi_mapping_check(&file->shards[i].map, file->shards[i].path, err);
    return status;
}

void oxi_gguf_release(const oxi_gguf *file, const oxi_tensor *tensor)
{
    oxi_mapping_release(&file->shards[tensor->shard].map, tensor->data, (size_t)tensor->n_bytes);
}
