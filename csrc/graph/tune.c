/* A trial times the products of one token, or of eight, with a sample of a tensor type's weights, read in one of the ways. Trials follow
 * one another in one job of the pool, so that no thread sleeps between them. Each takes the next sample, and samples
 * together are as large as the type's weights: what a trial reads has left the caches long before it is read again. A
 * sample is runs of about a megabyte from all over the matrices, so that samples are alike whatever the matrices' shapes. */
#include "graph/program.h"
#include "platform/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { RUN_BYTES = 1 << 20, LEAST_SAMPLE = 8 << 20, SAMPLE_OF_THREAD = 4 << 20 };
enum { MOST_ROWS = OXI_FEW_PANELS_CODEBOOK * OXI_PANEL }; /* of a task */
enum { SEVERAL_TOKENS = 8 };

typedef struct task {
    oxi_matrix panels;
    const void *act;
} task;

typedef struct share {
    _Alignas(OXI_ALIGN) _Atomic int64_t next;
    int64_t end;
    double began, ended; /* the thread's times in a trial */
} share;

typedef struct tuner {
    const oxi_program *program;
    const oxi_kernels *kernels;
    oxi_pool *pool;
    uint32_t type;
    bool several;
    int64_t n_tokens;    /* of a product */
    int64_t n_runs;      /* of the type */
    int64_t step;        /* run i has place i * step % n_runs in the order in which samples take them */
    int64_t n_samples;
    int64_t n_used;      /* samples that trials come to */
    int64_t n_in_sample; /* runs */
    task *tasks;         /* of used samples, one after the other: */
    int64_t *first;      /* [n_used + 1] */
    double *bytes;       /* [n_used] */
    void **acts;         /* [program->n_weights] quantised inputs; a width's is the first such matrix's */
    uint8_t *scratch;    /* [threads][OXI_MATMUL_SCRATCH] */
    float *out;          /* [threads][tokens][rows in a task] */
    share *shares;       /* [threads] */
    int32_t n_trials;
    double *rates;
} tuner;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Panels of a run: whole tasks. */
static int64_t panels_in_run(const oxi_matrix *m)
{
    const int64_t in_task = oxi_few_panels_in_task(m), tasks = RUN_BYTES / (in_task * (int64_t)m->panel_bytes);
    return (tasks ? tasks : 1) * in_task;
}

static bool is_of(const tuner *t, const oxi_weight *w) { return w->tensor->type == t->type; }

static int64_t runs_of(const oxi_weight *w)
{
    const int64_t panels = panels_in_run(&w->matrix);
    return (w->matrix.n_panels + panels - 1) / panels;
}

/* The tasks of one run; `tasks` NULL: count them only. */
static int64_t cut(const tuner *t, const oxi_weight *w, int32_t expert, int64_t run, task *tasks, double *bytes)
{
    const int64_t in_task = oxi_few_panels_in_task(&w->matrix), in_run = panels_in_run(&w->matrix), from = run * in_run;
    const int64_t to = from + in_run < w->matrix.n_panels ? from + in_run : w->matrix.n_panels;
    int64_t n = 0;
    for (int64_t p = from; p < to; p += in_task, n++) {
        if (!tasks) continue;
        oxi_matrix m = oxi_weight_matrix(w, expert);
        m.data += (size_t)p * m.panel_bytes;
        m.n_panels = in_task < to - p ? in_task : to - p;
        m.n_rows = m.n_rows - p * OXI_PANEL < m.n_panels * OXI_PANEL ? m.n_rows - p * OXI_PANEL : m.n_panels * OXI_PANEL;
        tasks[n] = (task){.panels = m, .act = t->acts[w - t->program->weights]};
        *bytes += (double)m.n_panels * (double)m.panel_bytes;
    }
    return n;
}

