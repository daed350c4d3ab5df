/* Run by test_pool.py: exercises pool and allocator, and exits 1 with a line on stderr when a promise is broken. */
#include "oxillama.h"
#include "platform/memory.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPECT(condition, ...)                                                                                        \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, __VA_ARGS__);                                                                             \
            fputc('\n', stderr);                                                                                      \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

typedef struct shared_sum {
    oxi_pool *pool;
    int n_phases, n_threads;
    long *cells; /* [n_threads], plain memory: only barriers order the accesses */
    long wrong, sum;
} shared_sum;

/* One thread runs it while the others wait. */
static void add_up(void *arg)
{
    shared_sum *s = arg;
    for (int i = 0; i < s->n_threads; i++) s->sum += s->cells[i];
}

/* Each phase every thread adds one to its own cell; after the barrier thread 0 must see all of them. */
static void count_phases(void *arg, int thread, int n_threads)
{
    shared_sum *s = arg;
    for (int phase = 1; phase <= s->n_phases; phase++) {
        s->cells[thread]++;
        const long before = s->sum;
        oxi_pool_barrier(s->pool, thread, NULL, NULL);
        if (thread == phase % n_threads)
            for (int i = 0; i < n_threads; i++) s->wrong += s->cells[i] % s->n_phases != phase % s->n_phases;
        oxi_pool_barrier(s->pool, thread, add_up, s);
        if (s->sum != before + s->cells[thread] * n_threads) s->wrong++;
    }
}

static void mark(void *arg, int thread, int n_threads)
{
    int *seen = arg;
    seen[thread] += n_threads;
}

static oxi_pool *open_pool(int n_threads)
{
    oxi_pool *pool;
    oxi_error err = {0};
    EXPECT(oxi_pool_open(&pool, n_threads, NULL, &err) == OXI_OK, "open: %s", err.text);
    EXPECT(oxi_pool_size(pool) == n_threads, "size %d", oxi_pool_size(pool));
    return pool;
}

static void check_runs(int n_threads, int n_rounds, int n_phases)
{
    oxi_pool *pool = open_pool(n_threads);
    shared_sum s = {pool, n_phases, n_threads, calloc((size_t)n_threads, sizeof(long)), 0, 0};
    for (int round = 0; round < n_rounds; round++) oxi_pool_run(pool, count_phases, &s);
    EXPECT(s.wrong == 0, "%d threads: %ld cells were seen before their barrier", n_threads, s.wrong);
    for (int i = 0; i < n_threads; i++)
        EXPECT(s.cells[i] == (long)n_rounds * n_phases, "thread %d ran %ld phases", i, s.cells[i]);
    EXPECT(oxi_pool_counted(pool).barriers == 2ull * (unsigned)n_rounds * (unsigned)n_phases, "barriers were miscounted");

    int *seen = calloc((size_t)n_threads, sizeof *seen);
    oxi_pool_run(pool, mark, seen);
    for (int i = 0; i < n_threads; i++) EXPECT(seen[i] == n_threads, "thread %d was not called once", i);
    free(seen);
    free(s.cells);
    oxi_pool_close(&pool);
    EXPECT(pool == NULL, "close left a pointer");
}

static void nothing(void *arg, int thread, int n_threads) { (void)arg, (void)thread, (void)n_threads; }

/* Jobs without barriers follow one another at once, and jobs with barriers between them still find all threads. */
static void check_short_jobs(int n_threads, int n_rounds)
{
    oxi_pool *pool = open_pool(n_threads);
    shared_sum s = {pool, 1, n_threads, calloc((size_t)n_threads, sizeof(long)), 0, 0};
    for (int round = 0; round < n_rounds; round++) {
        oxi_pool_run(pool, nothing, NULL);
        oxi_pool_run(pool, count_phases, &s);
    }
    EXPECT(s.wrong == 0, "%d threads: %ld passed a barrier early", n_threads, s.wrong);
    free(s.cells);
    oxi_pool_close(&pool);
}

