#include "graph/program.h"
#include "platform/memory.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ITEMS (1 << 22)
#define MAX_WIDTH (1 << 28)

/* Make room for one more item; arrays grow at powers of two. */
static oxi_status grow(void *array, int32_t n, size_t size, oxi_error *err)
{
    void **at = array;
    if (n >= MAX_ITEMS) return oxi_fail(err, OXI_ERR_UNSUPPORTED, "the model's program is too large");
    if (n & (n - 1)) return OXI_OK;
    void *larger = realloc(*at, (n ? (size_t)n * 2 : 1) * size);
    if (!larger) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory for the model's program");
    *at = larger;
    return OXI_OK;
}

oxi_status oxi_program_open(oxi_program **out, oxi_error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory");
    (*out)->logits.buffer = (*out)->hidden.buffer = -1;
    return OXI_OK;
}

void oxi_program_close(oxi_program **program)
{
    oxi_program *p = *program;
    *program = NULL;
    if (!p) return;
    for (int32_t i = 0; i < p->n_vectors; i++) oxi_free(p->vectors[i].data);
    oxi_free(p->packed);
    free(p->buffers);
    free(p->vectors);
    free(p->tables);
    free(p->weights);
    free(p->caches);
    free(p->states);
    free(p->ops);
    free(p);
}

/* An open runner has sized its memory by the program, so the program must stay as it is. */
static oxi_status check_unused(const oxi_program *p, oxi_error *err)
{
    return p->n_runners ? oxi_fail(err, OXI_ERR_ARGUMENT, "a program cannot change while a runner is open") : OXI_OK;
}

oxi_status oxi_program_buffer(oxi_program *p, int32_t slot, int32_t width, int32_t *id, oxi_error *err)
{
    oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    if (slot < 0 || slot >= MAX_ITEMS || width < 1 || width > MAX_WIDTH)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a buffer of %d columns in slot %d is out of range", width, slot);
    s = grow(&p->buffers, p->n_buffers, sizeof *p->buffers, err);
    if (s != OXI_OK) return s;
    /* Rows start on cache lines, but not a power of two apart: with 2048 columns every row would fall into the same
     * cache set. */
    const int64_t stride = ((int64_t)width + 15) / 16 * 16 + 16;
    *id = p->n_buffers;
    p->buffers[p->n_buffers++] = (oxi_buffer){.slot = slot, .width = width, .stride = stride};
    if (slot >= p->n_slots) p->n_slots = slot + 1;
    return OXI_OK;
}

oxi_status oxi_program_vector(oxi_program *p, const float *values, int64_t n, int32_t *id, oxi_error *err)
{
    oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    if (n < 1) return oxi_fail(err, OXI_ERR_ARGUMENT, "a vector needs at least one value");
    s = grow(&p->vectors, p->n_vectors, sizeof *p->vectors, err);
    if (s != OXI_OK) return s;
    float *data = oxi_alloc_array((size_t)n, sizeof *data);
    if (!data) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory for a vector of %lld values", (long long)n);
    memcpy(data, values, (size_t)n * sizeof *data);
    *id = p->n_vectors;
    p->vectors[p->n_vectors++] = (oxi_vector){.data = data, .n = n};
    return OXI_OK;
}

oxi_status oxi_program_table(oxi_program *p, const oxi_tensor *tensor, int32_t *id, oxi_error *err)
{
    oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    oxi_pack ignored;
    if (tensor->ne[0] > MAX_WIDTH || tensor->ne[1] > INT32_MAX || tensor->ne[2] != 1 || tensor->ne[3] != 1)
        return oxi_fail(err, OXI_ERR_UNSUPPORTED, "tensor %s: not a table of rows", tensor->name);
    if (!oxi_pack_for(tensor->type, &ignored)) /* the types that can be packed are those that can be decoded */
        return oxi_fail(err, OXI_ERR_UNSUPPORTED, "tensor %s: rows of its type cannot be decoded", tensor->name);
    s = grow(&p->tables, p->n_tables, sizeof *p->tables, err);
    if (s != OXI_OK) return s;
    *id = p->n_tables;
    p->tables[p->n_tables++] = tensor;
    return OXI_OK;
}

static size_t aligned(size_t n) { return (n + OXI_ALIGN - 1) / OXI_ALIGN * OXI_ALIGN; }