/* Once to count the tasks of each used sample (in first[sample + 1]), once to cut them at first[sample]. */
static void walk(tuner *t, int64_t *place)
{
    int64_t run = 0;
    for (int32_t i = 0; i < t->program->n_weights; i++) {
        const oxi_weight *w = &t->program->weights[i];
        if (!is_of(t, w)) continue;
        for (int32_t e = 0; e < w->n_experts; e++)
            for (int64_t r = 0; r < runs_of(w); r++, run++) {
                const int64_t sample = run * t->step % t->n_runs / t->n_in_sample;
                if (sample >= t->n_used) continue;
                if (place) place[sample] += cut(t, w, e, r, t->tasks + place[sample], &t->bytes[sample]);
                else t->first[sample + 1] += cut(t, w, e, r, NULL, NULL);
            }
    }
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Sizes of samples and the order of runs. Steps of about the golden ratio spread any few runs evenly, whatever the period of
 * the layers. The number of samples shares no divisor with that of the ways, so that each way comes to all samples. */
static bool plan(tuner *t, int n_threads)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < t->program->n_weights; i++) {
        const oxi_weight *w = &t->program->weights[i];
        if (!is_of(t, w)) continue;
        t->n_runs += runs_of(w) * w->n_experts;
        bytes += w->matrix.n_panels * (int64_t)w->matrix.panel_bytes * w->n_experts;
    }
    if (!t->n_runs) return false;
    const int64_t least = LEAST_SAMPLE, wanted = SAMPLE_OF_THREAD * (int64_t)n_threads;
    t->n_samples = bytes / (wanted > least ? wanted : least);
    if (t->n_samples > t->n_runs) t->n_samples = t->n_runs;
    if (t->n_samples < 1) t->n_samples = 1;
    while (common_divisor(t->n_samples, OXI_READING_COUNT) > 1) t->n_samples--;
    t->n_in_sample = t->n_runs / t->n_samples;
    t->step = (int64_t)(0.618 * (double)t->n_runs) + 1;
    while (common_divisor(t->step, t->n_runs) > 1) t->step++;
    t->n_used = t->n_samples < t->n_trials ? t->n_samples : t->n_trials;
    return true;
}

/* Quantise arbitrary rows of each width. */
static bool make_inputs(tuner *t)
{
    const oxi_program *p = t->program;
    for (int32_t i = 0; i < p->n_weights; i++) {
        const oxi_matrix *m = &p->weights[i].matrix;
        if (!is_of(t, &p->weights[i])) continue;
        for (int32_t j = 0; j < i && !t->acts[i]; j++)
            if (t->acts[j] && p->weights[j].matrix.n_cols == m->n_cols) t->acts[i] = t->acts[j];
        if (t->acts[i]) continue;
        float *rows = oxi_alloc_array((size_t)(t->n_tokens * m->n_cols), sizeof *rows);
        t->acts[i] = oxi_alloc(oxi_act_bytes(m->act, t->n_tokens, m->n_cols));
        if (rows && t->acts[i]) {
            for (int64_t j = 0; j < t->n_tokens * m->n_cols; j++) rows[j] = (float)(j * 37 % 101 - 50);
            t->kernels->quantize[m->act](rows, m->n_cols, 0, t->n_tokens, t->n_tokens, m->n_cols, t->acts[i]);
        }
        oxi_free(rows);
        if (!rows || !t->acts[i]) return false;
    }
    return true;
}

static bool prepare(tuner *t, int n_threads)
{
    t->first = calloc((size_t)t->n_used + 1, sizeof *t->first);
    t->bytes = calloc((size_t)t->n_used, sizeof *t->bytes);
    t->acts = calloc((size_t)t->program->n_weights, sizeof *t->acts);
    t->scratch = oxi_alloc_array((size_t)n_threads, OXI_MATMUL_SCRATCH);
    t->out = oxi_alloc_array((size_t)(n_threads * t->n_tokens) * MOST_ROWS, sizeof *t->out);
    t->shares = oxi_alloc_array((size_t)n_threads, sizeof *t->shares);
    int64_t *place = calloc((size_t)t->n_used, sizeof *place);
    bool done = false;
    if (t->first && t->bytes && t->acts && t->scratch && t->out && t->shares && place && make_inputs(t)) {
        walk(t, NULL);
        for (int64_t i = 0; i < t->n_used; i++) place[i] = t->first[i], t->first[i + 1] += t->first[i];
        t->tasks = malloc((size_t)t->first[t->n_used] * sizeof *t->tasks);
        if (t->tasks) walk(t, place);
        done = t->tasks != NULL;
    }
    free(place);
    return done;
}

