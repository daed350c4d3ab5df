/* Run by test_memory.py under the sanitizers: every allocation fails in turn, then odd logits meet odd parameters. Linked
 * with --wrap for the allocating functions. */
#include "kernels/isa/isa.h"
#include "oxillama.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t n);

static long allowed = -1; /* allocations before the one that fails; below 0: none fails */

static int fails(void) { return allowed >= 0 && allowed-- == 0; }

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t n) { return fails() ? NULL : __real_realloc(old, n); }

enum { N_VOCAB = 300 };

static const oxi_kernels plain = {.vec = &oxi_vec_generic};

const oxi_kernels *oxi_kernels_get(void) { return &plain; }

/* A whole generation; what fails in the middle must leave a sampler that works on. */
static oxi_status generation(oxi_error *err)
{
    const oxi_sampler_params params = {.n_vocab = N_VOCAB, .n_steps = 3, .steps = {OXI_CHAIN_PENALTIES, OXI_CHAIN_DRY,
                                       OXI_CHAIN_TOP_P}, .temperature = 1, .top_p = 0.9f, .repeat_penalty = 1.2f,
                                       .repeat_last_n = 200, .presence_penalty = 1, .dry_multiplier = 1, .dry_base = 2,
                                       .dry_penalty_last_n = -1, .seed = 1};
    const int32_t ids[] = {3, 4};
    const float bias[] = {1, -1}, logits[N_VOCAB] = {0};
    oxi_sampler *sampler = NULL;
    oxi_status status = oxi_sampler_open(&sampler, &params, ids, bias, 2, err);
    if (status != OXI_OK) return sampler ? OXI_ERR_ARGUMENT : status;
    for (int32_t i = 0; i < 400 && status == OXI_OK; i++) status = oxi_sampler_accept(sampler, i % N_VOCAB, i % 50 == 0, err);
    int32_t top[5];
    double top_logprobs[5];
    oxi_choice choice = {.sampler = sampler, .logits = logits, .n_top = 5, .top_ids = top, .top_logprobs = top_logprobs};
    oxi_choice *one = &choice;
    oxi_chooser *chooser = NULL;
    oxi_error ignored;
    oxi_status sampled = oxi_chooser_open(&chooser, N_VOCAB, 2, &ignored);
    if (sampled == OXI_OK) sampled = oxi_choose(chooser, NULL, &one, 1, &ignored);
    if (sampled == OXI_OK) sampled = choice.status;
    oxi_chooser_close(&chooser);
    oxi_sampler_close(&sampler);
    return sampled == OXI_OK ? status : sampled;
}

static uint64_t state = 1;

static uint32_t below(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

static float odd_float(void)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3.4e38f, -3.4e38f, 1e-45f, 0, -0.0f};
    return below(2) ? odd[below(8)] : ((float)below(2001) - 1000) / 100;
}

#define PICK(...) ((const float[]){__VA_ARGS__}[below(sizeof((float[]){__VA_ARGS__}) / sizeof(float))])