/* All threads sleep, then a job starts: the caller wakes the first few, and these wake the others. */
static void check_wakes(void)
{
    enum { THREADS = 16 };
    oxi_pool *pool = open_pool(THREADS);
    int seen[THREADS] = {0};
    for (int round = 1; round <= 3; round++) {
        while (oxi_pool_counted(pool).sleeps < (unsigned)round * (THREADS - 1)) nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        const oxi_pool_counts before = oxi_pool_counted(pool);
        oxi_pool_run(pool, mark, seen);
        const oxi_pool_counts after = oxi_pool_counted(pool);
        EXPECT(after.caller_wakes - before.caller_wakes <= 4, "the caller woke %d", (int)(after.caller_wakes - before.caller_wakes));
        EXPECT(seen[THREADS - 1] == round * THREADS, "a sleeping thread missed its job");
    }
    oxi_pool_close(&pool);
}

#if defined(__linux__)
#include <sched.h>

static void look_at_processors(void *arg, int thread, int n_threads)
{
    (void)n_threads;
    sched_getaffinity(0, sizeof(cpu_set_t), &((cpu_set_t *)arg)[thread]);
}

/* Each thread runs on its processor alone, the caller only during the job. */
static void check_binding(void)
{
    cpu_set_t allowed, sets[CPU_SETSIZE], after;
    int cpus[CPU_SETSIZE + 1], n = 0;
    oxi_pool *pool;
    oxi_error err = {0};
    EXPECT(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "no affinity");
    for (int i = CPU_SETSIZE - 1; i >= 0; i--)
        if (CPU_ISSET((size_t)i, &allowed)) cpus[n++] = i;
    EXPECT(oxi_pool_open(&pool, n, cpus, &err) == OXI_OK, "open: %s", err.text);
    oxi_pool_run(pool, look_at_processors, sets);
    for (int i = 0; i < n; i++)
        EXPECT(CPU_COUNT(&sets[i]) == 1 && CPU_ISSET((size_t)cpus[i], &sets[i]), "thread %d is not on processor %d", i, cpus[i]);
    sched_getaffinity(0, sizeof after, &after);
    EXPECT(CPU_EQUAL(&after, &allowed), "the caller stayed bound");
    oxi_pool_close(&pool);

    cpus[n] = cpus[0];
    EXPECT(oxi_pool_open(&pool, n + 1, cpus, &err) == OXI_ERR_ARGUMENT && strstr(err.text, "twice"), "twice: %s", err.text);
    const int bad[] = {-1, CPU_SETSIZE, CPU_SETSIZE - 1};
    for (int i = 0; i < 3; i++) {
        cpus[0] = bad[i];
        EXPECT(oxi_pool_open(&pool, 1, cpus, &err) == OXI_ERR_ARGUMENT && strstr(err.text, "may not run on processor"), "%s", err.text);
    }
}
#else
static void check_binding(void)
{
    oxi_pool *pool;
    oxi_error err = {0};
    EXPECT(oxi_pool_open(&pool, 1, &(int){0}, &err) == OXI_ERR_ARGUMENT && strstr(err.text, "does not bind"), "%s", err.text);
}
#endif

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    const double seconds = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec);
    return seconds + 1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

/* Half a second of doing nothing: a spinning pool of 4 would use 2 s of processor time, a sleeping one none. */
static void check_idle(void)
{
    oxi_pool *pool = open_pool(4);
    int seen[4] = {0};
    oxi_pool_run(pool, mark, seen);
    const double before = cpu_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    const double used = cpu_seconds() - before;
    EXPECT(used < 0.1, "an idle pool used %.3f s of processor time in 0.5 s", used);
    oxi_pool_run(pool, mark, seen); /* and it still wakes */
    EXPECT(seen[3] == 8, "a sleeping thread missed its job");
    oxi_pool_close(&pool);
}

static void check_bounds(void)
{
    const int bad[] = {0, -1, 1025};
    for (int i = 0; i < 3; i++) {
        oxi_pool *pool = (oxi_pool *)&pool;
        oxi_error err = {0};
        EXPECT(oxi_pool_open(&pool, bad[i], NULL, &err) == OXI_ERR_ARGUMENT, "%d threads were accepted", bad[i]);
        EXPECT(pool == NULL && strstr(err.text, "threads"), "unclear error: %s", err.text);
    }
    oxi_pool *none = NULL;
    oxi_pool_close(&none);
}

