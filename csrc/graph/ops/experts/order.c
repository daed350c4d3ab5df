#include "graph/ops/experts/experts.h"

#include <string.h>

/* What unpacking a panel costs, in rows that it is multiplied with. Tasks that others take even out what this gets wrong. */
enum { UNPACKING = 8 };

bool oxi_expert_order_open(oxi_expert_order *o, size_t n_pairs, size_t n_expert)
{
    o->chosen = oxi_alloc_array(n_pairs, sizeof *o->chosen);
    o->weights = oxi_alloc_array(n_pairs, sizeof *o->weights);
    o->place = oxi_alloc_array(n_pairs, sizeof *o->place);
    o->source = oxi_alloc_array(n_pairs, sizeof *o->source);
    o->start = oxi_alloc_array(n_expert + 1, sizeof *o->start);
    o->groups = oxi_alloc_array((n_pairs < n_expert ? n_pairs : n_expert) + 1, sizeof *o->groups);
    return o->chosen && o->weights && o->place && o->source && o->start && o->groups;
}

void oxi_expert_order_close(oxi_expert_order *o)
{
    void *all[] = {o->chosen, o->weights, o->place, o->source, o->start, o->groups};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) oxi_free(all[i]);
    *o = (oxi_expert_order){0};
}

static int64_t aligned(size_t bytes) { return (int64_t)((bytes + OXI_ALIGN - 1) / OXI_ALIGN * OXI_ALIGN); }

/* Groups of rows with one expert, the work before each, and where its rows lie once they are quantised. */
static void form_groups(oxi_expert_order *o, const oxi_op_experts *op, const oxi_program *p, int64_t rows)
{
    const oxi_matrix *m[OXI_EXPERT_PRODUCTS] = {&p->weights[op->gate < 0 ? op->up : op->gate].matrix,
                                                &p->weights[op->up].matrix, &p->weights[op->down].matrix};
    int32_t n = 0;
    int64_t load = 0, at[OXI_EXPERT_PRODUCTS] = {0};
    for (int32_t e = 0; e < op->n_expert; e++) {
        const int32_t count = o->start[e + 1] - o->start[e];
        if (!count) continue;
        o->groups[n] = (oxi_expert_group){.expert = e, .first = o->start[e], .count = count, .load = load};
        for (int i = 0; i < OXI_EXPERT_PRODUCTS; i++) {
            o->groups[n].act[i] = at[i];
            at[i] += aligned(oxi_act_bytes(m[i]->act, count, m[i]->n_cols));
        }
        load += rows > OXI_FEW_ROWS ? count + UNPACKING : 1; /* few rows: only reading the weights counts */
        n++;
    }
    /* Where gate and up want different kinds of activations, those of up lie behind those of gate. */
    for (int32_t i = 0; m[0]->act != m[1]->act && i < n; i++) o->groups[i].act[1] += at[0];
    o->groups[n].load = load;
    o->n_groups = n;
}

void oxi_sort_by_expert(oxi_expert_order *o, const oxi_op_experts *op, const oxi_program *p, int64_t rows)
{
    const int64_t n = rows * op->n_used;
    int32_t *start = o->start;
    memset(start, 0, ((size_t)op->n_expert + 1) * sizeof *start);
    for (int64_t i = 0; i < n; i++) start[o->chosen[i] + 1]++;
    for (int32_t e = 0; e < op->n_expert; e++) start[e + 1] += start[e];
    form_groups(o, op, p, rows);
    for (int64_t i = 0; i < n; i++) {
        const int32_t place = start[o->chosen[i]]++;
        o->place[i] = place;
        o->source[place] = (int32_t)(i / op->n_used);
    }
}

static int64_t begin_of(const oxi_expert_order *o, int64_t n_panels, int64_t together, int thread, int n_threads)
{
    const int64_t load = o->groups[o->n_groups].load, at = load * n_panels / n_threads * thread
                                                         + load * n_panels % n_threads * thread / n_threads;
    int32_t low = 0, high = o->n_groups; /* the group in which that much work is done */
    while (high - low > 1) {
        const int32_t middle = (low + high) / 2;
        if (o->groups[middle].load * n_panels <= at) low = middle;
        else high = middle;
    }
    const int64_t step = (o->groups[low + 1].load - o->groups[low].load) * together;
    const int64_t panel = (at - o->groups[low].load * n_panels + step - 1) / step * together;
    return low * n_panels + (panel < n_panels ? panel : n_panels);
}

oxi_group_share oxi_share_groups(const oxi_expert_order *o, int64_t n_panels, int64_t in_task, int64_t together, int thread,
                                 int n_threads)
{
    return (oxi_group_share){.n_panels = n_panels, .in_task = in_task, .begin = begin_of(o, n_panels, together, thread, n_threads),
                             .end = begin_of(o, n_panels, together, thread + 1, n_threads)};
}

/* Tasks of the panels [from, to) of one group. */
static int64_t tasks_between(const oxi_group_share *s, int64_t from, int64_t to) { return (to - from + s->in_task - 1) / s->in_task; }

/* Where the group ends in which the share begins, or the share itself. */
static int64_t first_end(const oxi_group_share *s)
{
    const int64_t end = (s->begin / s->n_panels + 1) * s->n_panels;
    return end < s->end ? end : s->end;
}

int64_t oxi_group_tasks(const oxi_group_share *s)
{
    if (s->begin >= s->end) return 0;
    const int64_t from = first_end(s);
    const int64_t whole = (s->end - from) / s->n_panels, rest = (s->end - from) % s->n_panels;
    return tasks_between(s, s->begin, from) + whole * tasks_between(s, 0, s->n_panels) + tasks_between(s, 0, rest);
}

void oxi_group_task(const oxi_group_share *s, int64_t task, int32_t *group, int64_t *p0, int64_t *p1)
{
    const int64_t in_first = tasks_between(s, s->begin, first_end(s)), in_group = tasks_between(s, 0, s->n_panels);
    int64_t from = s->begin + task * s->in_task, end = first_end(s);
    if (task >= in_first) {
        const int64_t start = end + (task - in_first) / in_group * s->n_panels;
        from = start + (task - in_first) % in_group * s->in_task;
        end = start + s->n_panels < s->end ? start + s->n_panels : s->end;
    }
    *group = (int32_t)(from / s->n_panels);
    *p0 = from % s->n_panels;
    *p1 = *p0 + (end - from < s->in_task ? end - from : s->in_task);
}
