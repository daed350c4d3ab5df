#include "kv/kv.h"
#include "kv/page.h"
#include "kv/pages.h"
#include "platform/memory.h"

#include <stdlib.h>
#include <string.h>

#define NO_STATE 0 /* the block that stays zero: the states of a sequence without tokens, in all of them */

typedef struct sequence {
    bool open, copies_tail; /* the latter: scratch of one reservation */
    int32_t n_tokens, n_pages;
    int32_t n_pages_before; /* of the step under way */
    int32_t *pages; /* [max_pages] */
    int32_t state, next_state;
} sequence;

struct oxi_cache {
    oxi_cache_type type;
    int32_t n_layers, n_seqs, n_ctx, max_pages;
    oxi_cache_layer *layers;
    oxi_pages pages, states; /* without states the latter has no pages */
    sequence *seqs;
    int32_t *free_seqs; /* a stack */
    int32_t n_free_seqs;
};

/* Avoids a sum that INT32_MAX tokens would overflow. */
static int32_t pages_for(int32_t n_tokens) { return n_tokens / OXI_PAGE_TOKENS + (n_tokens % OXI_PAGE_TOKENS > 0); }

/* Bytes of a page. */
static size_t lay_out(oxi_cache *c)
{
    size_t at = 0;
    for (int32_t i = 0; i < c->n_layers; i++) {
        oxi_cache_layer *l = &c->layers[i];
        l->value_pad = oxi_pad16(l->value_dim);
        l->key_bytes = oxi_key_bytes(c->type, l->key_dim);
        l->value_bytes = oxi_value_bytes(c->type, l->value_dim);
        l->keys = at;
        l->values = at + l->key_bytes * (size_t)l->n_head;
        at = l->values + l->value_bytes * (size_t)l->n_head;
    }
    return at;
}

static oxi_status get_memory(oxi_cache *c, const oxi_cache_layer *layers, const oxi_cache_config *config, oxi_error *err)
{
    c->layers = calloc((size_t)c->n_layers + 1, sizeof *c->layers);
    c->seqs = calloc((size_t)c->n_seqs, sizeof *c->seqs);
    c->free_seqs = calloc((size_t)c->n_seqs, sizeof *c->free_seqs);
    if (!c->layers || !c->seqs || !c->free_seqs)
        return oxi_fail(err, OXI_ERR_NOMEM, "out of memory for a cache of %d sequences", c->n_seqs);
    memcpy(c->layers, layers, (size_t)c->n_layers * sizeof *layers);
    const size_t page_bytes = lay_out(c);
    if (!oxi_pages_open(&c->pages, config->n_pages, page_bytes))
        return oxi_fail(err, OXI_ERR_NOMEM, "a key/value cache of %d pages of %zu bytes does not fit into memory",
                        config->n_pages, page_bytes);
    if (!config->state_bytes) return OXI_OK;
    if (!oxi_pages_open(&c->states, config->n_states + 1, config->state_bytes))
        return oxi_fail(err, OXI_ERR_NOMEM, "%d recurrent states of %zu bytes do not fit into memory", config->n_states,
                        config->state_bytes);
    (void)oxi_page_take(&c->states); /* NO_STATE, for ever */
    return OXI_OK;
}

oxi_status oxi_cache_open(oxi_cache **out, const oxi_cache_layer *layers, int32_t n_layers, const oxi_cache_config *config,
                          oxi_error *err)
{
    *out = NULL;
    if (config->n_pages < 1 || config->n_seqs < 1 || config->n_ctx < 1)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a cache needs at least one page, one sequence and one token of context");
    if (config->state_bytes && (config->n_states < 2 || config->n_states == INT32_MAX))
        return oxi_fail(err, OXI_ERR_ARGUMENT, "recurrent states need 2 to %d blocks, not %d", INT32_MAX - 1, config->n_states);
    oxi_cache *c = calloc(1, sizeof *c);
    if (!c) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory");
    c->type = config->type;
    c->n_layers = n_layers;
    c->n_seqs = config->n_seqs;
    c->n_ctx = config->n_ctx;
    c->max_pages = pages_for(config->n_ctx) < config->n_pages ? pages_for(config->n_ctx) : config->n_pages;
    const oxi_status s = get_memory(c, layers, config, err);
    if (s != OXI_OK) {
        oxi_cache_close(&c);
        return s;
    }
    for (int32_t i = 0; i < c->n_seqs; i++) c->free_seqs[i] = c->n_seqs - 1 - i;
    c->n_free_seqs = c->n_seqs;
    *out = c;
    return OXI_OK;
}

void oxi_cache_close(oxi_cache **cache)
{
    oxi_cache *c = *cache;
    *cache = NULL;
    if (!c) return;
    for (int32_t i = 0; c->seqs && i < c->n_seqs; i++) free(c->seqs[i].pages);
    oxi_pages_close(&c->pages);
    oxi_pages_close(&c->states);
    free(c->layers);
    free(c->seqs);
    free(c->free_seqs);
    free(c);
}

