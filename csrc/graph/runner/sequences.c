/* The runner's sequences: what the cache does for them. */
#include "graph/state.h"

oxi_status oxi_seq_open(oxi_runner *r, int32_t *seq, oxi_error *err) { return oxi_cache_seq_open(r->cache, seq, err); }
oxi_status oxi_seq_close(oxi_runner *r, int32_t seq, oxi_error *err) { return oxi_cache_seq_close(r->cache, seq, err); }

oxi_status oxi_seq_len(const oxi_runner *r, int32_t seq, int32_t *n_tokens, oxi_error *err)
{
    return oxi_cache_seq_len(r->cache, seq, n_tokens, err);
}

oxi_status oxi_seq_reserve(oxi_runner *r, int32_t seq, int32_t n_tokens, oxi_error *err)
{
    return oxi_cache_reserve(r->cache, &seq, &n_tokens, 1, err);
}

oxi_status oxi_seq_truncate(oxi_runner *r, int32_t seq, int32_t n_tokens, oxi_error *err)
{
    return oxi_cache_seq_truncate(r->cache, seq, n_tokens, err);
}

oxi_status oxi_seq_fork(oxi_runner *r, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err)
{
    return oxi_cache_seq_fork(r->cache, seq, n_tokens, out, err);
}

oxi_status oxi_seq_reusable(const oxi_runner *r, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err)
{
    return oxi_cache_seq_reusable(r->cache, seq, n_tokens, out, err);
}

oxi_status oxi_seq_checkpoint(oxi_runner *r, int32_t seq, int32_t *kept, oxi_error *err)
{
    return oxi_cache_seq_checkpoint(r->cache, seq, kept, err);
}

bool oxi_runner_class(const oxi_runner *r, int32_t kind, oxi_class_info *info) { return oxi_cache_class(r->cache, kind, info); }

int32_t oxi_seq_pages(const oxi_runner *r, int32_t seq, int32_t *pages, int32_t n)
{
    return oxi_cache_seq_pages(r->cache, seq, pages, n);
}

int32_t oxi_runner_free_pages(const oxi_runner *r) { return oxi_cache_free_pages(r->cache); }
uint64_t oxi_runner_cache_bytes(const oxi_runner *r) { return oxi_cache_bytes(r->cache); }
int32_t oxi_runner_free_states(const oxi_runner *r) { return oxi_cache_free_states(r->cache); }
uint64_t oxi_runner_state_bytes(const oxi_runner *r) { return oxi_cache_state_bytes(r->cache); }
