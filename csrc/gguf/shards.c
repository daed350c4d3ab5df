/* A model in several files: NAME-00001-of-00003.gguf and its siblings, each with split.no (from 0) and split.count; the
 * first also holds all other keys and, as split.tensors.count, the number of tensors in all files together. */
#include "gguf/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static oxi_status read_key(const meta_list *metadata, const char *path, const char *key, uint64_t absent, uint64_t *value,
                           oxi_error *err)
{
    const oxi_meta *meta = oxi_gguf_meta_named(metadata, key);
    *value = absent;
    if (meta && !oxi_gguf_meta_unsigned(meta, value))
        return oxi_fail(err, OXI_ERR_FORMAT, "%s: key '%s': must be a whole number of at least 0",
                        oxi_path_label(path), key);
    return OXI_OK;
}

oxi_status oxi_gguf_shard_keys(const meta_list *metadata, const char *path, shard_keys *keys, oxi_error *err)
{
    oxi_status status = read_key(metadata, path, "split.count", 1, &keys->count, err);
    if (status == OXI_OK) status = read_key(metadata, path, "split.no", 0, &keys->no, err);
    if (status == OXI_OK) status = read_key(metadata, path, "split.tensors.count", UINT64_MAX, &keys->n_tensors, err);
    if (status != OXI_OK) return status;
    if (keys->count <= 1) { /* tools that merge shards leave 0 behind */
        *keys = (shard_keys){0, 1, UINT64_MAX};
        return OXI_OK;
    }
    if (keys->count > OXI_GGUF_MAX_SHARDS)
        return oxi_fail(err, OXI_ERR_FORMAT, "%s: key 'split.count': %" PRIu64 " is more than %d", oxi_path_label(path),
                        keys->count, OXI_GGUF_MAX_SHARDS);
    if (keys->no >= keys->count)
        return oxi_fail(err, OXI_ERR_FORMAT, "%s: key 'split.no': %" PRIu64 " is not below split.count, %" PRIu64,
                        oxi_path_label(path), keys->no, keys->count);
    return OXI_OK;
}

oxi_status oxi_gguf_shard_path(const char *path, uint64_t from, uint64_t to, uint64_t count, char **out, oxi_error *err)
{
    char tail[64];
    const int n_tail = snprintf(tail, sizeof tail, "-%05" PRIu64 "-of-%05" PRIu64 ".gguf", from + 1, count);
    const size_t n = strlen(path);
    *out = NULL;
    if (n < (size_t)n_tail || strcmp(path + n - n_tail, tail) != 0)
        return oxi_fail(err, OXI_ERR_FORMAT,
                        "%s: is shard %" PRIu64 " of %" PRIu64
                        ", so its name must end in '%s' for the others to be found",
                        oxi_path_label(path), from + 1, count, tail);
    char *sibling = malloc(n + 1);
    if (!sibling) return oxi_fail(err, OXI_ERR_NOMEM, "%s: out of memory", oxi_path_label(path));
    snprintf(tail, sizeof tail, "-%05" PRIu64 "-of-%05" PRIu64 ".gguf", to + 1, count);
    memcpy(sibling, path, n - n_tail);
    memcpy(sibling + n - n_tail, tail, (size_t)n_tail + 1); /* five digits: both tails are equally long */
    *out = sibling;
    return OXI_OK;
}
