/* Checks every index and width of an op once, when it joins the program, so that the executor checks nothing. */
#include "graph/program.h"
#include "kernels/vec/recurrent.h"

static bool inside(const oxi_program *p, oxi_view v)
{
    return v.buffer >= 0 && v.buffer < p->n_buffers && v.column >= 0 && v.width >= 1
        && v.column <= p->buffers[v.buffer].width - v.width;
}

static bool view(const oxi_program *p, oxi_view v, int64_t width) { return inside(p, v) && v.width == width; }
static bool optional(const oxi_program *p, oxi_view v, int64_t width) { return v.buffer < 0 || view(p, v, width); }

static bool vector(const oxi_program *p, int32_t id, int64_t n)
{
    return id >= 0 && id < p->n_vectors && p->vectors[id].n == n;
}

static bool optional_vector(const oxi_program *p, int32_t id, int64_t n) { return id < 0 || vector(p, id, n); }

static bool norm_ok(const oxi_program *p, const oxi_op_norm *n)
{
    if (!inside(p, n->x) || n->group < 1 || n->x.width % n->group) return false;
    if (n->kind != OXI_NORM_RMS && n->kind != OXI_NORM_LAYER) return false;
    return (optional_vector(p, n->weight, n->group) || vector(p, n->weight, n->x.width))
        && (optional_vector(p, n->bias, n->group) || vector(p, n->bias, n->x.width));
}

/* gated: whether there is something to multiply with. */
static bool fn_ok(int32_t fn, bool gated) { return fn >= 0 && fn < OXI_FN_COUNT && (gated || fn != OXI_FN_SWIGLU_CLAMPED); }

static bool glu_ok(const oxi_program *p, const oxi_op_glu *g)
{
    return inside(p, g->x) && optional(p, g->times, g->x.width) && fn_ok(g->fn, g->times.buffer >= 0);
}

static bool linear_ok(const oxi_program *p, const oxi_op_linear *l)
{
    if (!inside(p, l->x) || l->n_parts < 1 || l->n_parts > OXI_LINEAR_PARTS) return false;
    if (l->prologue == OXI_PROLOGUE_NORM) {
        if (!norm_ok(p, &l->norm) || l->norm.x.width != l->x.width) return false;
    } else if (l->prologue == OXI_PROLOGUE_GLU) {
        if (!glu_ok(p, &l->glu) || l->glu.x.width != l->x.width) return false;
    } else if (l->prologue != OXI_PROLOGUE_NONE) {
        return false;
    }
    for (int32_t i = 0; i < l->n_parts; i++) {
        const struct oxi_linear_part *part = &l->part[i];
        if (part->matrix < 0 || part->matrix >= p->n_weights) return false;
        const oxi_weight *w = &p->weights[part->matrix];
        const int64_t rows = w->matrix.n_rows;
        if (w->n_experts != 1 || w->matrix.n_cols != l->x.width) return false;
        if (!view(p, part->out, rows) || !optional(p, part->addend, rows) || !optional_vector(p, part->bias, rows))
            return false;
    }
    return true;
}

static bool head_linear_ok(const oxi_program *p, const oxi_op_head_linear *h)
{
    if (!inside(p, h->x) || !inside(p, h->out) || h->x.buffer == h->out.buffer) return false;
    if (h->matrix < 0 || h->matrix >= p->n_weights) return false;
    const oxi_weight *w = &p->weights[h->matrix];
    const int32_t n = h->shared ? 1 : w->n_experts;
    if (h->x.width % n || h->out.width % w->n_experts) return false;
    const int64_t left = h->x.width / n - w->matrix.n_cols;
    return left >= 0 && h->out.width / w->n_experts - w->matrix.n_rows == left;
}

static bool rope_ok(const oxi_program *p, const oxi_op_rope *r)
{
    if (r->head_dim < 1 || r->n_rot < 2 || r->n_rot % 2 || r->offset < 0 || r->offset > r->head_dim - r->n_rot) return false;
    if (r->kind != OXI_ROPE_PAIRS && r->kind != OXI_ROPE_HALVES) return false;
    return inside(p, r->x) && r->x.width % r->head_dim == 0 && view(p, r->table, r->n_rot)
        && (r->y.buffer < 0 || (inside(p, r->y) && r->y.width % r->head_dim == 0));
}

static bool store_ok(const oxi_program *p, const oxi_op_kv_store *s)
{
    if (s->layer < 0 || s->layer >= p->n_caches) return false;
    const oxi_cache_shape *c = &p->caches[s->layer];
    if (c->shared && (s->v.buffer != s->k.buffer || s->v.column != s->k.column)) return false;
    return view(p, s->k, (int64_t)c->n_head * c->key_dim) && view(p, s->v, (int64_t)c->n_head * c->value_dim);
}

