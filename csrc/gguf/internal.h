/* Shared by the files of gguf/, plus the entry points for tests and the fuzzer. */
#ifndef OXI_GGUF_INTERNAL_H
#define OXI_GGUF_INTERNAL_H

#include "oxillama.h"
#include "platform/mapping.h"

/* Far above any model, yet low enough that a hostile file costs a second and some memory, not the machine. */
#define OXI_GGUF_MAX_HEADER ((size_t)256 << 20) /* bytes of metadata and tensor descriptions in one file */
#define OXI_GGUF_MAX_ENTRIES (1u << 20)         /* keys, or tensors of all shards together */
#define OXI_GGUF_MAX_KEY 65535                  /* bytes; the format's own limit */
#define OXI_GGUF_MAX_NAME 64                    /* bytes of a tensor's name; the format's own limit */
#define OXI_GGUF_MAX_DEPTH 8                    /* arrays inside arrays */
#define OXI_GGUF_MAX_ALIGNMENT (1u << 20)
#define OXI_GGUF_MAX_SHARDS 65535               /* what split.count, a u16, can say */

typedef struct tensor_entry {
    oxi_tensor tensor;
    const uint8_t *name; /* in the mapping, not terminated */
    size_t name_len;
    uint64_t offset; /* from the start of the shard's data */
} tensor_entry;

typedef struct meta_list {
    oxi_meta *items;
    uint32_t n, capacity;
} meta_list;

typedef struct tensor_list {
    tensor_entry *items;
    uint32_t n, capacity;
} tensor_list;

/* Grow so that one more item fits; false: no memory. */
bool oxi_gguf_grow(void **items, uint32_t n, uint32_t *capacity, size_t item_size);

/* header.c: read and check one file, appending to both lists. The caller frees the lists, whatever the outcome. */
oxi_status oxi_gguf_read_header(const oxi_mapping *map, const char *path, uint32_t shard, meta_list *metadata,
                                tensor_list *tensors, oxi_error *err);
const oxi_meta *oxi_gguf_meta_named(const meta_list *metadata, const char *key);

/* values.c: size of a scalar in bytes; 0 for strings, arrays and unknown type numbers. */
size_t oxi_gguf_scalar_size(uint32_t type);
/* Read a scalar of any integer type; false unless it is one and >= 0. */
bool oxi_gguf_meta_unsigned(const oxi_meta *meta, uint64_t *value);

/* cursor.c: printable ASCII of a string from a file, cut to fit an error's line. */
#define OXI_GGUF_QUOTE 80
const char *oxi_gguf_quote(char out[OXI_GGUF_QUOTE], const uint8_t *text, size_t n);

/* index.c: the numbers 0 … n-1 in ascending order of `compare`, in n log n steps for any input. NULL: out of memory. */
typedef int oxi_gguf_compare(const void *items, uint32_t a, uint32_t b);
uint32_t *oxi_gguf_sorted(uint32_t n, oxi_gguf_compare *compare, const void *items);

/* shards.c: what a file says about its place among the files of one model. */
typedef struct shard_keys {
    uint64_t no, count, n_tensors; /* a file on its own: 0, 1, UINT64_MAX (not said) */
} shard_keys;

oxi_status oxi_gguf_shard_keys(const meta_list *metadata, const char *path, shard_keys *keys, oxi_error *err);
/* The path of shard `to` (from 0), made from that of shard `from`, which must end in "-00001-of-00003.gguf" or so. */
oxi_status oxi_gguf_shard_path(const char *path, uint64_t from, uint64_t to, uint64_t count, char **out,
                               oxi_error *err);

/* Read a file from memory, which must outlive the handle. A file that is one of several shards is refused. */
oxi_status oxi_gguf_open_memory(oxi_gguf **out, const void *bytes, size_t size, const char *label, oxi_error *err);

#endif