/* What a thread's own instruction raises must reach a handler, or the process ends without a word; the rest belongs to
 * other threads. */
static void look_at_signals(void *arg, int thread, int n_threads)
{
    (void)n_threads;
    if (thread) pthread_sigmask(SIG_SETMASK, NULL, &((sigset_t *)arg)[thread]);
}

static void check_signals(void)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL}, others[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM};
    oxi_pool *pool = open_pool(3);
    sigset_t blocked[3];
    oxi_pool_run(pool, look_at_signals, blocked);
    for (int t = 1; t < 3; t++) {
        for (int i = 0; i < 4; i++) EXPECT(!sigismember(&blocked[t], own[i]), "a worker blocks signal %d", own[i]);
        for (int i = 0; i < 5; i++) EXPECT(sigismember(&blocked[t], others[i]), "a worker takes signal %d", others[i]);
    }
    oxi_pool_close(&pool);
}

static void *claim_too(void *arg)
{
    oxi_error err = {0};
    EXPECT(oxi_pool_claim(arg, &err) == OXI_ERR_ARGUMENT && strstr(err.text, "another thread"), "claimed twice: %s", err.text);
    return NULL;
}

static void check_claims(void)
{
    oxi_pool *pool = open_pool(2);
    oxi_error err = {0};
    for (int round = 0; round < 2; round++) {
        EXPECT(oxi_pool_claim(pool, &err) == OXI_OK, "claim: %s", err.text);
        pthread_t other;
        EXPECT(pthread_create(&other, NULL, claim_too, pool) == 0, "no thread");
        pthread_join(other, NULL);
        oxi_pool_release(pool);
    }
    oxi_pool_close(&pool);
}

/* A child has none of the pool's threads: using them is an error, and closing the pool ends. */
static void check_fork(void)
{
    oxi_pool *pool = open_pool(3);
    const pid_t child = fork();
    if (child == 0) {
        oxi_error err = {0};
        alarm(20);
        const int refused = oxi_pool_claim(pool, &err) == OXI_ERR_ARGUMENT && strstr(err.text, "forked");
        oxi_pool_close(&pool);
        _exit(refused ? 0 : 3);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0, "the child ended with %#x", (unsigned)status);
    int seen[3] = {0};
    oxi_pool_run(pool, mark, seen);
    EXPECT(seen[2] == 3, "the parent's threads are gone");
    oxi_pool_close(&pool);
}

static void check_memory(void)
{
    const size_t sizes[] = {0, 1, 63, 64, 65, 4096, ((size_t)2 << 20) - 65, (size_t)2 << 20, ((size_t)5 << 20) + 7};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *m = oxi_alloc(sizes[i]);
        EXPECT(m && (uintptr_t)m % OXI_ALIGN == 0, "%zu bytes are not aligned", sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++) EXPECT(m[j] == 0, "byte %zu of %zu is not zero", j, sizes[i]);
        memset(m, 0xa5, sizes[i]);
        oxi_free(m);
    }
    oxi_free(NULL);
    EXPECT(!oxi_alloc(SIZE_MAX) && !oxi_alloc(SIZE_MAX - 64) && !oxi_alloc(SIZE_MAX - 128), "too much was given");
    EXPECT(!oxi_alloc(SIZE_MAX - ((size_t)3 << 20)), "the round-up to a huge page wrapped");
    EXPECT(!oxi_alloc_array(SIZE_MAX / 2, 3), "an overflowing product was given");
}

int main(void)
{
    check_bounds();
    check_memory();
    check_runs(1, 50, 3);
    check_runs(2, 400, 5);
    check_runs(3, 200, 5);
    check_runs(16, 20, 4); /* more threads than most test machines have processors */
    check_runs(20, 20, 4); /* three groups at the barrier */
    check_short_jobs(17, 30);
    check_wakes();
    check_binding();
    check_idle();
    check_signals();
    check_claims();
    check_fork();
    return 0;
}
