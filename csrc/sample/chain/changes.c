#include <math.h>
#include <string.h>

#include "sample/chain/steps.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* NaN counts as -inf, whatever its source: for example an infinite penalty on a logit of 0 or of the other infinity. */
static float or_least(float x) { return x == x ? x : -INFINITY; }

/* The logits in scratch, where they may be changed. */
static float *writable(oxi_left *l)
{
    float *x = l->scratch->x;
    if (l->row.x != x) memcpy(x, l->row.x, l->row.n * sizeof *x);
    l->row.x = x;
    memset(l->scratch->touched, 0, oxi_blocks(l->row.n));
    return x;
}

/* Look again at the blocks that were touched. */
static void changed(oxi_left *l)
{
    const size_t n = l->row.n;
    const float *x = l->row.x, *before = l->row.maxima;
    float *maxima = l->scratch->x_maxima;
    for (size_t b = 0; b < oxi_blocks(n); b++) {
        const size_t start = b * OXI_LOGIT_BLOCK;
        const int64_t count = (int64_t)(oxi_block_end(n, b) - start);
        if (l->scratch->touched[b]) l->vec->block_maxima(x + start, count, &maxima[b]);
        else maxima[b] = before[b];
    }
    l->row = oxi_row_of(x, n, maxima);
    l->sorted = false;
    oxi_left_change(l);
}

/* Copy the logits of allowed tokens, and put -inf in the places of the others. A grammar mostly allows nearly all tokens
 * or very few, so whole words of the mask are alike. A block without a token that is not allowed stays untouched. */
void oxi_apply_mask(oxi_left *l, const uint32_t *allowed)
{
    if (!allowed) return;
    const float *before = l->row.x;
    float *x = l->scratch->x;
    uint8_t *touched = l->scratch->touched;
    const size_t n = l->row.n;
    memset(touched, 0, oxi_blocks(n));
    for (size_t word = 0; word * 32 < n; word++) {
        const size_t start = word * 32, count = n - start < 32 ? n - start : 32;
        const uint32_t bits = allowed[word];
        if (bits == UINT32_MAX) {
            memcpy(x + start, before + start, count * sizeof *x);
            continue;
        }
        touched[start / OXI_LOGIT_BLOCK] = 1;
        if (!bits)
            for (size_t i = 0; i < count; i++) x[start + i] = -INFINITY;
        else
            for (size_t i = 0; i < count; i++) x[start + i] = bits >> i & 1 ? before[start + i] : -INFINITY;
    }
    l->row.x = x;
    changed(l);
}

static void penalise(const oxi_sampler *s, float *x, int32_t count)
{
    const oxi_sampler_params *p = &s->params;
    const float repeated = *x > 0 ? *x / p->repeat_penalty : *x * p->repeat_penalty;
    *x = or_least(repeated - ((float)count * p->frequency_penalty + p->presence_penalty));
}

void oxi_apply_penalties(oxi_left *l, const oxi_sampler *s)
{
    const oxi_history *h = &s->history;
    if (!h->n) return;
    float *x = writable(l);
    uint8_t *touched = l->scratch->touched;
    if (!l->ids) {
        for (size_t i = 0; i < h->n; i++) {
            penalise(s, &x[h->ids[i]], h->counts[i]);
            touched[h->ids[i] / OXI_LOGIT_BLOCK] = 1;
        }
    } else {
        for (size_t i = 0; i < l->row.n; i++) {
            const int32_t place = h->place[l->ids[i]];
            if (!place) continue;
            penalise(s, &x[i], h->counts[place - 1]);
            touched[i / OXI_LOGIT_BLOCK] = 1;
        }
    }
    changed(l);
}

void oxi_apply_dry(oxi_left *l, oxi_sampler *s)
{
    oxi_dry *d = &s->dry;
    if (!d->place) return;
    oxi_dry_search(d);
    if (!d->n_found) return;
    float *x = writable(l);
    uint8_t *touched = l->scratch->touched;
    if (!l->ids) {
        for (size_t i = 0; i < d->n_found; i++) {
            const int32_t id = d->ids[i];
            x[id] = or_least(x[id] - oxi_dry_penalty(d, d->lengths[i]));
            touched[id / OXI_LOGIT_BLOCK] = 1;
        }
    } else {
        for (size_t i = 0; i < l->row.n; i++) {
            const int32_t place = d->place[l->ids[i]];
            if (!place) continue;
            x[i] = or_least(x[i] - oxi_dry_penalty(d, d->lengths[place - 1]));
            touched[i / OXI_LOGIT_BLOCK] = 1;
        }
    }
    changed(l);
}

void oxi_apply_bias(oxi_left *l, const oxi_sampler *s, const int32_t *banned, size_t n_banned)
{
    if (!s->n_bias && !n_banned) return;
    float *x = writable(l);
    uint8_t *touched = l->scratch->touched;
    for (size_t i = 0; i < s->n_bias; i++) {
        x[s->bias_ids[i]] = or_least(x[s->bias_ids[i]] + s->bias[i]);
        touched[s->bias_ids[i] / OXI_LOGIT_BLOCK] = 1;
    }
    for (size_t i = 0; i < n_banned; i++) {
        x[banned[i]] = -INFINITY;
        touched[banned[i] / OXI_LOGIT_BLOCK] = 1;
    }
    changed(l);
}