static bool attention_ok(const oxi_program *p, const oxi_op_attention *a)
{
    if (a->layer < 0 || a->layer >= p->n_caches || a->n_head < 1) return false;
    const oxi_cache_shape *c = &p->caches[a->layer];
    /* A cache with a window forgets what lies before it. */
    if (c->window && (a->window < 1 || a->window > c->window)) return false;
    if (a->chunked != 0 && (a->chunked != 1 || a->window < 1 || a->both_ways)) return false;
    return a->n_head % c->n_head == 0 && view(p, a->q, (int64_t)a->n_head * c->key_dim)
        && view(p, a->out, (int64_t)a->n_head * c->value_dim) && a->window >= 0 && (a->both_ways == 0 || a->both_ways == 1) && a->temperature_floor >= 0
        && a->temperature_offset >= 0 && a->temperature_offset <= 1
        && optional_vector(p, a->slopes, a->n_head) && optional_vector(p, a->sinks, a->n_head);
}

static bool expert_weight(const oxi_program *p, int32_t id, int32_t n_expert, int64_t rows, int64_t cols)
{
    if (id < 0 || id >= p->n_weights) return false;
    const oxi_weight *w = &p->weights[id];
    return w->n_experts == n_expert && w->matrix.n_rows == rows && w->matrix.n_cols == cols;
}

static bool experts_ok(const oxi_program *p, const oxi_op_experts *e)
{
    if (e->n_expert < 1 || e->n_expert > OXI_MAX_EXPERTS || e->n_used < 1 || e->n_used > e->n_expert || e->up < 0 || e->up >= p->n_weights) return false;
    if (!inside(p, e->x) || !view(p, e->logits, e->n_expert) || !inside(p, e->out)) return false;
    const int64_t inner = p->weights[e->up].matrix.n_rows;
    if (!optional(p, e->addend, e->out.width) || !expert_weight(p, e->up, e->n_expert, inner, e->x.width)
        || !expert_weight(p, e->down, e->n_expert, e->out.width, inner)
        || (e->gate >= 0 && !expert_weight(p, e->gate, e->n_expert, inner, e->x.width)))
        return false;
    if (!optional_vector(p, e->gate_bias, e->n_expert * inner) || !optional_vector(p, e->up_bias, e->n_expert * inner)
        || !optional_vector(p, e->down_bias, (int64_t)e->n_expert * e->out.width))
        return false;
    if (!optional_vector(p, e->gate_scale, e->n_expert) || !optional_vector(p, e->up_scale, e->n_expert)
        || !optional_vector(p, e->down_scale, e->n_expert) || !optional_vector(p, e->selection_bias, e->n_expert))
        return false;
    if (e->n_groups > 1
        && (e->n_expert % e->n_groups || e->n_groups_used < 1 || e->n_groups_used > e->n_groups
            || (int64_t)e->n_expert / e->n_groups * e->n_groups_used < e->n_used))
        return false;
    if (e->limited < 0 || e->limited >= OXI_LIMITED_COUNT || (e->limited && e->gate < 0)) return false;
    return fn_ok(e->fn, e->gate >= 0) && e->gating >= OXI_GATING_SOFTMAX && e->gating <= OXI_GATING_SOFTMAX_CHOSEN;
}

static bool gather_ok(const oxi_program *p, const oxi_op_gather *g)
{
    return inside(p, g->x) && g->stride >= 1 && g->x.width % g->stride == 0 && g->take >= 1 && g->offset >= 0
        && g->offset <= g->stride - g->take && view(p, g->out, (int64_t)g->x.width / g->stride * g->take)
        && g->out.buffer != g->x.buffer;
}

static bool gate_ok(const oxi_program *p, const oxi_op_gate *g)
{
    return inside(p, g->x) && inside(p, g->gate) && g->x.width % g->gate.width == 0 && optional(p, g->addend, g->x.width) && view(p, g->out, g->x.width)
        && fn_ok(g->fn, false) && (g->gate.width == 1 || (g->gate.buffer != g->out.buffer));
}

static bool state(const oxi_program *p, int32_t id, int64_t n)
{
    return id >= 0 && id < p->n_states && p->states[id].n_floats == n && !p->states[id].owned;
}

