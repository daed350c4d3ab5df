/* Room for new tokens: reserved before a step, then committed or given back. */
#include "kv/cache.h"

#include <string.h>

/* The page that the next token goes into, if it already holds earlier tokens; else -1. */
static int32_t tail(const oxi_sequence *s, const oxi_table *t)
{
    return s->n_tokens % OXI_PAGE_TOKENS ? t->pages[s->n_tokens / OXI_PAGE_TOKENS] : -1;
}

/* Number of pages a reservation takes in a class, and which sequences must copy their tail. If two sequences share a tail,
 * only the first needs a copy: each planned copy is taken off the page's count while counting, and put back afterwards. */
static int64_t plan(oxi_cache *c, int32_t kind, const int32_t *seqs, const int32_t *counts, int32_t n)
{
    int32_t *references = c->classes[kind].pages.references;
    int64_t needed = 0;
    for (int32_t i = 0; i < n; i++) {
        const oxi_sequence *s = &c->seqs[seqs[i]];
        oxi_table *t = &s->tables[kind];
        const int32_t more = oxi_pages_for(s->n_tokens + counts[i]) - t->end, page = tail(s, t);
        if (more > 0) needed += more;
        t->copies_tail = page >= 0 && counts[i] > 0 && references[page] > 1;
        if (t->copies_tail) {
            needed++;
            references[page]--;
        }
    }
    for (int32_t i = 0; i < n; i++) {
        const oxi_sequence *s = &c->seqs[seqs[i]];
        if (s->tables[kind].copies_tail) references[tail(s, &s->tables[kind])]++;
    }
    return needed;
}

static void copy_tail(oxi_pages *pages, int32_t *page)
{
    const int32_t copy = oxi_page_take(pages);
    memcpy(oxi_page_at(pages, copy), oxi_page_at(pages, *page), pages->page_bytes);
    oxi_page_drop(pages, *page);
    *page = copy;
}

static void extend(oxi_cache *c, int32_t kind, const int32_t *seqs, const int32_t *counts, int32_t n)
{
    oxi_pages *pages = &c->classes[kind].pages;
    for (int32_t i = 0; i < n; i++) {
        const oxi_sequence *s = &c->seqs[seqs[i]];
        oxi_table *t = &s->tables[kind];
        if (t->copies_tail) copy_tail(pages, &t->pages[s->n_tokens / OXI_PAGE_TOKENS]);
        while (t->end < oxi_pages_for(s->n_tokens + counts[i])) t->pages[t->end++] = oxi_page_take(pages);
    }
}

/* Whether class `kind` has the pages. `err` says what is missing. */
static bool has_room(oxi_cache *c, int32_t kind, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err)
{
    const oxi_class *k = &c->classes[kind];
    const int64_t needed = plan(c, kind, seqs, counts, n);
    if (needed <= k->pages.n_free) return true;
    if (!k->window)
        (void)oxi_fail(err, OXI_ERR_KV_FULL, "the key/value cache is full: %lld pages of %d tokens needed, %d free",
                       (long long)needed, OXI_PAGE_TOKENS, k->pages.n_free);
    else
        (void)oxi_fail(err, OXI_ERR_KV_FULL, "the key/value cache for windows of %d tokens is full: %lld pages of %d tokens needed, %d free",
                       k->window, (long long)needed, OXI_PAGE_TOKENS, k->pages.n_free);
    return false;
}

static bool has_states(const oxi_cache *c, int32_t n, oxi_error *err)
{
    if (!c->states.n || n <= c->states.n_free) return true;
    (void)oxi_fail(err, OXI_ERR_KV_FULL, "the memory of recurrent states is full: %d needed, %d free", n, c->states.n_free);
    return false;
}

static oxi_status check(const oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err)
{
    for (int32_t i = 0; i < n; i++) {
        oxi_sequence *s = NULL;
        const oxi_status status = oxi_cache_find(c, seqs[i], &s, err);
        if (status != OXI_OK) return status;
        if (counts[i] < 0 || counts[i] > c->n_ctx - s->n_tokens)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "sequence %d has %d tokens: %d more do not fit the context of %d",
                            seqs[i], s->n_tokens, counts[i], c->n_ctx);
    }
    return OXI_OK;
}

oxi_status oxi_cache_reserve(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err)
{
    const oxi_status status = check(c, seqs, counts, n, err);
    if (status != OXI_OK) return status;
    if (!has_room(c, 0, seqs, counts, n, err)) return OXI_ERR_KV_FULL;
    extend(c, 0, seqs, counts, n);
    return OXI_OK;
}

oxi_status oxi_cache_begin(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err)
{
    const oxi_status status = check(c, seqs, counts, n, err);
    if (status != OXI_OK) return status;
    if (!has_room(c, 0, seqs, counts, n, err)) return OXI_ERR_KV_FULL;
    /* Checkpoints hold pages of windows and states. Without one, a page that it shared needs no copy, so all is counted
     * again. */
    while (!has_states(c, n, err))
        if (!oxi_checkpoints_evict(c)) return OXI_ERR_KV_FULL;
    for (int32_t kind = 1; kind < c->n_classes; kind++)
        while (!has_room(c, kind, seqs, counts, n, err))
            if (!oxi_checkpoints_evict(c)) return OXI_ERR_KV_FULL;
    for (int32_t kind = 1; kind < c->n_classes; kind++) (void)plan(c, kind, seqs, counts, n);
    for (int32_t kind = 0; kind < c->n_classes; kind++) {
        for (int32_t i = 0; i < n; i++) c->seqs[seqs[i]].tables[kind].end_before = c->seqs[seqs[i]].tables[kind].end;
        extend(c, kind, seqs, counts, n);
    }
    for (int32_t i = 0; c->states.n && i < n; i++) c->seqs[seqs[i]].next_state = oxi_page_take(&c->states);
    return OXI_OK;
}

void oxi_cache_commit(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        oxi_sequence *s = &c->seqs[seqs[i]];
        s->n_tokens += counts[i];
        for (int32_t kind = 1; kind < c->n_classes; kind++)
            oxi_drop_before(&c->classes[kind], &s->tables[kind], oxi_first_page(&c->classes[kind], s->n_tokens));
        if (c->states.n) oxi_set_state(c, s, s->next_state);
    }
}

void oxi_cache_rollback(oxi_cache *c, const int32_t *seqs, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        oxi_sequence *s = &c->seqs[seqs[i]];
        for (int32_t kind = 0; kind < c->n_classes; kind++)
            oxi_drop_from(&c->classes[kind], &s->tables[kind], s->tables[kind].end_before);
        if (c->states.n) oxi_page_drop(&c->states, s->next_state);
    }
}
