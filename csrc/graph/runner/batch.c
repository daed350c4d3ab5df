/* Steps: a batch is checked, evaluated by all threads, and committed. */
#include "graph/exec.h"
#include "graph/state.h"

#include <string.h>

static oxi_status check_sizes(const oxi_runner *r, const oxi_batch *b, oxi_error *err)
{
    if (b->n_tokens < 1 || b->n_tokens > r->config.n_batch)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a step takes 1 to %d tokens, not %d", r->config.n_batch, b->n_tokens);
    if (b->n_runs < 1 || b->n_runs > b->n_tokens)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "%d sequences cannot share %d tokens", b->n_runs, b->n_tokens);
    return OXI_OK;
}

/* Check a batch whose size is possible, except for what depends on the cache. */
static oxi_status check_batch(const oxi_runner *r, const oxi_batch *b, oxi_error *err)
{
    int64_t total = 0;
    for (int32_t i = 0; i < b->n_runs; i++) {
        if (b->counts[i] < 1)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "sequence %d gets %d tokens: at least 1", b->seqs[i], b->counts[i]);
        total += b->counts[i];
        for (int32_t j = 0; j < i; j++)
            if (b->seqs[j] == b->seqs[i])
                return oxi_fail(err, OXI_ERR_ARGUMENT, "sequence %d appears twice in one step", b->seqs[i]);
    }
    if (total != b->n_tokens)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "the counts add up to %lld, and there are %d tokens", (long long)total,
                        b->n_tokens);
    for (int32_t t = 0; t < b->n_tokens; t++)
        if (b->tokens[t] < 0 || b->tokens[t] >= r->config.n_vocab)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "token %d is not in the vocabulary of %d", b->tokens[t],
                            r->config.n_vocab);
    return OXI_OK;
}

/* Where rows see both ways, the first tokens of a sequence depend on the last: it comes in one step. */
static oxi_status check_whole_runs(const oxi_runner *r, const oxi_batch *b, oxi_error *err)
{
    for (int32_t i = 0; r->program->whole_runs && i < b->n_runs; i++) {
        int32_t length;
        const oxi_status s = oxi_cache_seq_len(r->cache, b->seqs[i], &length, err);
        if (s != OXI_OK) return s;
        if (length)
            return oxi_fail(err, OXI_ERR_ARGUMENT,
                            "sequence %d has %d tokens already: a model that sees both ways takes a sequence in one step",
                            b->seqs[i], length);
    }
    return OXI_OK;
}

/* The runner's own copy, so that nothing changes between its check and its use. */
static void copy_batch(oxi_runner *r, const oxi_batch *b)
{
    memcpy(r->tokens, b->tokens, (size_t)b->n_tokens * sizeof *r->tokens);
    memcpy(r->outputs, b->outputs, (size_t)b->n_tokens);
    memcpy(r->seqs, b->seqs, (size_t)b->n_runs * sizeof *r->seqs);
    memcpy(r->counts, b->counts, (size_t)b->n_runs * sizeof *r->counts);
    r->batch = (oxi_batch){.tokens = r->tokens, .outputs = r->outputs, .seqs = r->seqs, .counts = r->counts,
                           .n_tokens = b->n_tokens, .n_runs = b->n_runs};
}

static void lay_out_step(oxi_runner *r, const oxi_batch *b)
{
    r->n_tokens = b->n_tokens;
    r->n_runs = b->n_runs;
    r->n_outputs = 0;
    for (int32_t i = 0, t = 0; i < b->n_runs; i++) {
        int32_t length = 0;
        oxi_error ignored; /* cannot fail: reserving has found the sequence open */
        (void)oxi_cache_seq_len(r->cache, b->seqs[i], &length, &ignored);
        r->runs[i] = (oxi_run){.first = t, .count = b->counts[i], .position = length,
                               .seq = b->seqs[i],
                               .state = oxi_cache_state(r->cache, b->seqs[i]),
                               .next_state = oxi_cache_next_state(r->cache, b->seqs[i])};
        for (int32_t j = 0; j < b->counts[i]; j++, t++) {
            r->positions[t] = length + j;
            if (b->outputs[t]) r->output_rows[r->n_outputs++] = t;
        }
    }
    for (int i = 0; i < r->n_threads; i++) atomic_store_explicit(&r->queues[i].next[0], 0, memory_order_relaxed);
    atomic_store(&r->stop_at, 0);
}

static oxi_status step(oxi_runner *r, const oxi_batch *b, oxi_error *err)
{
    oxi_status s = check_batch(r, b, err);
    if (s != OXI_OK) return s;
    s = check_whole_runs(r, b, err);
    if (s != OXI_OK) return s;
    s = oxi_cache_begin(r->cache, b->seqs, b->counts, b->n_runs, err);
    if (s != OXI_OK) return s;
    lay_out_step(r, b);
    oxi_pool_run(r->pool, oxi_step_run, r);
    /* A cancel that came too late for this step was still meant for it. */
    atomic_store(&r->cancel, false);
    if (atomic_load(&r->stop_at)) {
        oxi_cache_rollback(r->cache, b->seqs, b->n_runs);
        return oxi_fail(err, OXI_ERR_CANCELLED, "the step was cancelled");
    }
    oxi_cache_commit(r->cache, b->seqs, b->counts, b->n_runs);
    return OXI_OK;
}

oxi_status oxi_runner_step(oxi_runner *r, const oxi_batch *b, int32_t *n_outputs, oxi_error *err)
{
    *n_outputs = 0;
    oxi_status s = check_sizes(r, b, err);
    if (s != OXI_OK) return s;
    if (atomic_exchange(&r->busy, true))
        return oxi_fail(err, OXI_ERR_ARGUMENT, "another thread is computing a step with this model: one at a time");
    s = oxi_pool_claim(r->pool, err);
    if (s == OXI_OK) {
        copy_batch(r, b);
        /* A cancel that is already pending is for this step: the step ends before it begins. */
        s = atomic_exchange(&r->cancel, false) ? oxi_fail(err, OXI_ERR_CANCELLED, "the step was cancelled")
                                               : step(r, &r->batch, err);
        if (s == OXI_OK) *n_outputs = r->n_outputs;
        oxi_pool_release(r->pool);
    }
    atomic_store(&r->busy, false);
    return s;
}

const float *oxi_runner_logits(const oxi_runner *r, int64_t *stride)
{
    *stride = 0;
    return r->program->logits.buffer < 0 ? NULL : oxi_view_rows(r, r->program->logits, stride);
}

const float *oxi_runner_hidden(const oxi_runner *r, int64_t *stride)
{
    return oxi_view_rows(r, r->program->hidden, stride);
}

void oxi_runner_cancel(oxi_runner *r) { atomic_store(&r->cancel, true); }
