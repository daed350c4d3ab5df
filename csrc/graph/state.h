/* A runner's memory and the step that is under way. */
#ifndef OXI_STATE_H
#define OXI_STATE_H

#include "graph/program.h"
#include "kernels/vec/vec.h"
#include "kv/kv.h"
#include "platform/memory.h"

#include <stdatomic.h>

#define OXI_HEAD_ROWS 64 /* most rows of one task of a product for every head */
/* One-token runs whose attention is cut by blocks of keys: at least so many. Where threads are many, there are as many as
 * have too few heads for them, as long as their partial results fit OXI_SPLIT_BYTES. */
#define OXI_SPLIT_RUNS 8
#define OXI_SPLIT_BYTES ((size_t)64 << 20)
#define OXI_SPLIT_TASKS 8 /* for each thread: attention with more of them is not cut */

/* Tokens [first, first + count) of the batch continue one sequence. `state` holds its recurrent states before the step,
 * `next_state` those after it. */
typedef struct oxi_run {
    int32_t first, count, position, seq;
    const float *state;
    float *next_state;
} oxi_run;

/* Up to this many rows of a step, only reading the weights counts: tasks are small, and threads quantise experts' rows for
 * themselves. */
#define OXI_FEW_ROWS 8
#define OXI_EXPERT_PANELS 8   /* whose columns one thread adds up over a row's experts */
#define OXI_EXPERT_PRODUCTS 3 /* with gate, up and down */

/* The rows that chose one expert: count of them from the first on, in sorted order. */
typedef struct oxi_expert_group {
    int32_t expert, first, count;
    int64_t load;                     /* work in the groups before, for each panel */
    int64_t act[OXI_EXPERT_PRODUCTS]; /* where the rows lie among all quantised rows */
} oxi_expert_group;

/* A batch's rows, once for each expert that a token uses, sorted by expert. */
typedef struct oxi_expert_order {
    int32_t *chosen;          /* [rows][n_used] expert */
    float *weights;           /* [rows][n_used] */
    int32_t *place;           /* [rows][n_used] where in the sorted order */
    int32_t *source;          /* [rows * n_used] row of the batch, sorted order */
    int32_t *start;           /* [n_expert + 1] scratch of sorting */
    oxi_expert_group *groups; /* [n_groups + 1], by expert; the last holds the sums */
    int32_t n_groups;
} oxi_expert_order;

/* One thread's own memory. */
typedef struct oxi_thread_scratch {
    _Alignas(OXI_ALIGN) float *row;         /* the widest row an op computes: inputs of products, codes, gates */
    void *activations;  /* quantised: one row of the widest kind, OXI_HEAD_ROWS of a head, or few of an expert */
    void *matmul;       /* OXI_MATMUL_SCRATCH */
    void *attend;       /* oxi_attend_scratch of the largest cache layer */
    float *queries;     /* [OXI_ATTEND_ROWS][largest key_dim] */
    const uint8_t **keys, **values; /* [pages of a whole context] */
    uint8_t *made;      /* [OXI_SHARED_PAGES][oxi_shared_bytes] of the largest layer whose values are its keys; else 1 byte */
    oxi_expert_order order; /* of one row */
} oxi_thread_scratch;

/* Memory of the mixture-of-experts op. */
typedef struct oxi_expert_scratch {
    oxi_expert_order order;
    float *gate, *up, *down; /* [rows * n_used][..] in sorted order; up: of gate and up together */
    uint8_t *act;
    size_t act_few; /* bytes of few rows' activations in a thread's memory; twice as many are there */
    struct oxi_expert_done {
        _Alignas(OXI_ALIGN) _Atomic int32_t panels; /* of all groups */
    } *done; /* [blocks of OXI_EXPERT_PANELS] */
} oxi_expert_scratch;

/* Sums of squares of the matrices' inputs (observe.h). */
typedef struct oxi_observer oxi_observer;

/* The tasks that a thread shares with others. Ops hand out tasks in rounds, between two barriers each, and rounds take turns
 * with the two counters: while threads work on one round, the owner of the other counter resets it. */
typedef struct oxi_queue {
    _Alignas(OXI_ALIGN) _Atomic int32_t next[2];
} oxi_queue;

struct oxi_runner {
    oxi_program *program; /* NULL once the runner has ended */
    oxi_pool *pool;
    int32_t n_slots, n_threads; /* copies: the program and the pool may be gone when this is freed */
    oxi_runner_config config;
    const oxi_kernels *kernels;
    const oxi_vec *vec;
    oxi_cache *cache;
    float **slots; /* [program->n_slots] */
    void *activations; /* a whole batch, quantised */
    oxi_thread_scratch *threads;
    oxi_expert_scratch experts;
    oxi_queue *queues;         /* [threads]; the first may hold tasks for all */
    oxi_panel_shares *shares;  /* [n_ops] */
    float *parts;            /* [runs * key heads][part_blocks][group][oxi_attend_part]: attention cut by blocks of keys */
    int32_t part_blocks;     /* of a whole context */
    int32_t split_runs;      /* most runs in `parts` */
    _Atomic int32_t *joined; /* [runs * key heads] blocks done */
    int32_t *positions, *output_rows; /* [n_batch] */
    oxi_batch batch; /* the caller's, copied into the next four */
    int32_t *tokens, *seqs, *counts; /* [n_batch] */
    uint8_t *outputs;
    oxi_run *runs;         /* [n_batch] */
    oxi_observer *observer; /* NULL: not observing */
    oxi_op_times *times;    /* [threads][op]; NULL: ops are not timed */

    /* The step under way. */
    atomic_bool busy;
    int32_t n_tokens, n_outputs, n_runs;
    atomic_bool cancel; /* stays set until a step has ended because of it */
    _Atomic uint64_t stop_at; /* the barrier after which every thread leaves; 0: none */
};

/* Row 0 of a view; rows are `stride` floats apart. */
static inline float *oxi_view_rows(const oxi_runner *r, oxi_view v, int64_t *stride)
{
    const oxi_buffer *b = &r->program->buffers[v.buffer];
    *stride = b->stride;
    return r->slots[b->slot] + v.column;
}

static inline float *oxi_view_row(const oxi_runner *r, oxi_view v, int64_t row)
{
    int64_t stride;
    float *rows = oxi_view_rows(r, v, &stride);
    return rows + row * stride;
}

/* Page `index` of a run's sequence in a cache layer's class; zeros if the window has passed it. The layer's heads lie in it
 * as oxi_cache_layer says. */
static inline uint8_t *oxi_run_page(const oxi_runner *r, const oxi_run *run, const oxi_cache_layer *l, int32_t index)
{
    return oxi_cache_page(r->cache, l->kind, oxi_cache_table(r->cache, run->seq, l->kind)[index]);
}

/* A recurrent state (program->states[id]) before the step. It stays as it is, so that a cancelled step has changed
 * nothing. */
static inline const float *oxi_run_state(const oxi_runner *r, const oxi_run *run, int32_t id)
{
    return run->state + r->program->states[id].offset;
}

/* The state after the step. The op that owns the state writes all of it in every step; until then it holds anything. */
static inline float *oxi_run_next_state(const oxi_runner *r, const oxi_run *run, int32_t id)
{
    return run->next_state + r->program->states[id].offset;
}

static inline const float *oxi_vector_data(const oxi_runner *r, int32_t id)
{
    return id < 0 ? NULL : r->program->vectors[id].data;
}

#endif
