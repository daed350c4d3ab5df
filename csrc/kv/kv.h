/* What sequences remember: a paged key/value cache, and recurrent states of fixed size.
 *
 * A page holds OXI_PAGE_TOKENS positions of one sequence for all layers, so one operation shares, copies or frees them all:
 *     page: [layer 0: keys [head], values [head]] [layer 1: …]
 * Keys are laid out so that the same dimension of 16 positions is one load, values so that one position's dimensions are
 * (page.h draws them). A sequence is a list of pages, and several sequences may hold the same page. Writing into a
 * shared page copies it first. Every call is all or nothing: a call that fails has changed nothing.
 *
 * The states of all layers are one block. A step reads a sequence's block and writes another one, which takes the first
 * one's place when the step commits. Blocks are never changed after that, so sharing one is enough to keep it. The states
 * from before the end are gone: a sequence that has states can be cut and shared only at its end and at 0.
 */
#ifndef OXI_KV_H
#define OXI_KV_H

#include "oxillama.h"

typedef struct oxi_cache_layer {
    int32_t n_head, key_dim, value_dim, value_pad;
    size_t keys, values;           /* where they start in a page */
    size_t key_bytes, value_bytes; /* of one head */
} oxi_cache_layer;

typedef struct oxi_cache oxi_cache;

typedef struct oxi_cache_config {
    oxi_cache_type type;
    int32_t n_pages, n_seqs, n_ctx;
    int32_t n_states;   /* blocks of states, at least 2; with state_bytes 0 there are none */
    size_t state_bytes; /* of a block */
} oxi_cache_config;

/* `layers`: n_head, key_dim and value_dim are inputs; the rest is filled in. */
oxi_status oxi_cache_open(oxi_cache **out, const oxi_cache_layer *layers, int32_t n_layers, const oxi_cache_config *config,
                          oxi_error *err);
void oxi_cache_close(oxi_cache **cache);

oxi_status oxi_cache_seq_open(oxi_cache *c, int32_t *seq, oxi_error *err);
oxi_status oxi_cache_seq_close(oxi_cache *c, int32_t seq, oxi_error *err);
oxi_status oxi_cache_seq_len(const oxi_cache *c, int32_t seq, int32_t *n_tokens, oxi_error *err);
oxi_status oxi_cache_seq_truncate(oxi_cache *c, int32_t seq, int32_t n_tokens, oxi_error *err);
oxi_status oxi_cache_seq_fork(oxi_cache *c, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err);
int32_t oxi_cache_seq_pages(const oxi_cache *c, int32_t seq, int32_t *pages, int32_t n);
/* Make room for counts[i] more tokens in each seqs[i] (all distinct): for all of them or for none. */
oxi_status oxi_cache_reserve(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err);
/* The same for a step, with blocks for the states after it. A commit or a rollback with the same sequences must follow. */
oxi_status oxi_cache_begin(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err);
/* Add the step's tokens to their sequences, once they have been written. */
void oxi_cache_commit(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n);
/* Undo a step's reservation whose tokens were not written. */
void oxi_cache_rollback(oxi_cache *c, const int32_t *seqs, int32_t n);

int32_t oxi_cache_free_pages(const oxi_cache *c);
uint64_t oxi_cache_bytes(const oxi_cache *c);
oxi_cache_type oxi_cache_type_of(const oxi_cache *c);
const oxi_cache_layer *oxi_cache_layer_of(const oxi_cache *c, int32_t layer);
const int32_t *oxi_cache_table(const oxi_cache *c, int32_t seq); /* page numbers, in order */
uint8_t *oxi_cache_page(const oxi_cache *c, int32_t page);
int32_t oxi_cache_free_states(const oxi_cache *c);
uint64_t oxi_cache_state_bytes(const oxi_cache *c);
/* The block of states at the sequence's end, zeros at first; and the block that the step under way writes. NULL without
 * states. */
const void *oxi_cache_state(const oxi_cache *c, int32_t seq);
void *oxi_cache_next_state(const oxi_cache *c, int32_t seq);

#endif
