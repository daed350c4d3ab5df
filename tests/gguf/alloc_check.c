/* Run by test_memory.py: every allocation of opening a file fails in turn, and each time the opening must say so, leave
 * nothing allocated and hand out no handle. Linked with --wrap for the allocating functions. */
#include "fuzz/seeds.h"
#include "gguf/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t n);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t n);
char *__wrap_strdup(const char *text);

static long allowed = -1; /* allocations before the one that fails; below 0: none fails */

static int fails(void) { return allowed >= 0 && allowed-- == 0; }

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t n) { return fails() ? NULL : __real_realloc(old, n); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }

static oxi_status open_failing_at(long n, const char *path, const bytes *memory, oxi_gguf **file, oxi_error *err)
{
    allowed = n;
    const oxi_status status =
        path ? oxi_gguf_open(file, path, err) : oxi_gguf_open_memory(file, memory->data, memory->n, "seed", err);
    allowed = -1;
    return status;
}

/* Returns how many allocations an opening makes, 0 when a failed one was not answered well. */
static long check(const char *path, const bytes *memory)
{
    for (long n = 0;; n++) {
        oxi_gguf *file = NULL;
        oxi_error err = {0};
        const oxi_status status = open_failing_at(n, path, memory, &file, &err);
        if (status == OXI_OK) {
            oxi_gguf_close(&file);
            return n;
        }
        if (status != OXI_ERR_NOMEM || file || !strstr(err.text, "out of memory")) {
            fprintf(stderr, "allocation %ld: status %d, '%s'\n", n, (int)status, err.text);
            return 0;
        }
    }
}

int main(int argc, char **argv)
{
    long total = 0;
    for (int i = 0; i < N_SEEDS; i++) {
        bytes seed = seed_file(i);
        const long n = check(NULL, &seed);
        free(seed.data);
        if (n < 5) return 1;
        total += n;
    }
    for (int i = 1; i < argc; i++) {
        const long n = check(argv[i], NULL);
        if (n < 5) return 1;
        total += n;
    }
    printf("%ld allocations failed in turn\n", total);
    return 0;
}
