/* Sequences: opened, closed, cut short and shared. */
#include "kv/cache.h"

#include <stdlib.h>
#include <string.h>

oxi_status oxi_cache_find(const oxi_cache *c, int32_t seq, oxi_sequence **out, oxi_error *err)
{
    if (seq < 0 || seq >= c->n_seqs || !c->seqs[seq].open)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "sequence %d is not open", seq);
    *out = &c->seqs[seq];
    return OXI_OK;
}

void oxi_set_state(oxi_cache *c, oxi_sequence *s, int32_t state)
{
    if (s->state != OXI_NO_STATE) oxi_page_drop(&c->states, s->state);
    s->state = state;
}

void oxi_drop_from(oxi_class *k, oxi_table *t, int32_t n)
{
    while (t->end > n && t->end > t->first) oxi_page_drop(&k->pages, t->pages[--t->end]);
}

void oxi_drop_before(oxi_class *k, oxi_table *t, int32_t n)
{
    for (; t->first < n && t->first < t->end; t->first++) {
        oxi_page_drop(&k->pages, t->pages[t->first]);
        t->pages[t->first] = OXI_BLANK;
    }
}

/* Drop all of its memory, for a position of 0. */
static void clear(oxi_cache *c, oxi_sequence *s)
{
    for (int32_t i = 0; i < c->n_classes; i++) {
        oxi_drop_from(&c->classes[i], &s->tables[i], 0);
        s->tables[i].first = s->tables[i].end = 0;
    }
    oxi_set_state(c, s, OXI_NO_STATE);
}

/* One block for all tables of a sequence and their pages. */
static bool get_tables(oxi_cache *c, oxi_sequence *s)
{
    const size_t n = (size_t)c->n_classes, pages = (size_t)c->max_pages;
    if (s->tables) return true;
    s->tables = calloc(1, n * sizeof *s->tables + n * pages * sizeof(int32_t));
    for (size_t i = 0; s->tables && i < n; i++) s->tables[i].pages = (int32_t *)(s->tables + n) + i * pages;
    return s->tables != NULL;
}

oxi_status oxi_cache_seq_open(oxi_cache *c, int32_t *seq, oxi_error *err)
{
    if (!c->n_free_seqs) return oxi_fail(err, OXI_ERR_KV_FULL, "all %d sequences are in use", c->n_seqs);
    const int32_t index = c->free_seqs[c->n_free_seqs - 1];
    oxi_sequence *s = &c->seqs[index];
    if (!get_tables(c, s)) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory for a sequence");
    c->n_free_seqs--;
    s->open = true;
    s->n_tokens = 0;
    *seq = index;
    return OXI_OK;
}

oxi_status oxi_cache_seq_close(oxi_cache *c, int32_t seq, oxi_error *err)
{
    oxi_sequence *s = NULL;
    const oxi_status status = oxi_cache_find(c, seq, &s, err);
    if (status != OXI_OK) return status;
    oxi_checkpoints_cut(c, s, 0);
    clear(c, s);
    s->open = false;
    c->free_seqs[c->n_free_seqs++] = seq;
    return OXI_OK;
}

oxi_status oxi_cache_seq_len(const oxi_cache *c, int32_t seq, int32_t *n_tokens, oxi_error *err)
{
    oxi_sequence *s = NULL;
    const oxi_status status = oxi_cache_find(c, seq, &s, err);
    if (status == OXI_OK) *n_tokens = s->n_tokens;
    return status;
}

bool oxi_seq_reaches(const oxi_cache *c, const oxi_sequence *s, int32_t n_tokens)
{
    if (!n_tokens) return true;
    if (c->states.n && n_tokens != s->n_tokens) return false;
    for (int32_t i = 0; i < c->n_classes; i++)
        if (s->tables[i].first > oxi_first_page(&c->classes[i], n_tokens)) return false;
    return true;
}

oxi_status oxi_cache_seq_reusable(const oxi_cache *c, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err)
{
    oxi_sequence *s = NULL;
    const oxi_status status = oxi_cache_find(c, seq, &s, err);
    if (status != OXI_OK) return status;
    if (n_tokens < 0) return oxi_fail(err, OXI_ERR_ARGUMENT, "sequence %d cannot be continued from %d tokens", seq, n_tokens);
    const int32_t most = n_tokens < s->n_tokens ? n_tokens : s->n_tokens;
    *out = oxi_seq_reaches(c, s, most) ? most : 0;
    for (int32_t i = 0; i < s->n_marks; i++) {
        const int32_t position = c->checkpoints[s->marks[i]].position;
        if (position <= most && position > *out) *out = position;
    }
    return OXI_OK;
}

