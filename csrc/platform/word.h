/* Waiting for a word to change: spin for a while, then sleep. Each word learns how long to spin: a spin that sees a change
 * doubles the time, one in vain halves it. So threads that have a processor each meet without system calls, and threads
 * that share one do not keep each other from running.
 *
 * A thread counts itself in `sleepers` before it sleeps, and a thread that changes the word reads that count afterwards.
 * Both are sequentially consistent, so either the sleeper sees the new word or the changer sees the sleeper. Without
 * sleepers there is no system call.
 */
#ifndef OXI_WORD_H
#define OXI_WORD_H

#include "platform/memory.h"
#include "platform/park.h"

#include <stdbool.h>
#include <time.h>

/* The longest spin is longer than threads with equal work usually are apart, and short enough that an idle pool sleeps
 * before its cost can be measured. The shortest spin is long enough to notice that a processor has become free. */
enum { OXI_SPIN_MOST_NS = 100000, OXI_SPIN_LEAST_NS = 2000, OXI_LOOKS_PER_CLOCK = 16 };

/* Has a cache line of its own. */
typedef struct oxi_word {
    _Alignas(OXI_ALIGN) _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
    _Atomic int32_t spin_ns;
    _Atomic uint32_t slept, woken; /* for measurements: sleeps, and system calls that ended them; they wrap around */
    oxi_park park;
} oxi_word;

/* 0, or an error number. */
static inline int oxi_word_init(oxi_word *w)
{
    atomic_store_explicit(&w->spin_ns, OXI_SPIN_MOST_NS, memory_order_relaxed);
    return oxi_park_init(&w->park);
}

static inline void oxi_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* `yield` is a no-op on most cores */
#endif
}

static inline int64_t oxi_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spin until the word changes or the time is over; returns the last value seen. */
static inline uint32_t oxi_word_spin(oxi_word *w, uint32_t seen)
{
    const int32_t budget = atomic_load_explicit(&w->spin_ns, memory_order_relaxed);
    const int64_t until = oxi_now_ns() + budget;
    uint32_t value = seen;
    do {
        for (int i = 0; value == seen && i < OXI_LOOKS_PER_CLOCK; i++) {
            oxi_relax();
            value = atomic_load_explicit(&w->value, memory_order_acquire);
        }
    } while (value == seen && oxi_now_ns() < until);
    const int32_t learnt = value != seen ? (budget < OXI_SPIN_MOST_NS / 2 ? 2 * budget : OXI_SPIN_MOST_NS)
                                         : (budget > OXI_SPIN_LEAST_NS * 2 ? budget / 2 : OXI_SPIN_LEAST_NS);
    if (learnt != budget) atomic_store_explicit(&w->spin_ns, learnt, memory_order_relaxed);
    return value;
}

/* Wait until the word no longer holds `seen`. may_spin: false if spinning would be in vain. */
static inline void oxi_word_await(oxi_word *w, uint32_t seen, bool may_spin)
{
    uint32_t value = atomic_load_explicit(&w->value, memory_order_acquire);
    if (value == seen && may_spin) value = oxi_word_spin(w, seen);
    if (value != seen) return;
    atomic_fetch_add_explicit(&w->slept, 1, memory_order_relaxed);
    atomic_fetch_add(&w->sleepers, 1);
    while (atomic_load(&w->value) == seen) oxi_park_wait(&w->park, &w->value, seen);
    atomic_fetch_sub(&w->sleepers, 1);
}

/* True if threads slept, and a system call woke them. */
static inline bool oxi_word_change(oxi_word *w)
{
    atomic_fetch_add(&w->value, 1);
    if (!atomic_load(&w->sleepers)) return false;
    atomic_fetch_add_explicit(&w->woken, 1, memory_order_relaxed);
    oxi_park_wake(&w->park, &w->value);
    return true;
}

#endif
