#include "kv/kv.h"
#include "kv/page.h"
#include "platform/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct sequence {
    bool open, copies_tail; /* the latter: scratch of one reservation */
    int32_t n_tokens, n_pages;
    int32_t *pages; /* [max_pages] */
} sequence;

struct oxi_cache {
    oxi_cache_type type;
    int32_t n_layers, n_pages, n_seqs, n_ctx, max_pages;
    oxi_cache_layer *layers;
    size_t page_bytes;
    uint8_t *memory;
    int32_t *references; /* [n_pages], 0: free */
    int32_t *free_pages; /* a stack */
    int32_t n_free;
    sequence *seqs;
    int32_t *free_seqs; /* a stack */
    int32_t n_free_seqs;
};

/* Avoids a sum that INT32_MAX tokens would overflow. */
static int32_t pages_for(int32_t n_tokens) { return n_tokens / OXI_PAGE_TOKENS + (n_tokens % OXI_PAGE_TOKENS > 0); }

static oxi_status lay_out(oxi_cache *c, oxi_error *err)
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
    c->page_bytes = at;
    size_t total;
    if (!oxi_size_mul(at, (size_t)c->n_pages, &total) || !(c->memory = oxi_alloc(total)))
        return oxi_fail(err, OXI_ERR_NOMEM, "a key/value cache of %d pages of %zu bytes does not fit into memory",
                        c->n_pages, at);
    return OXI_OK;
}

oxi_status oxi_cache_open(oxi_cache **out, const oxi_cache_layer *layers, int32_t n_layers, oxi_cache_type type,
                          int32_t n_pages, int32_t n_seqs, int32_t n_ctx, oxi_error *err)
{
    *out = NULL;
    if (n_pages < 1 || n_seqs < 1 || n_ctx < 1)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a cache needs at least one page, one sequence and one token of context");
    oxi_cache *c = calloc(1, sizeof *c);
    if (!c) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory");
    c->type = type;
    c->n_layers = n_layers;
    c->n_pages = n_pages;
    c->n_seqs = n_seqs;
    c->n_ctx = n_ctx;
    c->max_pages = pages_for(n_ctx) < n_pages ? pages_for(n_ctx) : n_pages;
    c->layers = calloc((size_t)n_layers + 1, sizeof *c->layers);
    c->references = calloc((size_t)n_pages, sizeof *c->references);
    c->free_pages = calloc((size_t)n_pages, sizeof *c->free_pages);
    c->seqs = calloc((size_t)n_seqs, sizeof *c->seqs);
    c->free_seqs = calloc((size_t)n_seqs, sizeof *c->free_seqs);
    oxi_status s = OXI_OK;
    if (!c->layers || !c->references || !c->free_pages || !c->seqs || !c->free_seqs)
        s = oxi_fail(err, OXI_ERR_NOMEM, "out of memory for a cache of %d pages and %d sequences", n_pages, n_seqs);
    if (s == OXI_OK) {
        memcpy(c->layers, layers, (size_t)n_layers * sizeof *layers);
        s = lay_out(c, err);
    }
    if (s != OXI_OK) {
        oxi_cache_close(&c);
        return s;
    }
    /* Low numbers first, so that memory that is never needed is never touched. */
    for (int32_t i = 0; i < n_pages; i++) c->free_pages[i] = n_pages - 1 - i;
    for (int32_t i = 0; i < n_seqs; i++) c->free_seqs[i] = n_seqs - 1 - i;
    c->n_free = n_pages;
    c->n_free_seqs = n_seqs;
    *out = c;
    return OXI_OK;
}

void oxi_cache_close(oxi_cache **cache)
{
    oxi_cache *c = *cache;
    *cache = NULL;
    if (!c) return;
    for (int32_t i = 0; c->seqs && i < c->n_seqs; i++) free(c->seqs[i].pages);
    oxi_free(c->memory);
    free(c->layers);
    free(c->references);
    free(c->free_pages);
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

static int32_t take_page(oxi_cache *c)
{
    const int32_t page = c->free_pages[--c->n_free];
    c->references[page] = 1;
    return page;
}

static void drop_page(oxi_cache *c, int32_t page)
{
    if (--c->references[page] == 0) c->free_pages[c->n_free++] = page;
}

static void keep_pages(oxi_cache *c, sequence *s, int32_t n)
{
    while (s->n_pages > n) drop_page(c, s->pages[--s->n_pages]);
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
    *seq = index;
    return OXI_OK;
}

oxi_status oxi_cache_seq_close(oxi_cache *c, int32_t seq, oxi_error *err)
{
    sequence *s = NULL;
    const oxi_status status = find(c, seq, &s, err);
    if (status != OXI_OK) return status;
    keep_pages(c, s, 0);
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
    const oxi_status status = find(c, seq, &s, err);
    if (status != OXI_OK) return status;
    if (n_tokens < 0 || n_tokens > s->n_tokens)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "cannot keep %d tokens of sequence %d, which has %d", n_tokens, seq,
                        s->n_tokens);
    s->n_tokens = n_tokens;
    keep_pages(c, s, pages_for(n_tokens));
    return OXI_OK;
}

