/* The thread pool. A job starts along a tree: the caller tells FAN workers, and each worker tells FAN others before it
 * works. So no thread wakes all the others, one system call after the other. A job ends as a barrier does, except that only
 * the caller waits. Every word and counter has a cache line of its own (word.h, barrier.h).
 */
#include "oxillama.h"
#include "platform/barrier.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#endif

#define MAX_THREADS 1024
#define STACK_BYTES ((size_t)2 << 20)
#define FAN 4

typedef struct worker {
    oxi_word go; /* changes when a job starts, or the pool ends */
    oxi_pool *pool;
    pthread_t handle;
    int index;
} worker;

struct oxi_pool {
    oxi_barrier barrier;
    /* Written before the workers' words change, read after. */
    oxi_job *job;
    void *arg;
    bool stopping;
    atomic_bool claimed; /* by a thread that runs jobs */
    _Atomic uint64_t barriers, caller_wakes;
    pid_t process; /* the process the workers live in; a forked child has none of them */
    bool spin;     /* false: more threads than processors, so spinning is always in vain */
    int n_threads, n_ready, n_started;
    int *cpus;       /* [n_threads] a processor for each thread; NULL: any */
    worker *workers; /* [n_threads], the caller's is not used */
};

/* Tell the threads below `index` in the tree that a job has started; returns how many slept. */
static int start_below(oxi_pool *pool, int index)
{
    int slept = 0;
    for (int i = FAN * index + 1; i <= FAN * index + FAN && i < pool->n_threads; i++)
        slept += oxi_word_change(&pool->workers[i].go);
    return slept;
}

