#include "sample/memory/dry.h"

#include <stdlib.h>
#include <string.h>

oxi_status oxi_dry_open(oxi_dry *d, const oxi_sampler_params *params, oxi_error *err)
{
    *d = (oxi_dry){.multiplier = params->dry_multiplier, .base = params->dry_base, .allowed = params->dry_allowed_length,
                   .window = params->dry_penalty_last_n};
    d->place = calloc((size_t)params->n_vocab, sizeof *d->place);
    return d->place ? OXI_OK : oxi_fail(err, OXI_ERR_NOMEM, "sampler: out of memory for DRY");
}

void oxi_dry_close(oxi_dry *d)
{
    free(d->tokens);
    free(d->breaks);
    free(d->common);
    free(d->place);
    free(d->ids);
    free(d->lengths);
    *d = (oxi_dry){0};
}

static bool resize(int32_t **items, size_t n)
{
    int32_t *larger = realloc(*items, n * sizeof **items);
    if (larger) *items = larger;
    return larger != NULL;
}

/* Room for one more token. What has grown when memory runs out is not lost: only `cap` says how much is used. */
static bool grow(oxi_dry *d)
{
    if (d->n < d->cap) return true;
    const size_t wanted = d->cap ? 2 * d->cap : 64;
    uint8_t *breaks = realloc(d->breaks, wanted);
    if (!breaks) return false;
    d->breaks = breaks;
    if (!resize(&d->tokens, wanted) || !resize(&d->common, wanted) || !resize(&d->ids, wanted) ||
        !resize(&d->lengths, wanted))
        return false;
    d->cap = wanted;
    return true;
}

oxi_status oxi_dry_add(oxi_dry *d, int32_t token, bool breaks, oxi_error *err)
{
    if (d->window > 0 && d->n >= 2 * (size_t)d->window) { /* keep those that are searched, so that a move is rare */
        const size_t kept = (size_t)d->window, first = d->n - kept;
        memmove(d->tokens, d->tokens + first, kept * sizeof *d->tokens);
        memmove(d->breaks, d->breaks + first, kept);
        d->n = kept;
    }
    if (!grow(d)) return oxi_fail(err, OXI_ERR_NOMEM, "sampler: out of memory for DRY");
    d->tokens[d->n] = token;
    d->breaks[d->n++] = breaks;
    return OXI_OK;
}

/* common[i] = how many tokens up to the i-th last one equal those up to the last one, for 1 <= i < n: the Z function of
 * the reversed tokens, in O(n). [left, right) is the match that reaches furthest, so what lies inside is known already. */
static void compare(const int32_t *last, size_t n, int32_t *common)
{
    size_t left = 0, right = 0;
    for (size_t i = 1; i < n; i++) {
        size_t length = 0;
        if (i < right) {
            length = (size_t)common[i - left];
            if (length > right - i) length = right - i;
        }
        while (i + length < n && *(last - length) == *(last - i - length)) length++;
        common[i] = (int32_t)length;
        if (i + length > right) {
            left = i;
            right = i + length;
        }
    }
}

void oxi_dry_search(oxi_dry *d)
{
    for (size_t i = 0; i < d->n_found; i++) d->place[d->ids[i]] = 0;
    d->n_found = 0;
    const size_t n = d->window >= 0 && d->n > (size_t)d->window ? (size_t)d->window : d->n;
    if (n < 2) return;
    const size_t end = d->n - 1; /* of the last token */
    size_t unbroken = 0;
    while (unbroken < n && !d->breaks[end - unbroken]) unbroken++;
    if (unbroken < (size_t)d->allowed) return;
    compare(d->tokens + end, n, d->common);
    for (size_t i = 1; i < n; i++) {
        const int32_t length = (size_t)d->common[i] < unbroken ? d->common[i] : (int32_t)unbroken;
        if (length < d->allowed || d->breaks[end - i + 1]) continue;
        const int32_t next = d->tokens[end - i + 1];
        if (!d->place[next]) {
            d->ids[d->n_found] = next;
            d->lengths[d->n_found] = length;
            d->place[next] = (int32_t)++d->n_found;
        } else if (d->lengths[d->place[next] - 1] < length) {
            d->lengths[d->place[next] - 1] = length;
        }
    }
}

float oxi_dry_penalty(const oxi_dry *d, int32_t length)
{
    double result = d->multiplier, factor = d->base;
    for (int32_t exponent = length - d->allowed; exponent > 0; exponent /= 2) { /* by squaring: lengths reach thousands */
        if (exponent % 2) result *= factor;
        factor *= factor;
    }
    return (float)result;
}
