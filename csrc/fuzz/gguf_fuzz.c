/* The fuzz target of the GGUF reader. It opens the bytes as a file and, if that succeeds, touches everything that the
 * API returns. With libFuzzer: clang -fsanitize=fuzzer,address,undefined. Without it, driver.c mutates inputs and calls
 * this (run.sh). */
#include "gguf/internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reading is the test; the sum keeps the compiler from removing it. */
static uint64_t touch(const void *data, uint64_t n)
{
    uint64_t sum = n;
    for (uint64_t i = 0; i < n; i++) sum += ((const uint8_t *)data)[i];
    return sum;
}

static void require(bool holds)
{
    if (!holds) abort();
}

static uint64_t touch_value(const oxi_meta *meta, size_t size)
{
    require(meta->n <= size); /* every element has at least one byte, so a larger count has wrapped somewhere */
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 1, 0, 8, 8, 8};
    if (meta->type != OXI_META_ARRAY) return touch(meta->data, meta->n * sizes[meta->type]);
    if (meta->elem != OXI_META_STRING && meta->elem != OXI_META_ARRAY) return touch(meta->data, meta->n * sizes[meta->elem]);
    uint64_t sum = 0;
    const uint8_t *at = meta->data;
    oxi_meta item;
    for (uint64_t i = 0; i < meta->n; i++) {
        oxi_gguf_next(meta, &at, &item);
        sum += touch_value(&item, size);
    }
    return sum;
}

/* Check that shape, elements and bytes agree, in arithmetic that does not wrap. */
static void require_sizes(const oxi_tensor *t, size_t size)
{
    const oxi_type_info *type = oxi_type_describe(t->type);
    long double elements = 1;
    for (int d = 0; d < 4; d++) elements *= t->ne[d];
    require(type->block_size > 0 && t->n_bytes <= size && elements == t->n_elements);
    require(t->n_elements / type->block * type->block_size == t->n_bytes && t->n_elements % type->block == 0);
}

static uint64_t touch_file(const oxi_gguf *file, size_t size)
{
    uint64_t sum = 0;
    oxi_error err;
    require(oxi_gguf_file_bytes(file) == size && oxi_gguf_check(file, &err) == OXI_OK);
    for (uint64_t i = 0; i < oxi_gguf_n_meta(file); i++) {
        const oxi_meta *meta = oxi_gguf_meta(file, i);
        char *key = strndup(meta->key, meta->key_len);
        require(key && oxi_gguf_find_meta(file, key) == meta);
        free(key);
        sum += touch_value(meta, size);
    }
    for (uint64_t i = 0; i < oxi_gguf_n_tensors(file); i++) {
        const oxi_tensor *tensor = oxi_gguf_tensor(file, i);
        require(oxi_gguf_find_tensor(file, tensor->name) == tensor);
        require_sizes(tensor, size);
        oxi_gguf_release(file, tensor);
        sum += touch(tensor->data, tensor->n_bytes);
    }
    require(!oxi_gguf_meta(file, oxi_gguf_n_meta(file)) && !oxi_gguf_tensor(file, oxi_gguf_n_tensors(file)));
    return sum;
}

/* How many keys and tensors were read, plus 1; 0 if the bytes are no valid file. libFuzzer must not get this value. */
int oxi_fuzz_read(const uint8_t *data, size_t size);

int oxi_fuzz_read(const uint8_t *data, size_t size)
{
    static volatile uint64_t sink;
    oxi_gguf *file = NULL;
    oxi_error err = {0};
    const oxi_status status = oxi_gguf_open_memory(&file, data, size, "fuzz", &err);
    if (status != OXI_OK) {
        require(!file && err.code == status && strncmp(err.text, "fuzz: ", 6) == 0 && !strpbrk(err.text, "\n\r"));
        return 0;
    }
    sink = touch_file(file, size);
    (void)sink;
    const int n = (int)(oxi_gguf_n_meta(file) + oxi_gguf_n_tensors(file)) + 1;
    oxi_gguf_close(&file);
    require(!file);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    oxi_fuzz_read(data, size);
    return 0;
}
