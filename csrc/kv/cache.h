/* The cache from inside, for the files of this folder. */
#ifndef OXI_CACHE_H
#define OXI_CACHE_H

#include "kv/kv.h"
#include "kv/pages.h"

#define OXI_NO_STATE 0 /* the block that stays zero: the states of a sequence without tokens */
#define OXI_BLANK 0    /* in classes with a window, the page that stays zero: it stands for those that were freed */
#define OXI_MOST_MARKS 16 /* checkpoints of one sequence */

/* A sequence's pages in one class: [first, end) are held, those before are OXI_BLANK. */
typedef struct oxi_table {
    int32_t first, end;
    int32_t end_before; /* of the step under way */
    bool copies_tail;   /* scratch of one reservation */
    int32_t *pages;     /* [max_pages] */
} oxi_table;

typedef struct oxi_sequence {
    bool open;
    int32_t n_tokens, state, next_state;
    oxi_table *tables; /* [n_classes] */
    int32_t n_marks, marks[OXI_MOST_MARKS]; /* checkpoints, by position */
} oxi_sequence;

typedef struct oxi_class {
    int32_t window;      /* 0: none */
    int32_t most_pinned; /* pages that a checkpoint holds */
    size_t place;        /* of these in a checkpoint's pages */
    oxi_pages pages;
} oxi_class;

/* What continuing from a position takes, beside the pages of class 0. */
typedef struct oxi_checkpoint {
    int32_t holders; /* sequences; 0: free */
    int32_t position, state;
    uint64_t used;  /* when it last was */
    int32_t *pages; /* [cache->n_places], from each class's place on */
} oxi_checkpoint;

struct oxi_cache {
    oxi_cache_type type;
    int32_t n_layers, n_classes, n_seqs, n_ctx, max_pages, n_checkpoints;
    oxi_cache_layer *layers;
    oxi_class *classes;
    oxi_pages states; /* without states it has no pages */
    oxi_sequence *seqs;
    int32_t *free_seqs; /* a stack */
    int32_t n_free_seqs;
    oxi_checkpoint *checkpoints;
    size_t n_places;
    int32_t *places; /* all checkpoints' pages */
    uint64_t clock;
};

/* Avoids a sum that INT32_MAX tokens would overflow. */
static inline int32_t oxi_pages_for(int32_t n_tokens) { return n_tokens / OXI_PAGE_TOKENS + (n_tokens % OXI_PAGE_TOKENS > 0); }

/* The first page that a token at `position` sees in a class. */
static inline int32_t oxi_first_page(const oxi_class *k, int32_t position)
{
    return k->window && position >= k->window ? (position - k->window + 1) / OXI_PAGE_TOKENS : 0;
}

/* Most pages that a sequence holds at rest in a class with a window: those of window - 1 positions, and of one more. */
static inline int32_t oxi_window_span(int32_t window) { return (int32_t)(((int64_t)window + OXI_PAGE_TOKENS - 2) / OXI_PAGE_TOKENS + 1); }

oxi_status oxi_cache_find(const oxi_cache *c, int32_t seq, oxi_sequence **out, oxi_error *err);

/* sequence.c */
void oxi_set_state(oxi_cache *c, oxi_sequence *s, int32_t state);
/* Drop pages from number n on, and those before number n. */
void oxi_drop_from(oxi_class *k, oxi_table *t, int32_t n);
void oxi_drop_before(oxi_class *k, oxi_table *t, int32_t n);
/* Whether the sequence itself still has what continuing from n_tokens of its tokens takes. */
bool oxi_seq_reaches(const oxi_cache *c, const oxi_sequence *s, int32_t n_tokens);

/* checkpoint.c */
/* The sequence's checkpoint at a position; NULL: there is none. */
oxi_checkpoint *oxi_checkpoint_at(const oxi_cache *c, const oxi_sequence *s, int32_t position);
/* Hold the checkpoints of another sequence up to a position. */
void oxi_checkpoints_share(oxi_cache *c, const oxi_sequence *from, oxi_sequence *to, int32_t position);
/* Let go of those after a position. */
void oxi_checkpoints_cut(oxi_cache *c, oxi_sequence *s, int32_t position);
/* Drop the least recently used checkpoint from all sequences. False if there is none. */
bool oxi_checkpoints_evict(oxi_cache *c);
/* Give an empty sequence a checkpoint's windows and states. */
void oxi_checkpoint_restore(oxi_cache *c, oxi_checkpoint *p, oxi_sequence *s);

#endif
