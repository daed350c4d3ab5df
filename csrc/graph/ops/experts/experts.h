/* The parts of the mixture-of-experts op: choosing experts (router.c), sorting rows by them and sharing out the products
 * (order.c), and the products (experts.c). */
#ifndef OXI_EXPERTS_H
#define OXI_EXPERTS_H

#include "graph/step.h"

/* The n_used best experts for a row of router logits, the best first, and the weights of their results. */
void oxi_choose_experts(const oxi_runner *r, const oxi_op_experts *op, const float *logits, int32_t *chosen, float *weights);

/* Memory for n_pairs (row, choice) pairs; false: there is too little. Closing works after any result, and twice. */
bool oxi_expert_order_open(oxi_expert_order *o, size_t n_pairs, size_t n_expert);
void oxi_expert_order_close(oxi_expert_order *o);

/* Sort (row, choice) pairs by expert, from `chosen`. One thread is enough: it only counts. */
void oxi_sort_by_expert(oxi_expert_order *o, const oxi_op_experts *op, const oxi_program *p, int64_t rows);

/* Panels of consecutive groups: all panels of all groups are one range, of which this is [begin, end). */
typedef struct oxi_group_share {
    int64_t n_panels, in_task; /* panels of a group, and of a task; a task never reaches into a second group */
    int64_t begin, end;
} oxi_group_share;

/* The share of `thread` in a product whose matrices have n_panels panels each. Shares begin at multiples of `together`. */
oxi_group_share oxi_share_groups(const oxi_expert_order *o, int64_t n_panels, int64_t in_task, int64_t together, int thread,
                                 int n_threads);
int64_t oxi_group_tasks(const oxi_group_share *s);
/* Panels [*p0, *p1) of group *group. */
void oxi_group_task(const oxi_group_share *s, int64_t task, int32_t *group, int64_t *p0, int64_t *p1);

#endif
