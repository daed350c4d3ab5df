/* The thread pool. All waiting works the same way: spin on a word for a while, then sleep until it changes. Each word
 * learns how long to spin: a spin that sees a change doubles the time, one in vain halves it. So threads that have a
 * processor each meet without system calls, and threads that share one do not keep each other from running.
 *
 * Three words change: `round` when a job starts (or the pool ends), `running` when a worker leaves a job, `phase` when a
 * barrier opens. A thread counts itself in the word's `sleepers` before it sleeps, and a thread that changes the word
 * reads that count afterwards. Both are sequentially consistent, so either the sleeper sees the new word or the changer
 * sees the sleeper. Without sleepers there is no system call.
 */
#include "oxillama.h"
#include "platform/memory.h"
#include "platform/park.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#endif

#define MAX_THREADS 1024
#define STACK_BYTES ((size_t)2 << 20)
/* The longest spin is longer than threads with equal work usually are apart, and short enough that an idle pool sleeps
 * before its cost can be measured. The shortest spin is long enough to notice that a processor has become free. */
#define SPIN_MOST_NS 100000
#define SPIN_LEAST_NS 2000
#define LOOKS_PER_CLOCK 16

typedef struct word {
    _Alignas(OXI_ALIGN) _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
    _Atomic int32_t spin_ns;
} word;

typedef struct worker {
    oxi_pool *pool;
    pthread_t handle;
    int index;
} worker;

