/* What the machine gives to an isa that does nothing else: the limits that benchmarks compare with. */

enum { PROBE_SUMS = 12 }; /* more independent sums than latency times units */

#if PAIRED_DOTS
#define PROBE_DOT(sum, w, x) dot2x2(sum, w, (v_u8)(x))
#define PROBE_OPERATIONS (4.0 * VB)
#else
#define PROBE_DOT(sum, w, x) dot4(sum, w, x, 4)
#define PROBE_OPERATIONS (2.0 * VB)
#endif

/* PROBE_SUMS * rounds products on registers; returns the number of multiplications and additions. */
static double probe_dot(int64_t rounds, float *sink)
{
    v_i32 sum[PROBE_SUMS], x = (v_i32){0} + 0x03fd0581;
    v_u8 w = (v_u8){0} + 11;
    UNROLL for (int i = 0; i < PROBE_SUMS; i++) sum[i] = (v_i32){0} + i;
    for (int64_t r = 0; r < rounds; r++)
        UNROLL for (int i = 0; i < PROBE_SUMS; i++) {
            sum[i] = PROBE_DOT(sum[i], w, x);
            /* The compiler must not see that the next product is the same. */
#if defined(__x86_64__)
            __asm__ volatile("" : "+x"(w));
#else
            __asm__ volatile("" : "+w"(w));
#endif
        }
    v_i32 all = sum[0];
    UNROLL for (int i = 1; i < PROBE_SUMS; i++) all += sum[i];
    *sink = (float)all[0];
    return PROBE_OPERATIONS * PROBE_SUMS * (double)rounds;
}

/* Read `bytes`, a multiple of 64, in `runs` runs of addresses that take turns, as the few-token kernels do. */
enum { PROBE_TURN = 256, PROBE_RUN = 65536 };

INLINE void probe_read_with(int cache, const uint8_t *p, size_t bytes, size_t runs, size_t lead, float *sink)
{
    const uint8_t *const end = p + bytes;
    const size_t block = runs * PROBE_RUN;
    v_u8 sum[4] = {{0}};
    for (; (size_t)(end - p) >= block; p += block)
        for (size_t at = 0; at < PROBE_RUN; at += PROBE_TURN) {
            const size_t ahead = lead + (at + lead < PROBE_RUN ? 0 : block - PROBE_RUN);
            for (const uint8_t *run = p + at; run < p + block; run += PROBE_RUN) {
                UNROLL for (int k = 0; k < PROBE_TURN / VB; k++) {
                    if (cache == 1 && k * VB % 64 == 0) __builtin_prefetch(run + ahead + k * VB);
                    if (cache == 2 && k * VB % 64 == 0) __builtin_prefetch(run + ahead + k * VB, 0, 2);
                    sum[k % 4] ^= load_u8(run + k * VB);
                }
            }
        }
    for (; p < end; p += VB) sum[0] ^= load_u8(p);
    *sink = (float)(sum[0] ^ sum[1] ^ sum[2] ^ sum[3])[0];
}

static void probe_read(const uint8_t *p, size_t bytes, oxi_probe_way way, float *sink)
{
    if (way.cache == 0) probe_read_with(0, p, bytes, (size_t)way.runs, 0, sink);
    else if (way.cache == 1) probe_read_with(1, p, bytes, (size_t)way.runs, (size_t)way.ahead, sink);
    else probe_read_with(2, p, bytes, (size_t)way.runs, (size_t)way.ahead, sink);
}