static void *work(void *arg)
{
    worker *self = arg;
    oxi_pool *pool = self->pool;
#if defined(__linux__)
    char name[16];
    snprintf(name, sizeof name, "oxillama-%d", self->index);
    pthread_setname_np(pthread_self(), name);
#endif
    /* The word starts at 0, so a job that starts before this thread runs is not missed. */
    for (uint32_t round = 0;; round++) {
        oxi_word_await(&self->go, round, pool->spin);
        start_below(pool, self->index);
        if (pool->stopping) return NULL;
        pool->job(pool->arg, self->index, pool->n_threads);
        if (oxi_barrier_arrive(&pool->barrier, self->index)) oxi_barrier_open(&pool->barrier);
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

/* Let a thread run on its processor alone; where it cannot, it stays where it is. The result is 0 or an error number. */
static int pin(pthread_t thread, int cpu)
{
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return pthread_setaffinity_np(thread, sizeof set, &set);
#else
    (void)thread, (void)cpu;
    return ENOSYS;
#endif
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
        worker *w = &pool->workers[pool->n_started + 1];
        failed = pthread_create(&w->handle, &attr, work, w);
        if (failed) break;
        pool->n_started++;
        if (pool->cpus) failed = pin(w->handle, pool->cpus[w->index]);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return failed;
}

/* False: out of memory. */
static bool make_ready(oxi_pool *pool, const int *cpus)
{
    const size_t n = (size_t)pool->n_threads;
    pool->workers = oxi_alloc_array(n, sizeof *pool->workers);
    if (!pool->workers || !oxi_barrier_init(&pool->barrier, pool->n_threads)) return false;
    for (int i = 0; i < pool->n_threads; i++, pool->n_ready++) {
        pool->workers[i].pool = pool;
        pool->workers[i].index = i;
        if (oxi_word_init(&pool->workers[i].go) != 0) return false;
    }
    if (!cpus) return true;
    pool->cpus = oxi_alloc_array(n, sizeof *pool->cpus);
    if (pool->cpus) memcpy(pool->cpus, cpus, n * sizeof *cpus);
    return pool->cpus != NULL;
}

static oxi_status check_cpus(const int *cpus, int n, oxi_error *err)
{
#if defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) CPU_ZERO(&allowed);
    for (int i = 0; i < n; i++) {
        if (cpus[i] < 0 || cpus[i] >= CPU_SETSIZE || !CPU_ISSET((size_t)cpus[i], &allowed))
            return oxi_fail(err, OXI_ERR_ARGUMENT, "threads: this process may not run on processor %d", cpus[i]);
        for (int j = 0; j < i; j++)
            if (cpus[j] == cpus[i])
                return oxi_fail(err, OXI_ERR_ARGUMENT, "threads: processor %d is given twice", cpus[i]);
    }
    return OXI_OK;
#else
    (void)cpus, (void)n;
    return oxi_fail(err, OXI_ERR_ARGUMENT, "threads: this system does not bind threads to processors");
#endif
}

oxi_status oxi_pool_open(oxi_pool **out, int n_threads, const int *cpus, oxi_error *err)
{
    *out = NULL;
    if (n_threads < 1 || n_threads > MAX_THREADS)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "threads: %d is not between 1 and %d", n_threads, MAX_THREADS);
    const oxi_status s = cpus ? check_cpus(cpus, n_threads, err) : OXI_OK;
    if (s != OXI_OK) return s;
    oxi_pool *pool = oxi_alloc(sizeof *pool);
    if (!pool) return oxi_fail(err, OXI_ERR_NOMEM, "threads: out of memory");
    pool->n_threads = n_threads;
    pool->process = getpid();
    pool->spin = n_threads <= n_processors();
    if (!make_ready(pool, cpus)) {
        oxi_pool_close(&pool);
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

void oxi_pool_close(oxi_pool **pool)
{
    oxi_pool *p = *pool;
    *pool = NULL;
    if (!p) return;
    if (p->process == getpid()) {
        p->stopping = true;
        if (p->n_started) start_below(p, 0);
        for (int i = 1; i <= p->n_started; i++) pthread_join(p->workers[i].handle, NULL);
        for (int i = 0; i < p->n_ready; i++) oxi_park_destroy(&p->workers[i].go.park);
        oxi_barrier_close(&p->barrier);
    } else {
        oxi_free(p->barrier.groups); /* only the memory was copied: waiting for the threads would never end */
    }
    oxi_free(p->workers);
    oxi_free(p->cpus);
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

static void count(const oxi_word *w, oxi_pool_counts *counts)
{
    counts->sleeps += atomic_load_explicit(&w->slept, memory_order_relaxed);
    counts->wakes += atomic_load_explicit(&w->woken, memory_order_relaxed);
}

oxi_pool_counts oxi_pool_counted(const oxi_pool *pool)
{
    oxi_pool_counts counts = {0};
    for (int i = 1; i < pool->n_threads; i++) count(&pool->workers[i].go, &counts);
    for (uint32_t i = 0; i < pool->barrier.n_groups; i++) count(&pool->barrier.groups[i].phase, &counts);
    counts.barriers = atomic_load_explicit(&pool->barriers, memory_order_relaxed);
    counts.caller_wakes = atomic_load_explicit(&pool->caller_wakes, memory_order_relaxed);
    return counts;
}

/* The caller's part in a job, and the end of the job. */
static void run(oxi_pool *pool, oxi_job *job, void *arg)
{
    if (pool->n_threads == 1) {
        job(arg, 0, 1);
        return;
    }
    pool->job = job;
    pool->arg = arg;
    const int woken = start_below(pool, 0);
    if (woken) atomic_fetch_add_explicit(&pool->caller_wakes, (uint64_t)woken, memory_order_relaxed);
    job(arg, 0, pool->n_threads);
    const uint32_t phase = oxi_barrier_phase(&pool->barrier, 0);
    if (oxi_barrier_arrive(&pool->barrier, 0)) oxi_barrier_open(&pool->barrier);
    else oxi_barrier_wait(&pool->barrier, 0, phase, pool->spin);
}

void oxi_pool_run(oxi_pool *pool, oxi_job *job, void *arg)
{
#if defined(__linux__)
    cpu_set_t before; /* the thread is the embedding program's, which may have bound it elsewhere */
    const bool pinned = pool->cpus && pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0
                     && pin(pthread_self(), pool->cpus[0]) == 0;
    run(pool, job, arg);
    if (pinned) pthread_setaffinity_np(pthread_self(), sizeof before, &before);
#else
    run(pool, job, arg);
#endif
}

void oxi_pool_barrier(oxi_pool *pool, int thread, void (*once)(void *arg), void *arg)
{
    oxi_barrier *b = &pool->barrier;
    const uint32_t phase = oxi_barrier_phase(b, thread);
    if (!oxi_barrier_arrive(b, thread)) {
        oxi_barrier_wait(b, thread, phase, pool->spin);
        return;
    }
    if (once) once(arg);
    atomic_fetch_add_explicit(&pool->barriers, 1, memory_order_relaxed);
    oxi_barrier_open(b);
}