struct oxi_pool {
    word round, running, phase;
    _Alignas(OXI_ALIGN) _Atomic uint32_t arrived; /* at the barrier now */
    _Atomic uint64_t barriers;
    /* Written before `round` changes, read after. */
    oxi_job *job;
    void *arg;
    atomic_bool claimed; /* by a thread that runs jobs */
    pid_t process;       /* the process the workers live in; a forked child has none of them */
    bool stopping;
    bool spin; /* false: more threads than processors, so spinning is always in vain */
    int n_threads, n_started;
    oxi_park park;
    worker *workers; /* n_threads - 1 */
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* `yield` is a no-op on most cores */
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spin until the word changes or the time is over; returns the last value seen. */
static uint32_t spin(word *w, uint32_t seen)
{
    const int32_t budget = atomic_load_explicit(&w->spin_ns, memory_order_relaxed);
    const int64_t until = now_ns() + budget;
    uint32_t value = seen;
    do {
        for (int i = 0; value == seen && i < LOOKS_PER_CLOCK; i++) {
            relax();
            value = atomic_load_explicit(&w->value, memory_order_acquire);
        }
    } while (value == seen && now_ns() < until);
    const int32_t learnt = value != seen ? (budget < SPIN_MOST_NS / 2 ? 2 * budget : SPIN_MOST_NS)
                                         : (budget > SPIN_LEAST_NS * 2 ? budget / 2 : SPIN_LEAST_NS);
    if (learnt != budget) atomic_store_explicit(&w->spin_ns, learnt, memory_order_relaxed);
    return value;
}

/* Wait until the word no longer holds `seen`; returns its new value. */
static uint32_t await_change(oxi_pool *pool, word *w, uint32_t seen)
{
    uint32_t value = atomic_load_explicit(&w->value, memory_order_acquire);
    if (value == seen && pool->spin) value = spin(w, seen);
    if (value != seen) return value;
    atomic_fetch_add(&w->sleepers, 1);
    while ((value = atomic_load(&w->value)) == seen) oxi_park_wait(&pool->park, &w->value, seen);
    atomic_fetch_sub(&w->sleepers, 1);
    return value;
}

static void wake(oxi_pool *pool, word *w)
{
    if (atomic_load(&w->sleepers)) oxi_park_wake(&pool->park, &w->value);
}

static void *work(void *arg)
{
    const worker *self = arg;
    oxi_pool *pool = self->pool;
#if defined(__linux__)
    char name[16];
    snprintf(name, sizeof name, "oxillama-%d", self->index);
    pthread_setname_np(pthread_self(), name);
#endif
    /* The pool opens at round 0, so a job that starts before this thread runs is not missed. */
    for (uint32_t round = 0;;) {
        round = await_change(pool, &pool->round, round);
        if (pool->stopping) return NULL;
        pool->job(pool->arg, self->index, pool->n_threads);
        if (atomic_fetch_sub(&pool->running.value, 1) == 1) wake(pool, &pool->running);
    }
}

/* Number of processors this process may run on. */
static int n_processors(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* Workers block signals: handlers belong to the threads of the embedding program. Signals raised by a thread's own
 * instruction stay open; otherwise the process would end before a handler could report where. */
static void block_signals(sigset_t *before)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

static int start_workers(oxi_pool *pool)
{
    pthread_attr_t attr;
    int failed = pthread_attr_init(&attr);
    if (failed) return failed;
    sigset_t before;
    block_signals(&before);
    failed = pthread_attr_setstacksize(&attr, STACK_BYTES);
    while (!failed && pool->n_started < pool->n_threads - 1) {
        worker *w = &pool->workers[pool->n_started];
        *w = (worker){.pool = pool, .index = pool->n_started + 1};
        failed = pthread_create(&w->handle, &attr, work, w);
        if (!failed) pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return failed;
}

oxi_status oxi_pool_open(oxi_pool **out, int n_threads, oxi_error *err)
{
    *out = NULL;
    if (n_threads < 1 || n_threads > MAX_THREADS)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "threads: %d is not between 1 and %d", n_threads, MAX_THREADS);
    oxi_pool *pool = oxi_alloc(sizeof *pool);
    if (!pool) return oxi_fail(err, OXI_ERR_NOMEM, "threads: out of memory");
    pool->n_threads = n_threads;
    pool->process = getpid();
    pool->spin = n_threads <= n_processors();
    pool->round.spin_ns = pool->running.spin_ns = pool->phase.spin_ns = SPIN_MOST_NS;
    pool->workers = oxi_alloc_array((size_t)n_threads, sizeof *pool->workers);
    if (!pool->workers || oxi_park_init(&pool->park) != 0) {
        oxi_free(pool->workers);
        oxi_free(pool);
        return oxi_fail(err, OXI_ERR_NOMEM, "threads: out of memory");
    }
    const int failed = start_workers(pool);
    if (failed) {
        const int started = pool->n_started + 1;
        oxi_pool_close(&pool);
        errno = failed;
        return oxi_fail(err, OXI_ERR_IO, "threads: the system gave only %d of %d: %s", started, n_threads,
                        strerror(failed));
    }
    *out = pool;
    return OXI_OK;
}

static void start_round(oxi_pool *pool)
{
    atomic_fetch_add(&pool->round.value, 1);
    wake(pool, &pool->round);
}

void oxi_pool_close(oxi_pool **pool)
{
    oxi_pool *p = *pool;
    *pool = NULL;
    if (!p) return;
    if (p->process == getpid()) {
        p->stopping = true;
        start_round(p);
        for (int i = 0; i < p->n_started; i++) pthread_join(p->workers[i].handle, NULL);
        oxi_park_destroy(&p->park);
    } /* else only the memory was copied: waiting for the threads would never end */
    oxi_free(p->workers);
    oxi_free(p);
}

oxi_status oxi_pool_claim(oxi_pool *pool, oxi_error *err)
{
    if (pool->process != getpid())
        return oxi_fail(err, OXI_ERR_ARGUMENT,
                        "this process was forked from the one that loaded the model, without its threads: load it again here");
    if (atomic_exchange_explicit(&pool->claimed, true, memory_order_acquire))
        return oxi_fail(err, OXI_ERR_ARGUMENT, "another thread is computing with these threads: one at a time");
    return OXI_OK;
}

void oxi_pool_release(oxi_pool *pool) { atomic_store_explicit(&pool->claimed, false, memory_order_release); }

int oxi_pool_size(const oxi_pool *pool) { return pool->n_threads; }

uint64_t oxi_pool_barriers(const oxi_pool *pool) { return atomic_load_explicit(&pool->barriers, memory_order_relaxed); }

void oxi_pool_run(oxi_pool *pool, oxi_job *job, void *arg)
{
    if (pool->n_threads == 1) {
        job(arg, 0, 1);
        return;
    }
    pool->job = job;
    pool->arg = arg;
    atomic_store_explicit(&pool->running.value, (uint32_t)pool->n_threads - 1, memory_order_relaxed);
    start_round(pool);
    job(arg, 0, pool->n_threads);
    for (uint32_t left = atomic_load_explicit(&pool->running.value, memory_order_acquire); left;)
        left = await_change(pool, &pool->running, left);
}

void oxi_pool_barrier(oxi_pool *pool)
{
    if (pool->n_threads == 1) {
        atomic_fetch_add_explicit(&pool->barriers, 1, memory_order_relaxed);
        return;
    }
    const uint32_t phase = atomic_load_explicit(&pool->phase.value, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 < (uint32_t)pool->n_threads) {
        await_change(pool, &pool->phase, phase);
        return;
    }
    /* The last thread to arrive opens the barrier. It resets `arrived` first, for threads that run ahead to the next
     * barrier. */
    atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->barriers, 1, memory_order_relaxed);
    atomic_fetch_add(&pool->phase.value, 1);
    wake(pool, &pool->phase);
}
