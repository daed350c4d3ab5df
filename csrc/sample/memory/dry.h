/* DRY ("don't repeat yourself"): a token that would continue a repetition is penalised, the longer the repetition the
 * more. From p-e-w's definition (text-generation-webui, pull request 5677): a token that followed an earlier occurrence of
 * the last L tokens loses multiplier * base^(L - allowed) if L >= allowed. No repetition reaches across a token that
 * completes a sequence breaker, and such a token is not penalised. */
#ifndef OXI_DRY_H
#define OXI_DRY_H

#include "oxillama.h"

typedef struct oxi_dry {
    float multiplier, base;
    int32_t allowed, window; /* how many of the latest tokens are searched; -1: all */
    int32_t *tokens;         /* [n] the latest ones, at most twice the window */
    uint8_t *breaks;         /* [n] whether each completes a sequence breaker */
    int32_t *common;         /* [n] room for the search */
    size_t n, cap;
    int32_t *place;          /* [n_vocab] 1 + index into `ids`; 0: not penalised */
    int32_t *ids, *lengths;  /* [n_found] penalised tokens, and how long a repetition each would continue */
    size_t n_found;
} oxi_dry;

oxi_status oxi_dry_open(oxi_dry *dry, const oxi_sampler_params *params, oxi_error *err);
void oxi_dry_close(oxi_dry *dry);
/* breaks: the token completes a sequence breaker. */
oxi_status oxi_dry_add(oxi_dry *dry, int32_t token, bool breaks, oxi_error *err);
/* Fill `ids`, `lengths` and `place` for the next token. */
void oxi_dry_search(oxi_dry *dry);
/* What a token that would continue a repetition of this length loses; may be infinite. */
float oxi_dry_penalty(const oxi_dry *dry, int32_t length);

#endif