static void clear(tuner *t)
{
    for (int32_t i = 0; t->acts && i < t->program->n_weights; i++) {
        for (int32_t j = i + 1; j < t->program->n_weights; j++)
            if (t->acts[j] == t->acts[i]) t->acts[j] = NULL;
        oxi_free(t->acts[i]);
    }
    oxi_free(t->shares);
    oxi_free(t->out);
    oxi_free(t->scratch);
    free(t->acts);
    free(t->tasks);
    free(t->bytes);
    free(t->first);
}

/* Take tasks of the own share, then of the others', as linear ops do. */
static void multiply(const tuner *t, int thread, int n_threads, const oxi_reading *reading)
{
    float *out = t->out + (size_t)(thread * t->n_tokens) * MOST_ROWS;
    for (int i = 0; i < n_threads; i++) {
        share *s = &t->shares[(thread + i) % n_threads];
        while (atomic_load_explicit(&s->next, memory_order_relaxed) < s->end) {
            const int64_t n = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
            if (n >= s->end) break;
            oxi_matrix m = t->tasks[n].panels;
            m.reading[t->several] = reading;
            t->kernels->matmul[m.pack](&m, 0, m.n_panels, t->tasks[n].act, t->n_tokens, out, m.n_rows,
                                       t->scratch + (size_t)thread * OXI_MATMUL_SCRATCH);
        }
    }
}

/* From the first thread's start to the last one's end: a thread may be stopped anywhere while the others go on. */
static double elapsed(const tuner *t, int n_threads)
{
    double began = t->shares[0].began, ended = t->shares[0].ended;
    for (int i = 1; i < n_threads; i++) {
        if (t->shares[i].began < began) began = t->shares[i].began;
        if (t->shares[i].ended > ended) ended = t->shares[i].ended;
    }
    return ended > began ? ended - began : 1e-9;
}

static void run_trials(void *arg, int thread, int n_threads)
{
    const tuner *t = arg;
    oxi_pool *const pool = t->pool;
    for (int32_t i = 0; i < t->n_trials; i++) {
        /* Every other round goes backwards, so that no way always comes after the same one. */
        const int32_t round = i / OXI_READING_COUNT, at = i % OXI_READING_COUNT;
        const int32_t reading = round % 2 ? OXI_READING_COUNT - 1 - at : at;
        const int64_t sample = i % t->n_used, n = t->first[sample + 1] - t->first[sample];
        t->shares[thread].end = t->first[sample] + n * (thread + 1) / n_threads;
        atomic_store_explicit(&t->shares[thread].next, t->first[sample] + n * thread / n_threads, memory_order_relaxed);
        oxi_pool_barrier(pool, thread, NULL, NULL);
        t->shares[thread].began = now();
        multiply(t, thread, n_threads, &oxi_readings[reading]);
        t->shares[thread].ended = now();
        oxi_pool_barrier(pool, thread, NULL, NULL);
        if (thread == 0) t->rates[round * OXI_READING_COUNT + reading] = t->bytes[sample] / elapsed(t, n_threads);
    }
}

oxi_status oxi_program_compare_readings(const oxi_program *p, uint32_t type, bool several, int32_t n_rounds, oxi_pool *pool,
                                        double *rates, oxi_error *err)
{
    if (!p->packed || n_rounds < 1 || n_rounds > 1000)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "%d rounds cannot compare how weights are read", n_rounds);
    tuner t = {.program = p, .kernels = oxi_kernels_get(), .pool = pool, .type = type, .several = several,
               .n_tokens = several ? SEVERAL_TOKENS : 1, .n_trials = n_rounds * OXI_READING_COUNT, .rates = rates};
    const int n_threads = oxi_pool_size(pool);
    if (!plan(&t, n_threads)) return oxi_fail(err, OXI_ERR_ARGUMENT, "the program has no matrix of tensor type %u", type);
    oxi_status s = prepare(&t, n_threads) ? oxi_pool_claim(pool, err)
                                          : oxi_fail(err, OXI_ERR_NOMEM, "out of memory for comparing how weights are read");
    if (s == OXI_OK) {
        oxi_pool_run(pool, run_trials, &t);
        oxi_pool_release(pool);
    }
    clear(&t);
    return s;
}
