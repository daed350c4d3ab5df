/* Prints a checksum per file format: of weights decoded from fixed bytes, and of the bytes that fixed weights are rounded
 * to. Every machine must print the same lines. */
#include "oxillama.h"
#include "platform/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 4, COLUMNS = 512 };

static uint32_t state = 2463534242u;

static uint32_t random_bits(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

/* FNV-1a. A NaN's bits other than being one are the processor's affair. */
static uint64_t checksum(const void *data, size_t n)
{
    const uint8_t *bytes = data;
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n; i++) sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
    return sum;
}

static void decode(uint32_t type, const oxi_type_info *info)
{
    static float weights[ROWS * COLUMNS];
    oxi_error err;
    const size_t n = (size_t)ROWS * COLUMNS / info->block * info->block_size;
    uint8_t *bytes = oxi_alloc(n);
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(random_bits() >> 11);
    if (oxi_dequantize(type, bytes, (uint64_t)ROWS * COLUMNS, weights, &err) == OXI_OK) {
        for (int i = 0; i < ROWS * COLUMNS; i++)
            if (isnan(weights[i])) weights[i] = 0;
        printf("decode %s %016" PRIx64 "\n", info->name, checksum(weights, sizeof weights));
    }
    oxi_free(bytes);
}

static int encode(uint32_t type, const oxi_type_info *info)
{
    static float weights[ROWS * COLUMNS], importance[COLUMNS];
    oxi_error err;
    const size_t n = (size_t)ROWS * COLUMNS / info->block * info->block_size;
    uint8_t *bytes = oxi_alloc(n);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        const float u = (float)((int)(random_bits() >> 8) - (1 << 23)) / (1 << 23);
        weights[i] = i % 3 ? u : u * u * u * 8; /* some far from the others */
    }
    memset(weights + COLUMNS, 0, COLUMNS * sizeof *weights);
    for (int i = 0; i < COLUMNS; i++) importance[i] = (float)(random_bits() % 1000) / 100;
    oxi_quantizer *quantizer = NULL;
    bool failed = oxi_quantizer_open(&quantizer, type, &err);
    for (int weighted = 0; weighted < 2 && !failed; weighted++) {
        memset(bytes, 0, n);
        failed = oxi_quantizer_rows(quantizer, weights, ROWS, COLUMNS, weighted ? importance : NULL, bytes, &err);
        printf("encode %s %d %016" PRIx64 "\n", info->name, weighted, checksum(bytes, n));
    }
    if (failed) printf("%s: %s\n", info->name, err.text);
    oxi_quantizer_close(&quantizer);
    oxi_free(bytes);
    return failed;
}

int main(void)
{
    for (uint32_t type = 0; type < OXI_TYPE_COUNT; type++) {
        const oxi_type_info *info = oxi_type_describe(type);
        if (info->block_size == 0) continue; /* not a type of this build */
        decode(type, info);
        if (oxi_quantizable(type) && encode(type, info)) return 1;
    }
    return 0;
}
