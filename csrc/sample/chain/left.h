/* The tokens that are left while a sampler chain runs: all at first, fewer after each filter. */
#ifndef OXI_LEFT_H
#define OXI_LEFT_H

#include "sample/select.h"

/* What one thread writes while it works on a row of n logits. */
typedef struct oxi_sample_scratch {
    float *x;                  /* [n] logits that differ from the row's, or fewer of them */
    int32_t *ids;              /* [n] */
    float *weights;            /* [n] */
    float *keys;               /* [n] */
    oxi_candidate *candidates; /* [n] */
    float *row_maxima;         /* [blocks] of the logits as given */
    float *x_maxima;           /* [blocks] of those that are left */
    float *weight_maxima;      /* [blocks] of `weights` */
    float *key_maxima;         /* [blocks] of `keys` */
    uint8_t *touched;          /* [blocks] */
} oxi_sample_scratch;

/* Tokens by position. Positions are in the order of ids, or best first after a top-k. Every filter keeps some of them in
 * their order. Ties between equal values go to the lower position. */
typedef struct oxi_left {
    const oxi_vec *vec;
    oxi_sample_scratch *scratch;
    oxi_row row;        /* their logits; the maximum is above -inf */
    const int32_t *ids; /* [row.n]; NULL: all are left, and a position is an id */
    bool sorted;        /* best first */
    bool certain;       /* temperature 0: the best is alone, and no random number is needed */
    float temperature;
    bool weighed;       /* scratch->weights are theirs: exp((logit - max) / temperature) */
    double total;       /* of the weights; every sum has one order */
} oxi_left;

oxi_left oxi_left_of(const oxi_vec *vec, const oxi_row *row, oxi_sample_scratch *scratch);
static inline int32_t oxi_left_id(const oxi_left *l, size_t at) { return l->ids ? l->ids[at] : (int32_t)at; }
/* Compute the weights, unless they are known. */
void oxi_left_weigh(oxi_left *l);
/* Forget the weights: logits or the temperature have changed. */
static inline void oxi_left_change(oxi_left *l) { l->weighed = false; }
/* The entropy in nats. */
double oxi_left_entropy(oxi_left *l);

/* Keep the tokens whose weight is above 0 and not worse than the cut, a weight and a position. */
void oxi_left_keep_weights(oxi_left *l, oxi_candidate cut);
/* Keep the tokens whose logit is at least `least`, which is not above the maximum. */
void oxi_left_keep_logits(oxi_left *l, float least);
/* Keep the tokens whose key is at least `least`; scratch->keys hold keys from 0 to 1. */
void oxi_left_keep_keys(oxi_left *l, float least);
/* Keep the k best, 1 <= k < row.n; best first from now on. */
void oxi_left_keep_top(oxi_left *l, size_t k);
/* Drop the tokens that are better than this one, a weight and a position. */
void oxi_left_drop_better(oxi_left *l, oxi_candidate than);

/* The worst of the fewest tokens, best key first, whose weights add up to `wanted`. Keys are from 0 to 1, with the maxima of
 * their blocks. */
oxi_candidate oxi_left_mass_cut(const oxi_left *l, const float *keys, const float *key_maxima, double wanted);
/* The position of a token drawn by weight; `uniform` is in [0, 1). */
size_t oxi_left_draw(oxi_left *l, double uniform);

#endif
