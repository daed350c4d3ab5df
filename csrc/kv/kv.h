/* What sequences remember: a paged key/value cache, and recurrent states of fixed size.
 *
 * A page holds OXI_PAGE_TOKENS positions of one sequence for all cache layers of a class, so one operation shares, copies or
 * frees them all:
 *     page: [layer 0: keys [head], values [head]] [layer 1: …]
 * Keys are laid out so that the same dimension of 16 positions is one load, values so that one position's dimensions are
 * (page.h draws them). A sequence has a list of pages in each class, and several sequences may hold the same page. Writing
 * into a shared page copies it first. Every call is all or nothing: a call that fails has changed nothing, except that it
 * may have dropped checkpoints.
 *
 * Classes. Layers without a window are in class 0, which keeps all tokens. Layers with a window form a class with those of
 * the same window. There a page is given back when a step has committed and no later token can see it.
 *
 * States. The states of all layers are one block. A step reads a sequence's block and writes another one, which takes the
 * first one's place when the step commits. Blocks are never changed after that, so sharing one is enough to keep it.
 *
 * So a sequence with windows or states can be continued from its end and from 0, but not from every position between. A
 * checkpoint keeps what continuing from its position takes: the block of states, and the pages that windows see from there.
 * Forks of the sequence hold the same checkpoint. The least recently used one is dropped when its memory is needed.
 */
#ifndef OXI_KV_H
#define OXI_KV_H

#include "oxillama.h"

typedef struct oxi_cache_layer {
    int32_t n_head, key_dim, value_dim, window; /* window: most tokens a query sees, its own included; 0: all */
    bool shared;                                /* values are the first value_dim dimensions of the key */
    int32_t value_pad, kind;                    /* kind: its class */
    size_t keys, values;                        /* where they start in a page */
    size_t key_bytes, value_bytes;              /* of one head */
} oxi_cache_layer;

typedef struct oxi_cache oxi_cache;

typedef struct oxi_cache_config {
    oxi_cache_type type;
    int32_t n_pages; /* of class 0 */
    int32_t n_seqs, n_ctx, n_batch;
    int32_t n_active; /* most sequences in use */
    int32_t n_saved;  /* windows and blocks of states for other sequences and for checkpoints; most checkpoints */
    size_t state_bytes; /* of a block; 0: no states */
} oxi_cache_config;

/* `layers`: n_head, key_dim, value_dim, window and shared are inputs; the rest is filled in. */
oxi_status oxi_cache_open(oxi_cache **out, const oxi_cache_layer *layers, int32_t n_layers, const oxi_cache_config *config,
                          oxi_error *err);
void oxi_cache_close(oxi_cache **cache);

oxi_status oxi_cache_seq_open(oxi_cache *c, int32_t *seq, oxi_error *err);
oxi_status oxi_cache_seq_close(oxi_cache *c, int32_t seq, oxi_error *err);
oxi_status oxi_cache_seq_len(const oxi_cache *c, int32_t seq, int32_t *n_tokens, oxi_error *err);
oxi_status oxi_cache_seq_truncate(oxi_cache *c, int32_t seq, int32_t n_tokens, oxi_error *err);
oxi_status oxi_cache_seq_fork(oxi_cache *c, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err);
/* The largest number of tokens, at most n_tokens, that the sequence can be cut to or shared up to. */
oxi_status oxi_cache_seq_reusable(const oxi_cache *c, int32_t seq, int32_t n_tokens, int32_t *out, oxi_error *err);
/* Keep what continuing from the sequence's end takes. *kept is 0 if there is no memory for that. */
oxi_status oxi_cache_seq_checkpoint(oxi_cache *c, int32_t seq, int32_t *kept, oxi_error *err);
/* Pages of class 0. */
int32_t oxi_cache_seq_pages(const oxi_cache *c, int32_t seq, int32_t *pages, int32_t n);
/* Make room in class 0 for counts[i] more tokens in each seqs[i] (all distinct): for all of them or for none. */
oxi_status oxi_cache_reserve(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err);
/* Make room in all classes for a step, with blocks for the states after it. A commit or a rollback with the same sequences
 * must follow. */
oxi_status oxi_cache_begin(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n, oxi_error *err);
/* Add the step's tokens to their sequences, once they have been written, and free what no later token can see. */
void oxi_cache_commit(oxi_cache *c, const int32_t *seqs, const int32_t *counts, int32_t n);
/* Undo a step's reservation whose tokens were not written. */
void oxi_cache_rollback(oxi_cache *c, const int32_t *seqs, int32_t n);

/* Of class `kind`; false: there is no such class. */
bool oxi_cache_class(const oxi_cache *c, int32_t kind, oxi_class_info *info);
int32_t oxi_cache_free_pages(const oxi_cache *c); /* of class 0 */
uint64_t oxi_cache_bytes(const oxi_cache *c);
oxi_cache_type oxi_cache_type_of(const oxi_cache *c);
const oxi_cache_layer *oxi_cache_layer_of(const oxi_cache *c, int32_t layer);
/* A sequence's page numbers in a class, in order. Pages that were freed have the number of a page of zeros. */
const int32_t *oxi_cache_table(const oxi_cache *c, int32_t seq, int32_t kind);
uint8_t *oxi_cache_page(const oxi_cache *c, int32_t kind, int32_t page);
int32_t oxi_cache_free_states(const oxi_cache *c);
uint64_t oxi_cache_state_bytes(const oxi_cache *c);
/* The block of states at the sequence's end, zeros at first; and the block that the step under way writes. NULL without
 * states. */
const void *oxi_cache_state(const oxi_cache *c, int32_t seq);
void *oxi_cache_next_state(const oxi_cache *c, int32_t seq);

#endif