oxi_status oxi_program_matrix(oxi_program *p, const oxi_tensor *tensor, int32_t n_experts, int64_t first_row, int64_t n_rows,
                              int32_t *id, oxi_error *err)
{
    oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    if (p->packed) return oxi_fail(err, OXI_ERR_ARGUMENT, "tensor %s: the memory of the matrices has been reserved", tensor->name);
    if (tensor->ne[0] > MAX_WIDTH || tensor->ne[1] > MAX_WIDTH || tensor->ne[2] > MAX_ITEMS || tensor->ne[3] != 1)
        return oxi_fail(err, OXI_ERR_UNSUPPORTED, "tensor %s: too large for a matrix", tensor->name);
    const int64_t all_rows = (int64_t)(tensor->ne[1] * tensor->ne[2]);
    if (n_experts < 1 || (tensor->ne[2] != 1 && tensor->ne[2] != (uint64_t)n_experts) || all_rows % n_experts)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "tensor %s: its rows are not those of %d matrices", tensor->name, n_experts);
    if (first_row < 0 || n_rows < 1 || n_rows > all_rows / n_experts || first_row > all_rows / n_experts - n_rows)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "tensor %s: has no %lld rows from row %lld on", tensor->name,
                        (long long)n_rows, (long long)first_row);
    s = grow(&p->weights, p->n_weights, sizeof *p->weights, err);
    if (s != OXI_OK) return s;
    oxi_weight w = {.tensor = tensor, .first_row = first_row, .n_experts = n_experts,
                    .offset = aligned(p->packed_bytes)};
    s = oxi_pack_plan(&w.matrix, tensor->type, oxi_kernels_get()->decoder, n_rows, (int64_t)tensor->ne[0], err);
    if (s != OXI_OK) return s;
    for (int several = 0; several < 2; several++) w.matrix.reading[several] = oxi_kernels_reading(several);
    w.expert_bytes = aligned(oxi_pack_bytes(&w.matrix));
    size_t bytes;
    if (!oxi_size_mul(w.expert_bytes, (size_t)w.n_experts, &bytes) || !oxi_size_add(w.offset, bytes, &p->packed_bytes))
        return oxi_fail(err, OXI_ERR_UNSUPPORTED, "tensor %s: the model is too large", tensor->name);
    *id = p->n_weights;
    p->weights[p->n_weights++] = w;
    return OXI_OK;
}

oxi_status oxi_program_read_as(oxi_program *p, int32_t matrix, bool several, int32_t reading, oxi_error *err)
{
    oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    if (matrix < 0 || matrix >= p->n_weights) return oxi_fail(err, OXI_ERR_ARGUMENT, "the program has no matrix %d", matrix);
    if (reading < 0 || reading >= OXI_READING_COUNT)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "there is no way %d of reading weights", reading);
    p->weights[matrix].matrix.reading[several] = &oxi_readings[reading];
    return OXI_OK;
}

const char *oxi_reading_name(int32_t reading)
{
    return reading >= 0 && reading < OXI_READING_COUNT ? oxi_readings[reading].name : NULL;
}

int32_t oxi_program_reading(const oxi_program *p, int32_t matrix, bool several)
{
    return (int32_t)(p->weights[matrix].matrix.reading[several] - oxi_readings);
}

uint32_t oxi_program_matrix_type(const oxi_program *p, int32_t matrix) { return p->weights[matrix].tensor->type; }

oxi_status oxi_program_cache(oxi_program *p, int32_t n_head, int32_t key_dim, int32_t value_dim, int32_t window, bool shared,
                             int32_t *id, oxi_error *err)
{
    oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    if (n_head < 1 || n_head > OXI_MAX_KV_HEADS || key_dim < 1 || key_dim > OXI_MAX_HEAD_DIM || value_dim < 1
        || value_dim > OXI_MAX_HEAD_DIM || window < 0)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a cache of %d heads with keys of %d, values of %d and a window of %d is out of range",
                        n_head, key_dim, value_dim, window);
    if (shared && (n_head != 1 || value_dim > key_dim))
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a cache of %d heads with keys of %d cannot share values of %d with them", n_head,
                        key_dim, value_dim);
    s = grow(&p->caches, p->n_caches, sizeof *p->caches, err);
    if (s != OXI_OK) return s;
    *id = p->n_caches;
    p->caches[p->n_caches++] = (oxi_cache_shape){n_head, key_dim, value_dim, window, shared};
    return OXI_OK;
}

