/* Calls the fuzz target with damaged copies of the seeds, a limited number of times: `driver COUNT [SEED [FILE...]]`.
 * Inputs that open and hold at least as much as their origin join a small pool and are damaged further. A crash leaves
 * its input in ./gguf-crash.bin; `driver 0 0 gguf-crash.bin` runs it again. */
#include "fuzz/seeds.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POOL 256
#define LONGEST 65536
#define SECONDS_PER_BATCH 60 /* for BATCH inputs; an input that hangs is a finding */
#define BATCH 1000

int oxi_fuzz_read(const uint8_t *data, size_t size);
/* From the sanitizers' runtime; absent in a build without one. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static uint64_t rng_state;
static const uint8_t *running;
static size_t running_size;

static uint64_t rng(void) /* splitmix64 */
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static size_t below(size_t n) { return n ? (size_t)(rng() % n) : 0; }

static void save_input(void)
{
    const int fd = open("gguf-crash.bin", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, running, running_size) < 0) return;
    close(fd);
}

static void on_signal(int number)
{
    save_input();
    signal(number, SIG_DFL);
    raise(number);
}

/* The input is in memory of exactly its size, so that the sanitizer sees the first read past its end. */
static int run(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact) abort();
    if (n) memcpy(exact, data, n);
    running = exact;
    running_size = n;
    const int held = oxi_fuzz_read(exact, n);
    free(exact);
    return held;
}

static void put(bytes *b, size_t at, const void *value, size_t n)
{
    if (at + n <= b->n) memcpy(b->data + at, value, n);
}

static void remove_run(bytes *b, size_t at, size_t n)
{
    if (at + n > b->n) n = b->n - at;
    memmove(b->data + at, b->data + at + n, b->n - at - n);
    b->n -= n;
}

static void insert_run(bytes *b, size_t at, const bytes *from, size_t n)
{
    const size_t source = below(from->n);
    if (source + n > from->n) n = from->n - source;
    if (b->n + n > LONGEST || at > b->n) return;
    bytes_append(b, from->data, n); /* makes room; the content comes below */
    memmove(b->data + at + n, b->data + at, b->n - n - at);
    memcpy(b->data + at, from->data + source, n);
}

static void damage(bytes *b, const bytes *other)
{
    static const uint64_t extremes[] = {
        0,  1,  2,   3,   4,     INT32_MAX,  (uint64_t)INT32_MAX + 1, INT64_MAX,       (uint64_t)INT64_MAX + 1,
        8,  9,  31,  32,  33,    UINT32_MAX, (uint64_t)1 << 32,       UINT64_MAX - 31, UINT64_MAX,
        64, 65, 255, 256, 65535,
    };
    static const uint8_t widths[] = {1, 2, 4, 8};
    if (b->n == 0) return;
    /* Most decisions depend on the header: half of the damage goes to the first bytes. */
    const size_t at = below(below(2) && b->n > 256 ? 256 : b->n), n = 1 + below(1u << below(8));
    const uint64_t extreme = extremes[below(sizeof extremes / sizeof *extremes)];
    switch (below(9)) {
    case 0: b->data[at] ^= (uint8_t)(1u << below(8)); break;
    case 1: b->data[at] = (uint8_t)rng(); break;
    case 2: b->data[at] = (uint8_t)(b->data[at] + (below(2) ? 1 : -1)); break;
    case 3: put(b, at, &extreme, widths[below(4)]); break;
    case 4: put(b, 8 * (at / 8), &extreme, 8); break;
    case 5: remove_run(b, at, n); break;
    case 6: insert_run(b, at, other, n); break;
    case 7: put(b, at, other->data + below(other->n - other->n / 8), other->n / 8 < n ? other->n / 8 : n); break;
    case 8: if (below(8) == 0) b->n = at; break;
    }
}

static bytes copy(const bytes *b)
{
    bytes out = {0};
    bytes_append(&out, b->data, b->n);
    return out;
}

static bytes read_file(const char *path)
{
    bytes b = {0};
    uint8_t chunk[4096];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;) bytes_append(&b, chunk, n);
    fclose(file);
    return b;
}

int main(int argc, char **argv)
{
    const unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    rng_state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(save_input);
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);

    bytes pool[POOL] = {{0}};
    int held[POOL] = {0};
    int n_pool = 0, n_seeds;
    for (int i = 0; i < N_SEEDS; i++) pool[n_pool++] = seed_file(i);
    for (int i = 3; i < argc && n_pool < POOL / 2; i++) pool[n_pool++] = read_file(argv[i]);
    n_seeds = n_pool;
    int n_valid = 0;
    for (int i = 0; i < n_seeds; i++) n_valid += (held[i] = run(pool[i].data, pool[i].n)) > 0;
    if (n_valid < N_SEEDS) {
        fprintf(stderr, "a seed does not open\n");
        return 1;
    }

    unsigned long opened = 0;
    for (unsigned long i = 0; i < count; i++) {
        if (i % BATCH == 0) alarm(SECONDS_PER_BATCH);
        const size_t origin = below((size_t)(below(2) ? n_seeds : n_pool));
        bytes input = copy(&pool[origin]);
        const bytes *other = &pool[below((size_t)n_pool)];
        for (size_t k = 1 + below(4); k > 0; k--) damage(&input, other);
        const int holds = run(input.data, input.n);
        opened += holds > 0;
        if (holds && holds >= held[origin] && below(4) == 0) {
            const int slot = n_pool < POOL ? n_pool++ : n_seeds + (int)below((size_t)(POOL - n_seeds));
            held[slot] = holds;
            free(pool[slot].data);
            pool[slot] = input;
        } else {
            free(input.data);
        }
    }
    for (int i = 0; i < n_pool; i++) free(pool[i].data);
    printf("%lu inputs, %lu of them opened, no findings\n", count, opened);
    return 0;
}