/* Returns how many tokens were drawn; -1 for one that must not be. */
static long odd_sampler(oxi_pool *pool)
{
    const int32_t n = 1 + (int32_t)below(N_VOCAB);
    oxi_sampler_params params = {
        .n_vocab = n, .temperature = PICK(0, 1, 0.5f, 1e-44f, 100), .dynatemp_range = PICK(0, 0, 0.5f, 100),
        .dynatemp_exponent = PICK(0, 1, 0.5f, 100), .top_k = (int32_t)below((uint32_t)n + 5),
        .top_p = PICK(0, 0.5f, 0.95f, 1), .min_p = PICK(0, 0.1f, 1), .typical_p = PICK(0, 0.5f, 1, 1),
        .top_a = PICK(0, 0.5f, 1), .top_n_sigma = PICK(0, 1e-44f, 1, 100), .epsilon_cutoff = PICK(0, 0.01f, 1),
        .eta_cutoff = PICK(0, 0.01f, 1), .xtc_probability = PICK(0, 0.5f, 1), .xtc_threshold = PICK(0, 0.01f, 0.5f, 1),
        .repeat_penalty = PICK(1, 1.3f, 0.001f, 100, 3.4e38f, 1e-44f),
        .repeat_last_n = (int32_t)below(40) - 1, .frequency_penalty = PICK(0, 1, -2, 100, 3.4e38f, -3.4e38f),
        .presence_penalty = PICK(0, 1, -100, 3.4e38f, -3.4e38f), .dry_multiplier = PICK(0, 0.8f, 3.4e38f),
        .dry_base = PICK(1, 1.75f, 3.4e38f), .dry_allowed_length = (int32_t)below(4),
        .dry_penalty_last_n = (int32_t)below(8) - 1, .mirostat = (int32_t)(below(3) ? 0 : below(3)),
        .mirostat_tau = PICK(0, 5, 100), .mirostat_eta = PICK(0, 0.1f, 1), .seed = below(1000)};
    for (int i = 0; i < OXI_CHAIN_COUNT; i++) params.steps[i] = (uint8_t)i;
    for (uint32_t i = OXI_CHAIN_COUNT; i > 1; i--) { /* any order of some of the steps */
        const uint32_t other = below(i);
        const uint8_t step = params.steps[i - 1];
        params.steps[i - 1] = params.steps[other];
        params.steps[other] = step;
    }
    params.n_steps = (int32_t)below(OXI_CHAIN_COUNT + 1);
    oxi_sampler *sampler;
    oxi_error err;
    if (oxi_sampler_open(&sampler, &params, NULL, NULL, 0, &err) != OXI_OK) return -1;
    oxi_chooser *chooser;
    if (oxi_chooser_open(&chooser, n, 2, &err) != OXI_OK) return -1;
    long drawn = 0;
    for (int round = 0; round < 8 && drawn >= 0; round++) {
        float logits[N_VOCAB];
        for (int32_t i = 0; i < n; i++) logits[i] = odd_float();
        const int32_t banned = (int32_t)below((uint32_t)n);
        uint32_t mask[(N_VOCAB + 31) / 32];
        for (size_t i = 0; i < sizeof mask / sizeof *mask; i++) mask[i] = below(3) ? below(UINT32_MAX) : UINT32_MAX;
        int32_t top[N_VOCAB], more_top[N_VOCAB];
        double top_logprobs[N_VOCAB], more_logprobs[N_VOCAB];
        oxi_choice draw = {.sampler = sampler, .logits = logits, .banned = &banned, .n_banned = 1, .n_top = (int32_t)below(3) - 1,
                           .token = -1, .allowed = round % 2 ? mask : NULL, .top_ids = top, .top_logprobs = top_logprobs};
        oxi_choice score = {.logits = logits, .token = banned, .n_top = (int32_t)below((uint32_t)n + 1),
                            .top_ids = more_top, .top_logprobs = more_logprobs};
        oxi_choice *const both[] = {&draw, &score};
        if (draw.n_top > n) draw.n_top = n;
        if (oxi_choose(chooser, pool, both, 2, &err) != OXI_OK) drawn = -1;
        else if (draw.status == OXI_OK) {
            if (draw.token < 0 || draw.token >= n || draw.token == banned || isnan(logits[draw.token])) drawn = -1;
            else if (draw.allowed && !(mask[draw.token / 32] >> draw.token % 32 & 1)) drawn = -1;
            else drawn++;
        }
        (void)oxi_sampler_accept(sampler, (int32_t)below((uint32_t)(n < 4 ? n : 4)), below(9) == 0, &err);
    }
    oxi_chooser_close(&chooser);
    oxi_sampler_close(&sampler);
    return drawn;
}

int main(void)
{
    long n = 0;
    for (;; n++) {
        oxi_error err;
        allowed = n;
        const oxi_status status = generation(&err);
        allowed = -1;
        if (status == OXI_OK) break;
        if (status != OXI_ERR_NOMEM) {
            fprintf(stderr, "allocation %ld: status %d\n", n, (int)status);
            return 1;
        }
    }
    long drawn = 0;
    oxi_pool *pool;
    oxi_error err;
    if (oxi_pool_open(&pool, 3, NULL, &err) != OXI_OK) return 1; /* one thread more than the chooser has */
    for (int i = 0; i < 6000; i++) {
        const long more = odd_sampler(i % 2 ? pool : NULL);
        if (more < 0) {
            fprintf(stderr, "sampler %d drew what it must not\n", i);
            return 1;
        }
        drawn += more;
    }
    oxi_pool_close(&pool);
    printf("%ld allocations failed in turn, %ld tokens drawn\n", n, drawn);
    return n < 10 || drawn < 10000;
}