static oxi_status find(const oxi_cache *c, int32_t seq, sequence **out, oxi_error *err)
{
    if (seq < 0 || seq >= c->n_seqs || !c->seqs[seq].open)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "sequence %d is not open", seq);
    *out = &c->seqs[seq];
    return OXI_OK;
}

static void keep_pages(oxi_cache *c, sequence *s, int32_t n)
{
    while (s->n_pages > n) oxi_page_drop(&c->pages, s->pages[--s->n_pages]);
}

static void set_state(oxi_cache *c, sequence *s, int32_t state)
{
    if (s->state != NO_STATE) oxi_page_drop(&c->states, s->state);
    s->state = state;
}

/* Whether a sequence can be continued from n of its tokens. */
static oxi_status check_cut(const oxi_cache *c, int32_t seq, int32_t n_tokens, const char *what, oxi_error *err)
{
    const sequence *s = &c->seqs[seq];
    if (n_tokens < 0 || n_tokens > s->n_tokens)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "cannot %s %d tokens of sequence %d, which has %d", what, n_tokens, seq,
                        s->n_tokens);
    if (c->states.n && n_tokens && n_tokens < s->n_tokens)
        return oxi_fail(err, OXI_ERR_ARGUMENT,
                        "cannot %s %d tokens of sequence %d: its recurrent states are kept for 0 and %d tokens", what,
                        n_tokens, seq, s->n_tokens);
    return OXI_OK;
}

oxi_status oxi_cache_seq_open(oxi_cache *c, int32_t *seq, oxi_error *err)
{
    if (!c->n_free_seqs) return oxi_fail(err, OXI_ERR_KV_FULL, "all %d sequences are in use", c->n_seqs);
    const int32_t index = c->free_seqs[c->n_free_seqs - 1];
    sequence *s = &c->seqs[index];
    if (!s->pages && !(s->pages = calloc((size_t)c->max_pages, sizeof *s->pages)))
        return oxi_fail(err, OXI_ERR_NOMEM, "out of memory for a sequence");
    c->n_free_seqs--;
    s->open = true;
    s->n_tokens = s->n_pages = 0;
    s->state = NO_STATE;
    *seq = index;
    return OXI_OK;
}

oxi_status oxi_cache_seq_close(oxi_cache *c, int32_t seq, oxi_error *err)
{
    sequence *s = NULL;
    const oxi_status status = find(c, seq, &s, err);
    if (status != OXI_OK) return status;
    keep_pages(c, s, 0);
    set_state(c, s, NO_STATE);
    s->open = false;
    c->free_seqs[c->n_free_seqs++] = seq;
    return OXI_OK;
}

oxi_status oxi_cache_seq_len(const oxi_cache *c, int32_t seq, int32_t *n_tokens, oxi_error *err)
{
    sequence *s = NULL;
    const oxi_status status = find(c, seq, &s, err);
    if (status == OXI_OK) *n_tokens = s->n_tokens;
    return status;
}

oxi_status oxi_cache_seq_truncate(oxi_cache *c, int32_t seq, int32_t n_tokens, oxi_error *err)
{
    sequence *s = NULL;
    oxi_status status = find(c, seq, &s, err);
    if (status == OXI_OK) status = check_cut(c, seq, n_tokens, "keep", err);
    if (status != OXI_OK) return status;
    if (n_tokens < s->n_tokens) set_state(c, s, NO_STATE);
    s->n_tokens = n_tokens;
    keep_pages(c, s, pages_for(n_tokens));
    return OXI_OK;
}

oxi_status oxi_cache_seq_fork(oxi_cache *c, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err)
{
    sequence *from = NULL;
    oxi_status status = find(c, seq, &from, err);
    if (status == OXI_OK) status = check_cut(c, seq, n_tokens, "share", err);
    if (status == OXI_OK) status = oxi_cache_seq_open(c, out, err);
    if (status != OXI_OK) return status;
    sequence *to = &c->seqs[*out];
    to->n_tokens = n_tokens;
    to->n_pages = pages_for(n_tokens);
    for (int32_t i = 0; i < to->n_pages; i++) to->pages[i] = oxi_page_share(&c->pages, from->pages[i]);
    if (n_tokens && from->state != NO_STATE) to->state = oxi_page_share(&c->states, from->state);
    return OXI_OK;
}

int32_t oxi_cache_seq_pages(const oxi_cache *c, int32_t seq, int32_t *pages, int32_t n)
{
    if (seq < 0 || seq >= c->n_seqs || !c->seqs[seq].open) return 0;
    const sequence *s = &c->seqs[seq];
    for (int32_t i = 0; i < s->n_pages && i < n; i++) pages[i] = s->pages[i];
    return s->n_pages;
}

/* The page that the next token goes into, if it already holds earlier tokens; else -1. */
static int32_t tail(const sequence *s)
{
    return s->n_tokens % OXI_PAGE_TOKENS ? s->pages[s->n_tokens / OXI_PAGE_TOKENS] : -1;
}

/* Number of pages a reservation takes, and which sequences must copy their tail. If two sequences share a tail, only the
 * first needs a copy: each planned copy is taken off the page's count while counting, and put back afterwards. */