oxi_status oxi_program_state(oxi_program *p, int32_t n_floats, int32_t *id, oxi_error *err)
{
    oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    if (n_floats < 1 || n_floats > MAX_WIDTH)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a recurrent state of %d values is out of range", n_floats);
    s = grow(&p->states, p->n_states, sizeof *p->states, err);
    if (s != OXI_OK) return s;
    *id = p->n_states;
    p->states[p->n_states++] = (oxi_state_shape){.n_floats = n_floats, .offset = p->state_floats};
    p->state_floats += aligned((size_t)n_floats * sizeof(float)) / sizeof(float); /* at most MAX_ITEMS * MAX_WIDTH */
    return OXI_OK;
}

oxi_status oxi_program_op(oxi_program *p, const oxi_op *op, oxi_error *err)
{
    oxi_status s = check_unused(p, err);
    if (s == OXI_OK) s = oxi_op_check(p, op, err);
    if (s == OXI_OK) s = grow(&p->ops, p->n_ops, sizeof *p->ops, err);
    if (s != OXI_OK) return s;
    p->ops[p->n_ops++] = *op;
    if (op->kind == OXI_OP_CONV) p->states[op->as.conv.state].owned = true;
    if (op->kind == OXI_OP_DELTA) p->states[op->as.delta.state].owned = true;
    if (op->kind == OXI_OP_DPLR) p->states[op->as.dplr.state].owned = true;
    if (op->kind == OXI_OP_SCAN) p->states[op->as.scan.state].owned = true;
    if (op->kind == OXI_OP_ATTENTION && op->as.attention.both_ways) p->whole_runs = true;
    return OXI_OK;
}

static bool view_ok(const oxi_program *p, oxi_view v)
{
    return v.buffer >= 0 && v.buffer < p->n_buffers && v.column >= 0 && v.width >= 1
        && v.column <= p->buffers[v.buffer].width - v.width;
}

oxi_status oxi_program_results(oxi_program *p, oxi_view logits, oxi_view hidden, oxi_error *err)
{
    const oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    if ((logits.buffer >= 0 && !view_ok(p, logits)) || !view_ok(p, hidden))
        return oxi_fail(err, OXI_ERR_ARGUMENT, "the program's results are not views of its buffers");
    p->logits = logits;
    p->hidden = hidden;
    return OXI_OK;
}

int32_t oxi_program_n_matrices(const oxi_program *p) { return p->n_weights; }

uint64_t oxi_program_matrix_bytes(const oxi_program *p, int32_t matrix)
{
    if (matrix < 0 || matrix >= p->n_weights) return 0;
    return (uint64_t)p->weights[matrix].expert_bytes * (uint64_t)p->weights[matrix].n_experts;
}

oxi_status oxi_program_reserve(oxi_program *p, oxi_error *err)
{
    const oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    oxi_free(p->packed);
    p->packed = oxi_alloc(p->packed_bytes);
    if (!p->packed) return oxi_fail(err, OXI_ERR_NOMEM, "the weights need %zu bytes of memory", p->packed_bytes);
    for (int32_t i = 0; i < p->n_weights; i++) p->weights[i].matrix.data = p->packed + p->weights[i].offset;
    return OXI_OK;
}

oxi_matrix oxi_weight_matrix(const oxi_weight *w, int32_t expert)
{
    oxi_matrix m = w->matrix;
    m.data += w->expert_bytes * (size_t)expert;
    return m;
}

/* Where the share of `thread` begins in the panels of part `part`; n_threads: where the last one ends. */
static int32_t share_begin(const oxi_program *p, const oxi_op_linear *op, int32_t part, int thread, int n_threads, int together)
{
    int64_t total = 0, before = 0;
    for (int32_t i = 0; i < op->n_parts; i++) {
        const oxi_matrix *m = &p->weights[op->part[i].matrix].matrix;
        if (i == part) before = total;
        total += m->n_panels * (int64_t)m->panel_bytes;
    }
    const oxi_matrix *m = &p->weights[op->part[part].matrix].matrix;
    const int64_t step = (int64_t)m->panel_bytes * together;
    const int64_t at = total / n_threads * thread + total % n_threads * thread / n_threads - before;
    const int64_t panel = at <= 0 ? 0 : (at + step - 1) / step * together;
    return (int32_t)(panel < m->n_panels ? panel : m->n_panels);
}