static bool conv_ok(const oxi_program *p, const oxi_op_conv *c)
{
    const int64_t width = c->x.width;
    return inside(p, c->x) && optional(p, c->times, width) && view(p, c->out, width) && c->out.buffer != c->x.buffer
        && c->out.buffer != c->times.buffer && c->n_taps >= 2 && c->n_taps <= OXI_CONV_TAPS
        && vector(p, c->kernel, c->n_taps * width) && optional_vector(p, c->bias, width) && fn_ok(c->fn, false)
        && state(p, c->state, (c->n_taps - 1) * width);
}

static bool delta_ok(const oxi_program *p, const oxi_op_delta *d)
{
    if (d->n_key_head < 1 || d->n_head < 1 || d->n_head % d->n_key_head || d->key_dim < 1 || d->value_dim < 1) return false;
    const int64_t keys = (int64_t)d->n_key_head * d->key_dim, values = (int64_t)d->n_head * d->value_dim;
    const int32_t out = d->out.buffer; /* threads that share a head's columns read all the others while one writes */
    if (out == d->q.buffer || out == d->k.buffer || out == d->decay.buffer || out == d->beta.buffer) return false;
    return view(p, d->q, keys) && view(p, d->k, keys) && view(p, d->v, values) && view(p, d->out, values)
        && view(p, d->decay, d->n_head) && view(p, d->beta, d->n_head) && vector(p, d->rate, d->n_head)
        && vector(p, d->dt, d->n_head) && state(p, d->state, d->n_head * oxi_delta_state(d->key_dim, d->value_dim));
}

static bool scan_ok(const oxi_program *p, const oxi_op_scan *c)
{
    if (c->n_key_head < 1 || c->n_head < 1 || c->n_head % c->n_key_head || c->key_dim < 1 || c->value_dim < 1) return false;
    const int64_t keys = (int64_t)c->n_key_head * c->key_dim, values = (int64_t)c->n_head * c->value_dim;
    const int32_t out = c->out.buffer; /* as in a delta rule */
    if (out == c->q.buffer || out == c->k.buffer || out == c->step.buffer) return false;
    return view(p, c->q, keys) && view(p, c->k, keys) && view(p, c->v, values) && view(p, c->out, values)
        && view(p, c->step, c->n_head) && vector(p, c->rate, c->n_head) && vector(p, c->dt, c->n_head)
        && vector(p, c->skip, c->n_head) && state(p, c->state, c->n_head * oxi_delta_state(c->key_dim, c->value_dim));
}

static bool dplr_ok(const oxi_program *p, const oxi_op_dplr *d)
{
    if (d->n_head < 1 || d->key_dim < 1 || d->value_dim < 1) return false;
    const int64_t keys = (int64_t)d->n_head * d->key_dim, values = (int64_t)d->n_head * d->value_dim;
    const oxi_view *const by_key[] = {&d->q, &d->w, &d->k, &d->a, &d->b};
    for (int i = 0; i < 5; i++) /* as in a delta rule */
        if (!view(p, *by_key[i], keys) || by_key[i]->buffer == d->out.buffer) return false;
    return view(p, d->v, values) && view(p, d->out, values)
        && state(p, d->state, d->n_head * oxi_delta_state(d->key_dim, d->value_dim));
}

/* Some ops read data of tokens (ids, positions, pages), so they run on rows of tokens only; SELECT makes rows of
 * outputs. */
static bool rows_ok(const oxi_op *op)
{
    switch (op->kind) {
    case OXI_OP_EMBED:
    case OXI_OP_ROPE_TABLE:
    case OXI_OP_KV_STORE:
    case OXI_OP_CONV:
    case OXI_OP_DELTA:
    case OXI_OP_SCAN:
    case OXI_OP_DPLR:
    case OXI_OP_ATTENTION: return op->rows == OXI_ROWS_TOKENS;
    case OXI_OP_SELECT: return op->rows == OXI_ROWS_OUTPUTS;
    default: return op->rows == OXI_ROWS_TOKENS || op->rows == OXI_ROWS_OUTPUTS;
    }
}

