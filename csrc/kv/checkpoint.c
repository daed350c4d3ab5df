/* Checkpoints: what continuing a sequence from a position takes, after the sequence has gone on. */
#include "kv/cache.h"

#include <string.h>

static void release(oxi_cache *c, oxi_checkpoint *p)
{
    if (--p->holders) return;
    if (p->state != OXI_NO_STATE) oxi_page_drop(&c->states, p->state);
    for (int32_t i = 1; i < c->n_classes; i++) {
        oxi_class *k = &c->classes[i];
        const int32_t n = oxi_pages_for(p->position) - oxi_first_page(k, p->position);
        for (int32_t j = 0; j < n; j++) oxi_page_drop(&k->pages, p->pages[k->place + (size_t)j]);
    }
}

/* Let a sequence's mark number i go. */
static void unmark(oxi_cache *c, oxi_sequence *s, int32_t i)
{
    release(c, &c->checkpoints[s->marks[i]]);
    s->n_marks--;
    memmove(s->marks + i, s->marks + i + 1, (size_t)(s->n_marks - i) * sizeof *s->marks);
}

oxi_checkpoint *oxi_checkpoint_at(const oxi_cache *c, const oxi_sequence *s, int32_t position)
{
    for (int32_t i = 0; i < s->n_marks; i++)
        if (c->checkpoints[s->marks[i]].position == position) return &c->checkpoints[s->marks[i]];
    return NULL;
}

void oxi_checkpoints_share(oxi_cache *c, const oxi_sequence *from, oxi_sequence *to, int32_t position)
{
    for (int32_t i = 0; i < from->n_marks && c->checkpoints[from->marks[i]].position <= position; i++) {
        to->marks[to->n_marks++] = from->marks[i];
        c->checkpoints[from->marks[i]].holders++;
    }
}

void oxi_checkpoints_cut(oxi_cache *c, oxi_sequence *s, int32_t position)
{
    while (s->n_marks && c->checkpoints[s->marks[s->n_marks - 1]].position > position) unmark(c, s, s->n_marks - 1);
}

bool oxi_checkpoints_evict(oxi_cache *c)
{
    int32_t oldest = -1;
    for (int32_t i = 0; i < c->n_checkpoints; i++)
        if (c->checkpoints[i].holders && (oldest < 0 || c->checkpoints[i].used < c->checkpoints[oldest].used)) oldest = i;
    if (oldest < 0) return false;
    for (int32_t i = 0; i < c->n_seqs; i++)
        for (int32_t j = c->seqs[i].n_marks - 1; j >= 0; j--)
            if (c->seqs[i].marks[j] == oldest) unmark(c, &c->seqs[i], j);
    return true;
}

void oxi_checkpoint_restore(oxi_cache *c, oxi_checkpoint *p, oxi_sequence *s)
{
    p->used = ++c->clock;
    for (int32_t i = 1; i < c->n_classes; i++) {
        oxi_class *k = &c->classes[i];
        oxi_table *t = &s->tables[i];
        oxi_drop_from(k, t, t->first);
        t->first = oxi_first_page(k, p->position);
        t->end = oxi_pages_for(p->position);
        for (int32_t j = 0; j < t->first; j++) t->pages[j] = OXI_BLANK;
        for (int32_t j = t->first; j < t->end; j++) t->pages[j] = oxi_page_share(&k->pages, p->pages[k->place + (size_t)(j - t->first)]);
    }
    oxi_set_state(c, s, p->state == OXI_NO_STATE ? OXI_NO_STATE : oxi_page_share(&c->states, p->state));
}

/* A free checkpoint; NULL if the cache has none at all. */
static oxi_checkpoint *take(oxi_cache *c)
{
    do {
        for (int32_t i = 0; i < c->n_checkpoints; i++)
            if (!c->checkpoints[i].holders) return &c->checkpoints[i];
    } while (oxi_checkpoints_evict(c));
    return NULL;
}

/* Make room for one more mark of a sequence: drop the one between the closest neighbours, so that the others stay spread
 * over the whole sequence. The first stays, because it ends what most sequences share. */
static void thin(oxi_cache *c, oxi_sequence *s)
{
    int32_t least = -1, at = 1;
    for (int32_t i = 1; i < s->n_marks; i++) {
        const int32_t next = i + 1 < s->n_marks ? c->checkpoints[s->marks[i + 1]].position : s->n_tokens;
        const int32_t gap = next - c->checkpoints[s->marks[i - 1]].position;
        if (least >= 0 && gap >= least) continue;
        least = gap;
        at = i;
    }
    unmark(c, s, at);
}

oxi_status oxi_cache_seq_checkpoint(oxi_cache *c, int32_t seq, int32_t *kept, oxi_error *err)
{
    oxi_sequence *s = NULL;
    *kept = 1;
    const oxi_status status = oxi_cache_find(c, seq, &s, err);
    if (status != OXI_OK || !s->n_tokens || (c->n_classes == 1 && !c->states.n)) return status;
    oxi_checkpoint *p = oxi_checkpoint_at(c, s, s->n_tokens);
    if (p) {
        p->used = ++c->clock;
        return OXI_OK;
    }
    if (s->n_marks == OXI_MOST_MARKS) thin(c, s);
    p = take(c);
    *kept = p != NULL;
    if (!p) return OXI_OK;
    p->holders = 1;
    p->position = s->n_tokens;
    p->used = ++c->clock;
    p->state = s->state == OXI_NO_STATE ? OXI_NO_STATE : oxi_page_share(&c->states, s->state);
    for (int32_t i = 1; i < c->n_classes; i++) {
        oxi_class *k = &c->classes[i];
        const oxi_table *t = &s->tables[i];
        const int32_t first = oxi_first_page(k, p->position), end = oxi_pages_for(p->position);
        for (int32_t j = first; j < end; j++) p->pages[k->place + (size_t)(j - first)] = oxi_page_share(&k->pages, t->pages[j]);
    }
    s->marks[s->n_marks++] = (int32_t)(p - c->checkpoints);
    return OXI_OK;
}
