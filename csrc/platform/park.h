/* Sleeping until a 32-bit word changes: a futex on Linux, a condition variable elsewhere. */
#ifndef OXI_PARK_H
#define OXI_PARK_H

#include <stdatomic.h>
#include <stdint.h>

#if defined(__linux__) && !defined(OXI_PARK_PORTABLE) /* the macro lets Linux test the portable half */

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct oxi_park {
    int unused;
} oxi_park;

static inline int oxi_park_init(oxi_park *park) { (void)park; return 0; }
static inline void oxi_park_destroy(oxi_park *park) { (void)park; }

/* Sleep while *word == seen. May return early: callers check again. */
static inline void oxi_park_wait(oxi_park *park, _Atomic uint32_t *word, uint32_t seen)
{
    (void)park;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

/* Wake all threads that sleep on `word`. Call it after changing the word. */
static inline void oxi_park_wake(oxi_park *park, _Atomic uint32_t *word)
{
    (void)park;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#else

#include <pthread.h>

typedef struct oxi_park {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} oxi_park;

static inline int oxi_park_init(oxi_park *park)
{
    const int failed = pthread_mutex_init(&park->mutex, NULL);
    return failed ? failed : pthread_cond_init(&park->changed, NULL);
}

static inline void oxi_park_destroy(oxi_park *park)
{
    pthread_cond_destroy(&park->changed);
    pthread_mutex_destroy(&park->mutex);
}

static inline void oxi_park_wait(oxi_park *park, _Atomic uint32_t *word, uint32_t seen)
{
    pthread_mutex_lock(&park->mutex);
    if (atomic_load(word) == seen) pthread_cond_wait(&park->changed, &park->mutex);
    pthread_mutex_unlock(&park->mutex);
}

/* Taking the mutex orders this wake-up after the sleeper's check of the word. */
static inline void oxi_park_wake(oxi_park *park, _Atomic uint32_t *word)
{
    (void)word;
    pthread_mutex_lock(&park->mutex);
    pthread_cond_broadcast(&park->changed);
    pthread_mutex_unlock(&park->mutex);
}

#endif
#endif