/* Whether a sequence can be continued from n of its tokens. */
static oxi_status check_cut(const oxi_cache *c, int32_t seq, int32_t n_tokens, const char *what, oxi_error *err)
{
    const oxi_sequence *s = &c->seqs[seq];
    if (n_tokens < 0 || n_tokens > s->n_tokens)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "cannot %s %d tokens of sequence %d, which has %d", what, n_tokens, seq,
                        s->n_tokens);
    if (oxi_seq_reaches(c, s, n_tokens) || oxi_checkpoint_at(c, s, n_tokens)) return OXI_OK;
    int32_t best = 0;
    (void)oxi_cache_seq_reusable(c, seq, n_tokens, &best, err);
    return oxi_fail(err, OXI_ERR_ARGUMENT,
                    "cannot %s %d tokens of sequence %d: its windows or recurrent states at that position are gone; the"
                    " last position before it that is kept is %d", what, n_tokens, seq, best);
}

oxi_status oxi_cache_seq_truncate(oxi_cache *c, int32_t seq, int32_t n_tokens, oxi_error *err)
{
    oxi_sequence *s = NULL;
    oxi_status status = oxi_cache_find(c, seq, &s, err);
    if (status == OXI_OK) status = check_cut(c, seq, n_tokens, "keep", err);
    if (status != OXI_OK) return status;
    oxi_checkpoints_cut(c, s, n_tokens);
    if (!n_tokens) {
        clear(c, s);
    } else if (oxi_seq_reaches(c, s, n_tokens)) {
        for (int32_t i = 0; i < c->n_classes; i++) oxi_drop_from(&c->classes[i], &s->tables[i], oxi_pages_for(n_tokens));
    } else {
        oxi_drop_from(&c->classes[0], &s->tables[0], oxi_pages_for(n_tokens));
        oxi_checkpoint_restore(c, oxi_checkpoint_at(c, s, n_tokens), s);
    }
    s->n_tokens = n_tokens;
    return OXI_OK;
}

oxi_status oxi_cache_seq_fork(oxi_cache *c, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err)
{
    oxi_sequence *from = NULL;
    oxi_status status = oxi_cache_find(c, seq, &from, err);
    if (status == OXI_OK) status = check_cut(c, seq, n_tokens, "share", err);
    if (status == OXI_OK) status = oxi_cache_seq_open(c, out, err);
    if (status != OXI_OK || !n_tokens) return status;
    oxi_sequence *to = &c->seqs[*out];
    const bool reaches = oxi_seq_reaches(c, from, n_tokens);
    for (int32_t i = 0; i < c->n_classes; i++) {
        oxi_class *k = &c->classes[i];
        oxi_table *t = &to->tables[i];
        if (k->window && !reaches) continue;
        t->first = oxi_first_page(k, n_tokens);
        t->end = oxi_pages_for(n_tokens);
        for (int32_t p = 0; p < t->first; p++) t->pages[p] = OXI_BLANK;
        for (int32_t p = t->first; p < t->end; p++) t->pages[p] = oxi_page_share(&k->pages, from->tables[i].pages[p]);
    }
    if (!reaches) oxi_checkpoint_restore(c, oxi_checkpoint_at(c, from, n_tokens), to);
    else if (from->state != OXI_NO_STATE) to->state = oxi_page_share(&c->states, from->state);
    to->n_tokens = n_tokens;
    oxi_checkpoints_share(c, from, to, n_tokens);
    return OXI_OK;
}

int32_t oxi_cache_seq_pages(const oxi_cache *c, int32_t seq, int32_t *pages, int32_t n)
{
    if (seq < 0 || seq >= c->n_seqs || !c->seqs[seq].open) return 0;
    const oxi_table *t = &c->seqs[seq].tables[0];
    for (int32_t i = 0; i < t->end && i < n; i++) pages[i] = t->pages[i];
    return t->end;
}