oxi_status oxi_cache_seq_fork(oxi_cache *c, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err)
{
    sequence *from = NULL;
    oxi_status status = find(c, seq, &from, err);
    if (status != OXI_OK) return status;
    if (n_tokens < 0 || n_tokens > from->n_tokens)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "cannot share %d tokens of sequence %d, which has %d", n_tokens, seq,
                        from->n_tokens);
    status = oxi_cache_seq_open(c, out, err);
    if (status != OXI_OK) return status;
    sequence *to = &c->seqs[*out];
    to->n_tokens = n_tokens;
    to->n_pages = pages_for(n_tokens);
    for (int32_t i = 0; i < to->n_pages; i++) {
        to->pages[i] = from->pages[i];
        c->references[to->pages[i]]++;
    }
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
        s->copies_tail = page >= 0 && counts[i] > 0 && c->references[page] > 1;
        if (s->copies_tail) {
            needed++;
            c->references[page]--;
        }
    }
    for (int32_t i = 0; i < n; i++)
        if (c->seqs[seqs[i]].copies_tail) c->references[tail(&c->seqs[seqs[i]])]++;
    return needed;
}

static void copy_tail(oxi_cache *c, sequence *s)
{
    int32_t *page = &s->pages[s->n_tokens / OXI_PAGE_TOKENS];
    const int32_t copy = take_page(c);
    memcpy(oxi_cache_page(c, copy), oxi_cache_page(c, *page), c->page_bytes);
    drop_page(c, *page);
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
    if (needed > c->n_free)
        return oxi_fail(err, OXI_ERR_KV_FULL, "the key/value cache is full: %lld pages of %d tokens needed, %d free",
                        (long long)needed, OXI_PAGE_TOKENS, c->n_free);
    for (int32_t i = 0; i < n; i++) {
        sequence *s = &c->seqs[seqs[i]];
        if (s->copies_tail) copy_tail(c, s);
        while (s->n_pages < pages_for(s->n_tokens + counts[i])) s->pages[s->n_pages++] = take_page(c);
    }
    return OXI_OK;
}

void oxi_cache_commit(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n)
{
    for (int32_t i = 0; i < n; i++) c->seqs[seqs[i]].n_tokens += counts[i];
}

void oxi_cache_rollback(oxi_cache *c, const int32_t *seqs, const int32_t *n_pages, int32_t n)
{
    for (int32_t i = 0; i < n; i++) keep_pages(c, &c->seqs[seqs[i]], n_pages[i]);
}

int32_t oxi_cache_n_pages_of(const oxi_cache *c, int32_t seq)
{
    return seq >= 0 && seq < c->n_seqs ? c->seqs[seq].n_pages : 0;
}
int32_t oxi_cache_free_pages(const oxi_cache *c) { return c->n_free; }
uint64_t oxi_cache_bytes(const oxi_cache *c) { return (uint64_t)c->page_bytes * (uint64_t)c->n_pages; }
oxi_cache_type oxi_cache_type_of(const oxi_cache *c) { return c->type; }
const oxi_cache_layer *oxi_cache_layer_of(const oxi_cache *c, int32_t layer) { return &c->layers[layer]; }
const int32_t *oxi_cache_table(const oxi_cache *c, int32_t seq) { return c->seqs[seq].pages; }
uint8_t *oxi_cache_page(const oxi_cache *c, int32_t page) { return c->memory + (size_t)page * c->page_bytes; }
uint64_t oxi_cache_head_bytes(oxi_cache_type type, int32_t key_dim, int32_t value_dim)
{
    return oxi_key_bytes(type, key_dim) + oxi_value_bytes(type, value_dim);
}
