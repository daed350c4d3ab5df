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

/* Read `bytes` (a multiple of 64) as the few-token kernels do, in alternating streams. These numbers of streams and
 * lengths of turns were the fastest of those tried. */
enum { PROBE_RUNS = 16, PROBE_TURN = 256, PROBE_LEAD = 1024, PROBE_RUN = 65536, PROBE_BLOCK = PROBE_RUNS * PROBE_RUN };

static void probe_read(const uint8_t *p, size_t bytes, float *sink)
{
    const uint8_t *const end = p + bytes;
    v_u8 sum[4] = {{0}};
    for (; end - p >= PROBE_BLOCK; p += PROBE_BLOCK)
        for (size_t at = 0; at < PROBE_RUN; at += PROBE_TURN) {
            const size_t lead = PROBE_LEAD + (at + PROBE_LEAD < PROBE_RUN ? 0 : PROBE_BLOCK - PROBE_RUN);
            for (const uint8_t *run = p + at; run < p + PROBE_BLOCK; run += PROBE_RUN) {
                UNROLL for (int k = 0; k < PROBE_TURN / VB; k++) {
                    if (k * VB % 64 == 0) fetch(run + lead + k * VB, 64);
                    sum[k % 4] ^= load_u8(run + k * VB);
                }
            }
        }
    for (; p < end; p += VB) sum[0] ^= load_u8(p);
    *sink = (float)(sum[0] ^ sum[1] ^ sum[2] ^ sum[3])[0];
}
