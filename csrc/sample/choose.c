/* One step's choices: a task each, on the threads of a pool. A task's result depends on nothing but its own row and
 * sampler. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "sample/chain/chain.h"
#include "sample/logprob.h"

struct oxi_chooser {
    int32_t n_vocab;
    int n_threads;
    const oxi_vec *vec;
    oxi_sample_scratch *scratch; /* [n_threads]; a thread gets its memory when it first needs it, and touches it first */
};

typedef struct oxi_choosing {
    const oxi_chooser *chooser;
    oxi_choice *const *choices;
    size_t n;
    atomic_size_t next;
} oxi_choosing;

oxi_status oxi_chooser_open(oxi_chooser **out, int32_t n_vocab, int n_threads, oxi_error *err)
{
    *out = NULL;
    if (n_vocab < 1 || n_threads < 1)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "choosing tokens: a vocabulary of %d, %d threads", n_vocab, n_threads);
    oxi_chooser *c = calloc(1, sizeof *c);
    if (c) c->scratch = calloc((size_t)n_threads, sizeof *c->scratch);
    if (!c || !c->scratch) {
        free(c);
        return oxi_fail(err, OXI_ERR_NOMEM, "choosing tokens: out of memory");
    }
    c->n_vocab = n_vocab;
    c->n_threads = n_threads;
    c->vec = oxi_kernels_get()->vec;
    *out = c;
    return OXI_OK;
}

static void clear(oxi_sample_scratch *d)
{
    free(d->x);
    free(d->ids);
    free(d->weights);
    free(d->keys);
    free(d->candidates);
    free(d->row_maxima);
    free(d->x_maxima);
    free(d->weight_maxima);
    free(d->key_maxima);
    free(d->touched);
    *d = (oxi_sample_scratch){0};
}

void oxi_chooser_close(oxi_chooser **chooser)
{
    oxi_chooser *c = *chooser;
    *chooser = NULL;
    if (!c) return;
    for (int i = 0; i < c->n_threads; i++) clear(&c->scratch[i]);
    free(c->scratch);
    free(c);
}

static bool allocate(oxi_sample_scratch *d, size_t n)
{
    if (d->touched) return true;
    const size_t n_blocks = oxi_blocks(n);
    const bool ok = (d->x = malloc(n * sizeof *d->x)) && (d->ids = malloc(n * sizeof *d->ids)) &&
                    (d->weights = malloc(n * sizeof *d->weights)) && (d->keys = malloc(n * sizeof *d->keys)) &&
                    (d->candidates = malloc(n * sizeof *d->candidates)) &&
                    (d->row_maxima = malloc(n_blocks * sizeof *d->row_maxima)) &&
                    (d->x_maxima = malloc(n_blocks * sizeof *d->x_maxima)) &&
                    (d->weight_maxima = malloc(n_blocks * sizeof *d->weight_maxima)) &&
                    (d->key_maxima = malloc(n_blocks * sizeof *d->key_maxima)) &&
                    (d->touched = malloc(n_blocks * sizeof *d->touched));
    if (!ok) clear(d);
    return ok;
}

static oxi_status check(const oxi_choice *c, int32_t n_vocab, oxi_error *err)
{
    if (c->sampler && c->sampler->params.n_vocab != n_vocab)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "sampler: %d logits for a vocabulary of %d", n_vocab,
                        c->sampler->params.n_vocab);
    for (size_t i = 0; i < c->n_banned; i++)
        if (c->banned[i] < 0 || c->banned[i] >= n_vocab)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "banned token id %d is not between 0 and %d", c->banned[i], n_vocab - 1);
    if (!c->sampler && (c->token < 0 || c->token >= n_vocab))
        return oxi_fail(err, OXI_ERR_ARGUMENT, "token id %d is not between 0 and %d", c->token, n_vocab - 1);
    if (c->n_top > n_vocab)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "log-probabilities: %d best of %d", c->n_top, n_vocab);
    return OXI_OK;
}

static oxi_status choose(const oxi_chooser *chooser, oxi_choice *c, oxi_sample_scratch *scratch)
{
    const oxi_status s = check(c, chooser->n_vocab, &c->err);
    if (s != OXI_OK) return s;
    const size_t n = (size_t)chooser->n_vocab;
    if (!allocate(scratch, n)) return oxi_fail(&c->err, OXI_ERR_NOMEM, "choosing a token: out of memory");
    const oxi_vec *vec = chooser->vec;
    vec->block_maxima(c->logits, (int64_t)n, scratch->row_maxima);
    const oxi_row row = oxi_row_of(c->logits, n, scratch->row_maxima);
    if (c->sampler && !oxi_sampler_draw(c->sampler, vec, &row, c, scratch, &c->token))
        return oxi_fail(&c->err, OXI_ERR_NUMERIC, "no token is left to choose: every logit is NaN, -inf or banned");
    if (c->n_top < 0) return OXI_OK;
    if (row.max == -INFINITY)
        return oxi_fail(&c->err, OXI_ERR_NUMERIC, "log-probabilities: every logit is NaN or -inf");
    c->logprob = oxi_logprobs(vec, &row, c->token, c->n_top, scratch->candidates, c->top_ids, c->top_logprobs);
    return OXI_OK;
}

static void work(void *arg, int thread, int n_threads)
{
    (void)n_threads;
    oxi_choosing *all = arg;
    if (thread >= all->chooser->n_threads) return;
    for (size_t i; (i = atomic_fetch_add_explicit(&all->next, 1, memory_order_relaxed)) < all->n;) {
        oxi_choice *c = all->choices[i];
        c->status = choose(all->chooser, c, &all->chooser->scratch[thread]);
    }
}

oxi_status oxi_choose(oxi_chooser *chooser, oxi_pool *pool, oxi_choice *const *choices, size_t n, oxi_error *err)
{
    oxi_choosing all = {.chooser = chooser, .choices = choices, .n = n};
    if (!pool || n < 2) {
        work(&all, 0, 1);
        return OXI_OK;
    }
    const oxi_status s = oxi_pool_claim(pool, err);
    if (s != OXI_OK) return s;
    oxi_pool_run(pool, work, &all);
    oxi_pool_release(pool);
    return OXI_OK;
}
