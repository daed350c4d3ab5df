/* What the machine gives to a row that does nothing else: the limits benchmarks are held against. */

enum { PROBE_SUMS = 12 }; /* more independent sums than latency times units */

/* PROBE_SUMS * rounds dot4 on registers; returns how many multiplications and additions that was. */
static double probe_dot(int64_t rounds, float *sink)
{
    v_i32 sum[PROBE_SUMS], x = (v_i32){0} + 0x03fd0581;
    v_u8 w = (v_u8){0} + 11;
    UNROLL for (int i = 0; i < PROBE_SUMS; i++) sum[i] = (v_i32){0} + i;
    for (int64_t r = 0; r < rounds; r++)
        UNROLL for (int i = 0; i < PROBE_SUMS; i++) {
            sum[i] = dot4(sum[i], w, x, 4);
            /* The compiler must not know that the next product is the same. */
#if defined(__x86_64__)
            __asm__ volatile("" : "+x"(w));
#else
            __asm__ volatile("" : "+w"(w));
#endif
        }
    v_i32 all = sum[0];
    UNROLL for (int i = 1; i < PROBE_SUMS; i++) all += sum[i];
    *sink = (float)all[0];
    return 2.0 * VB * PROBE_SUMS * (double)rounds;
}

/* Read `bytes` (a multiple of 512) as the few-token kernels do. */
static void probe_read(const uint8_t *p, size_t bytes, float *sink)
{
    v_u8 sum[4] = {{0}};
    for (size_t at = 0; at < bytes; at += 256) {
        fetch(p + AHEAD + at, 256);
        UNROLL for (int k = 0; k < 256 / VB; k++) sum[k % 4] ^= load_u8(p + at + k * VB);
    }
    *sink = (float)(sum[0] ^ sum[1] ^ sum[2] ^ sum[3])[0];
}