bool oxi_program_share(const oxi_program *p, int n_threads, oxi_panel_shares **out)
{
    const size_t n = (size_t)n_threads + 1, shares_bytes = (size_t)p->n_ops * sizeof **out;
    size_t n_bounds = 0, bytes;
    for (int32_t i = 0; i < p->n_ops; i++)
        if (p->ops[i].kind == OXI_OP_LINEAR) n_bounds += 2 * n * (size_t)p->ops[i].as.linear.n_parts;
    *out = NULL;
    if (!oxi_size_mul(n_bounds, sizeof(int32_t), &bytes) || !oxi_size_add(bytes, shares_bytes, &bytes)) return false;
    *out = oxi_alloc(bytes);
    if (!*out) return false;
    int32_t *bounds = (int32_t *)((char *)*out + shares_bytes);
    for (int32_t i = 0; i < p->n_ops; i++) {
        if (p->ops[i].kind != OXI_OP_LINEAR) continue;
        const oxi_op_linear *op = &p->ops[i].as.linear;
        const size_t n_of_op = n * (size_t)op->n_parts;
        (*out)[i] = (oxi_panel_shares){.few = bounds, .many = bounds + n_of_op, .alike = true};
        for (int32_t j = 0; j < op->n_parts; j++) {
            (*out)[i].alike &= p->weights[op->part[j].matrix].matrix.act == p->weights[op->part[0].matrix].matrix.act;
            for (int t = 0; t <= n_threads; t++, bounds++) {
                bounds[0] = share_begin(p, op, j, t, n_threads, 1);
                bounds[n_of_op] = share_begin(p, op, j, t, n_threads, OXI_TOGETHER);
            }
        }
        bounds += n_of_op;
    }
    return true;
}

typedef struct pack_job {
    const oxi_program *program;
    const oxi_weight *weight;
    const oxi_op_linear *reader; /* an op that multiplies with the matrix; NULL: not a linear one */
    int32_t part;                /* of the reader */
} pack_job;

static pack_job job_for(const oxi_program *p, int32_t matrix)
{
    for (int32_t i = 0; i < p->n_ops; i++) {
        if (p->ops[i].kind != OXI_OP_LINEAR) continue;
        const oxi_op_linear *op = &p->ops[i].as.linear;
        for (int32_t j = 0; j < op->n_parts; j++)
            if (op->part[j].matrix == matrix) return (pack_job){p, &p->weights[matrix], op, j};
    }
    return (pack_job){.program = p, .weight = &p->weights[matrix]};
}

static void pack(void *arg, int thread, int n_threads)
{
    const pack_job *job = arg;
    const oxi_weight *w = job->weight;
    const size_t source_bytes = (size_t)(w->tensor->n_bytes / (uint64_t)w->n_experts);
    const size_t row_bytes = (size_t)(w->tensor->n_bytes / (w->tensor->ne[1] * w->tensor->ne[2]));
    const uint8_t *source = w->tensor->data + row_bytes * (size_t)w->first_row;
    const int64_t panels = w->matrix.n_panels, all = panels * w->n_experts;
    int64_t i = all * thread / n_threads, end = all * (thread + 1) / n_threads;
    if (job->reader) {
        i = share_begin(job->program, job->reader, job->part, thread, n_threads, 1);
        end = share_begin(job->program, job->reader, job->part, thread + 1, n_threads, 1);
    }
    while (i < end) {
        const int32_t e = (int32_t)(i / panels);
        const int64_t p0 = i % panels, p1 = end - i < panels - p0 ? p0 + end - i : panels;
        const oxi_matrix m = oxi_weight_matrix(w, e);
        oxi_pack_panels(&m, w->tensor->type, source + source_bytes * (size_t)e, p0, p1,
                        job->program->packed + w->offset + w->expert_bytes * (size_t)e);
        i += p1 - p0;
    }
}

oxi_status oxi_program_pack(oxi_program *p, int32_t matrix, oxi_pool *pool, const oxi_gguf *file, oxi_error *err)
{
    oxi_status s = check_unused(p, err);
    if (s != OXI_OK) return s;
    if (matrix < 0 || matrix >= p->n_weights || !p->packed)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "matrix %d cannot be packed", matrix);
    s = oxi_pool_claim(pool, err);
    if (s != OXI_OK) return s;
    pack_job job = job_for(p, matrix);
    oxi_pool_run(pool, pack, &job);
    oxi_pool_release(pool);
    oxi_gguf_release(file, job.weight->tensor);
    return OXI_OK;
}
