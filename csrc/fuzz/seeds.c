#include "fuzz/seeds.h"

#include "oxillama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_append(bytes *b, const void *data, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n);
        b->data = realloc(b->data, b->capacity);
        if (!b->data) abort();
    }
    if (n) memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void u32(bytes *b, uint32_t value) { bytes_append(b, &value, sizeof value); }
static void u64(bytes *b, uint64_t value) { bytes_append(b, &value, sizeof value); }

static void string(bytes *b, const char *text)
{
    u64(b, strlen(text));
    bytes_append(b, text, strlen(text));
}

static void key(bytes *b, const char *name, uint32_t type)
{
    string(b, name);
    u32(b, type);
}

static void array(bytes *b, uint32_t elem, uint64_t n)
{
    u32(b, elem);
    u64(b, n);
}

static void tensor(bytes *b, const char *name, uint32_t type, uint64_t rows, uint64_t offset)
{
    string(b, name);
    u32(b, 2);
    u64(b, oxi_type_describe(type)->block);
    u64(b, rows);
    u32(b, type);
    u64(b, offset);
}

static void begin(bytes *b, uint32_t version, uint64_t n_tensors, uint64_t n_meta)
{
    bytes_append(b, "GGUF", 4);
    u32(b, version);
    u64(b, n_tensors);
    u64(b, n_meta);
}

static void data(bytes *b, size_t alignment, size_t n)
{
    static const uint8_t zeros[4096];
    bytes_append(b, zeros, (alignment - b->n % alignment) % alignment);
    bytes_append(b, zeros, n);
}

static void every_type(bytes *b)
{
    static const uint8_t one[8] = {1}, sizes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    begin(b, 3, 3, 11 + 11 + 3);
    for (uint32_t type = 0; type < 13; type++) {
        char name[32];
        if (!sizes[type]) continue;
        snprintf(name, sizeof name, "scalar.%u", type);
        key(b, name, type);
        bytes_append(b, one, sizes[type]);
        snprintf(name, sizeof name, "array.%u", type);
        key(b, name, OXI_META_ARRAY);
        array(b, type, 2);
        bytes_append(b, one, sizes[type]);
        bytes_append(b, one, sizes[type]);
    }
    key(b, "general.architecture", OXI_META_STRING);
    string(b, "llama");
    key(b, "strings", OXI_META_ARRAY);
    array(b, OXI_META_STRING, 3);
    string(b, "one");
    string(b, "");
    string(b, "three");
    key(b, "nested", OXI_META_ARRAY);
    array(b, OXI_META_ARRAY, 2);
    for (int depth = 2; depth < 8; depth++) array(b, OXI_META_ARRAY, 1); /* the deepest nesting allowed */
    array(b, OXI_META_STRING, 1);
    string(b, "deep");
    array(b, OXI_META_U16, 2);
    u32(b, 7);
    tensor(b, "a.weight", OXI_TYPE_F32, 8, 0);
    tensor(b, "b.weight", OXI_TYPE_Q4_K, 1, 32);
    tensor(b, "c.weight", OXI_TYPE_Q8_0, 2, 192);
    data(b, 32, 192 + 68);
}

static void vocabulary(bytes *b)
{
    begin(b, 2, 0, 2);
    key(b, "tokenizer.ggml.tokens", OXI_META_ARRAY);
    array(b, OXI_META_STRING, 40);
    for (int i = 0; i < 40; i++) string(b, i % 3 ? "<token>" : "x");
    key(b, "tokenizer.ggml.scores", OXI_META_ARRAY);
    array(b, OXI_META_F32, 40);
    for (uint32_t i = 0; i < 40; i++) u32(b, i);
}

static void many_tensors(bytes *b)
{
    begin(b, 3, 20, 0);
    for (unsigned i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "blk.%u.w", i);
        tensor(b, name, i % 2 ? OXI_TYPE_F16 : OXI_TYPE_I8, 16, 32 * i);
    }
    data(b, 32, 32 * 20);
}

static void shard(bytes *b)
{
    begin(b, 3, 2, 4);
    key(b, "general.alignment", OXI_META_U32);
    u32(b, 64);
    key(b, "split.no", OXI_META_U16);
    bytes_append(b, "\0", 2);
    key(b, "split.count", OXI_META_U16);
    bytes_append(b, "\1", 2);
    key(b, "split.tensors.count", OXI_META_I32);
    u32(b, 2);
    tensor(b, "x", OXI_TYPE_IQ4_NL, 3, 0);
    tensor(b, "y", OXI_TYPE_BF16, 5, 64);
    data(b, 64, 64 + 10);
}

bytes seed_file(int index)
{
    static void (*const make[N_SEEDS])(bytes *) = {every_type, vocabulary, many_tensors, shard};
    bytes b = {0};
    make[index](&b);
    return b;
}
