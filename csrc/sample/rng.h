/* xoshiro256** 1.0 by Blackman and Vigna (public domain, prng.di.unimi.it), seeded through splitmix64 as they advise.
 * Integer arithmetic only, so every platform draws the same numbers. */
#ifndef OXI_RNG_H
#define OXI_RNG_H

#include <stdint.h>

typedef struct oxi_rng {
    uint64_t s[4];
} oxi_rng;

static inline uint64_t oxi_rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static inline void oxi_rng_seed(oxi_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        rng->s[i] = z ^ (z >> 31);
    }
}

static inline uint64_t oxi_rng_next(oxi_rng *rng)
{
    uint64_t *s = rng->s;
    const uint64_t result = oxi_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = oxi_rotl(s[3], 45);
    return result;
}

/* Uniform in [0, 1), 53 bits. */
static inline double oxi_rng_uniform(oxi_rng *rng) { return (double)(oxi_rng_next(rng) >> 11) * 0x1.0p-53; }

#endif