static bool op_ok(const oxi_program *p, const oxi_op *op)
{
    switch (op->kind) {
    case OXI_OP_EMBED:
        return op->as.embed.by >= 0 && op->as.embed.by < OXI_EMBED_COUNT && op->as.embed.table >= 0 && op->as.embed.table < p->n_tables
            && view(p, op->as.embed.out, (int64_t)p->tables[op->as.embed.table]->ne[0]);
    case OXI_OP_ROPE_TABLE:
        return inside(p, op->as.rope_table.out) && op->as.rope_table.out.width % 2 == 0
            && vector(p, op->as.rope_table.frequencies, op->as.rope_table.out.width / 2);
    case OXI_OP_NORM: return norm_ok(p, &op->as.norm) && view(p, op->as.norm.out, op->as.norm.x.width);
    case OXI_OP_LINEAR: return linear_ok(p, &op->as.linear);
    case OXI_OP_GLU: return glu_ok(p, &op->as.glu) && view(p, op->as.glu.out, op->as.glu.x.width);
    case OXI_OP_HEAD_LINEAR: return head_linear_ok(p, &op->as.head_linear);
    case OXI_OP_ROPE: return rope_ok(p, &op->as.rope);
    case OXI_OP_KV_STORE: return store_ok(p, &op->as.kv_store);
    case OXI_OP_ATTENTION: return attention_ok(p, &op->as.attention);
    case OXI_OP_EXPERTS: return experts_ok(p, &op->as.experts);
    case OXI_OP_SELECT: return inside(p, op->as.select.x) && view(p, op->as.select.out, op->as.select.x.width);
    case OXI_OP_AFFINE:
        return inside(p, op->as.affine.x) && view(p, op->as.affine.out, op->as.affine.x.width)
            && optional(p, op->as.affine.times, op->as.affine.x.width)
            && optional(p, op->as.affine.addend, op->as.affine.x.width)
            && optional_vector(p, op->as.affine.weight, op->as.affine.x.width)
            && optional_vector(p, op->as.affine.bias, op->as.affine.x.width)
            && (op->as.affine.weight < 0 || op->as.affine.times.buffer < 0);
    case OXI_OP_SOFTCAP:
        return inside(p, op->as.softcap.x) && view(p, op->as.softcap.out, op->as.softcap.x.width) && op->as.softcap.cap > 0;
    case OXI_OP_GATHER: return gather_ok(p, &op->as.gather);
    case OXI_OP_GATE: return gate_ok(p, &op->as.gate);
    case OXI_OP_CONV: return conv_ok(p, &op->as.conv);
    case OXI_OP_DELTA: return delta_ok(p, &op->as.delta);
    case OXI_OP_SCAN: return scan_ok(p, &op->as.scan);
    case OXI_OP_DPLR: return dplr_ok(p, &op->as.dplr);
    case OXI_OP_DOT:
        return inside(p, op->as.dot.x) && view(p, op->as.dot.y, op->as.dot.x.width) && inside(p, op->as.dot.out)
            && op->as.dot.x.width % op->as.dot.out.width == 0 && op->as.dot.out.buffer != op->as.dot.x.buffer
            && op->as.dot.out.buffer != op->as.dot.y.buffer;
    case OXI_OP_CLAMP:
        return inside(p, op->as.clamp.x) && view(p, op->as.clamp.out, op->as.clamp.x.width)
            && op->as.clamp.low <= op->as.clamp.high;
    default: return false;
    }
}

oxi_status oxi_op_check(const oxi_program *p, const oxi_op *op, oxi_error *err)
{
    if (rows_ok(op) && op_ok(p, op)) return OXI_OK;
    return oxi_fail(err, OXI_ERR_ARGUMENT, "op %d of the program (kind %d) has an index or width that does not fit",
                    p->n_ops, (int)op->kind);
}

oxi_status oxi_program_check(const oxi_program *p, int32_t n_vocab, int32_t n_embd, int32_t n_ctx, oxi_error *err)
{
    if (n_vocab < 1 || (p->logits.buffer >= 0 && p->logits.width != n_vocab))
        return oxi_fail(err, OXI_ERR_ARGUMENT, "the program's logits are not those of %d tokens", n_vocab);
    if (p->hidden.buffer < 0 || p->hidden.width != n_embd)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "the program's hidden states have %d columns, not %d", p->hidden.width, n_embd);
    for (int32_t i = 0; i < p->n_ops; i++) {
        if (p->ops[i].kind != OXI_OP_EMBED) continue;
        const oxi_tensor *table = p->tables[p->ops[i].as.embed.table];
        const int32_t by = p->ops[i].as.embed.by;
        if (by == OXI_EMBED_BY_POSITION && table->ne[1] < (uint64_t)n_ctx)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "tensor %s: %llu rows for a context of %d tokens", table->name,
                            (unsigned long long)table->ne[1], n_ctx);
        if (by == OXI_EMBED_BY_TOKEN && table->ne[1] < (uint64_t)n_vocab)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "tensor %s: %llu rows for a vocabulary of %d tokens", table->name,
                            (unsigned long long)table->ne[1], n_vocab);
    }
    if (p->n_weights && !p->packed) return oxi_fail(err, OXI_ERR_ARGUMENT, "the program's matrices have not been packed");
    return OXI_OK;
}