static int64_t plan(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n)
{
    int64_t needed = 0;
    for (int32_t i = 0; i < n; i++) {
        sequence *s = &c->seqs[seqs[i]];
        const int32_t more = pages_for(s->n_tokens + counts[i]) - s->n_pages, page = tail(s);
        if (more > 0) needed += more;
        s->copies_tail = page >= 0 && counts[i] > 0 && c->pages.references[page] > 1;
        if (s->copies_tail) {
            needed++;
            c->pages.references[page]--;
        }
    }
    for (int32_t i = 0; i < n; i++)
        if (c->seqs[seqs[i]].copies_tail) c->pages.references[tail(&c->seqs[seqs[i]])]++;
    return needed;
}

static void copy_tail(oxi_cache *c, sequence *s)
{
    int32_t *page = &s->pages[s->n_tokens / OXI_PAGE_TOKENS];
    const int32_t copy = oxi_page_take(&c->pages);
    memcpy(oxi_cache_page(c, copy), oxi_cache_page(c, *page), c->pages.page_bytes);
    oxi_page_drop(&c->pages, *page);
    *page = copy;
}

oxi_status oxi_cache_reserve(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err)
{
    for (int32_t i = 0; i < n; i++) {
        sequence *s = NULL;
        const oxi_status status = find(c, seqs[i], &s, err);
        if (status != OXI_OK) return status;
        if (counts[i] < 0 || counts[i] > c->n_ctx - s->n_tokens)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "sequence %d has %d tokens: %d more do not fit the context of %d",
                            seqs[i], s->n_tokens, counts[i], c->n_ctx);
    }
    const int64_t needed = plan(c, seqs, counts, n);
    if (needed > c->pages.n_free)
        return oxi_fail(err, OXI_ERR_KV_FULL, "the key/value cache is full: %lld pages of %d tokens needed, %d free",
                        (long long)needed, OXI_PAGE_TOKENS, c->pages.n_free);
    for (int32_t i = 0; i < n; i++) {
        sequence *s = &c->seqs[seqs[i]];
        if (s->copies_tail) copy_tail(c, s);
        while (s->n_pages < pages_for(s->n_tokens + counts[i])) s->pages[s->n_pages++] = oxi_page_take(&c->pages);
    }
    return OXI_OK;
}

oxi_status oxi_cache_begin(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err)
{
    for (int32_t i = 0; i < n; i++) {
        sequence *s = NULL;
        const oxi_status status = find(c, seqs[i], &s, err);
        if (status != OXI_OK) return status;
        s->n_pages_before = s->n_pages;
    }
    if (c->states.n && n > c->states.n_free)
        return oxi_fail(err, OXI_ERR_KV_FULL, "the memory of recurrent states is full: %d needed, %d free", n, c->states.n_free);
    const oxi_status status = oxi_cache_reserve(c, seqs, counts, n, err);
    if (status != OXI_OK || !c->states.n) return status;
    for (int32_t i = 0; i < n; i++) c->seqs[seqs[i]].next_state = oxi_page_take(&c->states);
    return OXI_OK;
}

void oxi_cache_commit(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        sequence *s = &c->seqs[seqs[i]];
        s->n_tokens += counts[i];
        if (c->states.n) set_state(c, s, s->next_state);
    }
}

void oxi_cache_rollback(oxi_cache *c, const int32_t *seqs, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        sequence *s = &c->seqs[seqs[i]];
        keep_pages(c, s, s->n_pages_before);
        if (c->states.n) oxi_page_drop(&c->states, s->next_state);
    }
}

int32_t oxi_cache_free_pages(const oxi_cache *c) { return c->pages.n_free; }
uint64_t oxi_cache_bytes(const oxi_cache *c) { return (uint64_t)c->pages.page_bytes * (uint64_t)c->pages.n; }
oxi_cache_type oxi_cache_type_of(const oxi_cache *c) { return c->type; }
const oxi_cache_layer *oxi_cache_layer_of(const oxi_cache *c, int32_t layer) { return &c->layers[layer]; }
const int32_t *oxi_cache_table(const oxi_cache *c, int32_t seq) { return c->seqs[seq].pages; }
uint8_t *oxi_cache_page(const oxi_cache *c, int32_t page) { return oxi_page_at(&c->pages, page); }
int32_t oxi_cache_free_states(const oxi_cache *c) { return c->states.n_free; }
uint64_t oxi_cache_state_bytes(const oxi_cache *c) { return (uint64_t)c->states.page_bytes * (uint64_t)c->states.n; }

const void *oxi_cache_state(const oxi_cache *c, int32_t seq)
{
    return c->states.n ? oxi_page_at(&c->states, c->seqs[seq].state) : NULL;
}

void *oxi_cache_next_state(const oxi_cache *c, int32_t seq)
{
    return c->states.n ? oxi_page_at(&c->states, c->seqs[seq].next_state) : NULL;
}

uint64_t oxi_cache_head_bytes(oxi_cache_type type, int32_t key_dim, int32_t value_dim)
{
    return oxi_key_bytes(type, key_dim) + oxi_value_bytes(type, value_dim);
}
