/* A program as the executor sees it. The public half is in oxillama.h. */
#ifndef OXI_PROGRAM_H
#define OXI_PROGRAM_H

#include "kernels/kernels.h"
#include "oxillama.h"

typedef struct oxi_buffer {
    int32_t slot, width;
    int64_t stride; /* floats from row to row */
} oxi_buffer;

typedef struct oxi_vector {
    float *data;
    int64_t n;
} oxi_vector;

/* A packed matrix, or n_experts of one shape back to back: all rows of a tensor, or some from first_row on. */
typedef struct oxi_weight {
    const oxi_tensor *tensor;
    int64_t first_row;
    oxi_matrix matrix; /* data: the first expert's */
    int32_t n_experts;
    size_t expert_bytes, offset; /* in program->packed */
} oxi_weight;

typedef struct oxi_cache_shape {
    int32_t n_head, key_dim, value_dim, window;
    bool shared;
} oxi_cache_shape;

typedef struct oxi_state_shape {
    int32_t n_floats;
    bool owned;    /* an op writes it. Two would undo each other's work */
    size_t offset; /* in a sequence's block of states, in floats */
} oxi_state_shape;

struct oxi_program {
    oxi_buffer *buffers;
    oxi_vector *vectors;
    const oxi_tensor **tables;
    oxi_weight *weights;
    oxi_cache_shape *caches;
    oxi_state_shape *states;
    oxi_op *ops;
    int32_t n_buffers, n_vectors, n_tables, n_weights, n_caches, n_states, n_ops, n_slots;
    size_t state_floats; /* of all states of a sequence */
    oxi_view logits, hidden;
    bool whole_runs; /* some rows see both ways, so a run must be a whole sequence */
    uint8_t *packed;
    size_t packed_bytes;
    int32_t n_runners; /* open runners; they have measured the program, so it must not change */
};

/* Panels per task of a product for few tokens. Panels that a product reads in turns or unpacks together stay together, and
 * codebook tables, which each product rebuilds, are used for longer. */
enum { OXI_FEW_PANELS = 8, OXI_FEW_PANELS_CODEBOOK = 32 };
static inline int64_t oxi_few_panels_in_task(const oxi_matrix *m)
{
    return m->codebook ? OXI_FEW_PANELS_CODEBOOK : OXI_FEW_PANELS;
}

#define OXI_TOGETHER 4 /* panels that a product for many tokens unpacks together */

/* How a linear op's panels are shared out among threads: all panels of all matrices are one range that is cut by bytes. So
 * every thread reads the same share of the weights in every step, and it packs that share when the model is loaded: the
 * system then places it in memory near the thread's processor. Of part p, thread t has the panels
 * [bounds[p * (threads + 1) + t], bounds[p * (threads + 1) + t + 1]). */
typedef struct oxi_panel_shares {
    int32_t *few, *many; /* bounds; those of `many` are multiples of OXI_TOGETHER. NULL: not a linear op */
    bool alike;          /* all matrices want the same kind of activations */
} oxi_panel_shares;

/* The shares of all ops, in one block of memory; false: out of memory. */
bool oxi_program_share(const oxi_program *p, int n_threads, oxi_panel_shares **out);

/* Expert e's matrix. */
oxi_matrix oxi_weight_matrix(const oxi_weight *w, int32_t expert);

/* Checks one op (program_check.c): every index is in range, every width is what the op needs. */
oxi_status oxi_op_check(const oxi_program *p, const oxi_op *op, oxi_error *err);
/* Checks what needs the whole program: that it runs on tokens below n_vocab. */
oxi_status oxi_program_check(const oxi_program *p, int32_t n_vocab, int32_t n_embd, int32_t n_ctx, oxi_error *err);

#endif
