/* What attention prefetches while it computes.
 *
 * A head's pages are far apart, so the hardware prefetcher does not find the next one. Each software prefetch occupies one
 * of the few line-fill buffers until memory answers, and loads that miss the L1 cache wait for a buffer too. So prefetches
 * should be spread evenly and alternate between several pages. The hardware then sees that many streams of addresses and
 * prefetches ahead of them into the L2 cache, which has more buffers.
 *
 * Few rows compute about as fast as memory is read. They prefetch three of four pages of a block's values while they
 * read its keys, the rest during the softmax, and the next keys while they read values. Many rows compute for longer
 * than they read: they prefetch the next pages of what they are reading. Included by attend_body.h.
 *
 * That suits processors that gain from several runs of addresses. For the others, few rows that read codes prefetch one
 * run (fetching.h): keys, values and the next keys in the order in which they are read. The softmax, which reads nothing
 * of them, prefetches what is left over beside keys and values: where as many lines are prefetched there as are read, the
 * lines of scales alone.
 */

static void fetch(const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

/* Pages of keys or values; their codes are behind `head` bytes of scales. */
typedef struct page_span {
    const uint8_t *const *pages; /* [n] */
    int32_t n;
    size_t head, bytes;
} page_span;

/* One run of addresses to prefetch into the second cache: the pages of three spans in their order. */
typedef struct line_run {
    page_span spans[3];
    int32_t span, page; /* the next page */
    const uint8_t *at, *end;
} line_run;

static bool next_page(line_run *f)
{
    for (; f->page >= f->spans[f->span].n; f->page = 0)
        if (++f->span == 3) {
            f->span = 2;
            return false;
        }
    const page_span *const here = &f->spans[f->span];
    const uint8_t *const page = here->pages[f->page++];
    f->at = page + here->head;
    f->end = page + here->bytes;
    return true;
}

static void fetch_run(line_run *f, int32_t n_lines)
{
    for (; n_lines > 0; n_lines--) {
        if (f->at >= f->end && !next_page(f)) return;
        __builtin_prefetch(f->at, 0, 2);
        f->at += 64;
    }
}

/* How many lines are left. */
static int32_t lines_left(const line_run *f)
{
    int32_t n = f->at < f->end ? (int32_t)((f->end - f->at + 63) / 64) : 0;
    for (int32_t i = f->span; i < 3; i++)
        n += (f->spans[i].n - (i == f->span ? f->page : 0)) * (int32_t)((f->spans[i].bytes - f->spans[i].head + 63) / 64);
    return n;
}

/* Four streams of addresses to prefetch; or one run, `lines` of it, three or four, beside four lines that are read. */
typedef struct four_places {
    const uint8_t *at[4];
    bool any;
    line_run *run;
    int32_t lines;
} four_places;

static const four_places nowhere;

/* The places after `done` bytes have been read; of a run the next line and the end of its page. Kept in the caller's
 * registers. */
INLINE four_places further(const four_places *f, int64_t done)
{
    four_places to = *f;
    if (!f->any) return to;
    if (f->run) {
        to.at[0] = f->run->at;
        to.at[1] = f->run->end;
        return to;
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) to.at[i] += done / 4;
    return to;
}

/* Prefetch what belongs to the 256 bytes from `done` on, if they start there. */
INLINE void fetch_beside(four_places *f, int64_t done)
{
    if (!f->any || done / 4 % 64) return;
    if (f->run) {
        const uint8_t *const at = f->at[0];
        if (f->at[1] - at < 256) { /* the page may end */
            f->run->at = at;
            fetch_run(f->run, f->lines);
            *f = further(f, 0);
            return;
        }
        if (f->lines > 3) __builtin_prefetch(at + 192, 0, 2);
#pragma GCC unroll 3
        for (int i = 0; i < 3; i++) __builtin_prefetch(at + 64 * i, 0, 2);
        f->at[0] = at + 64 * f->lines;
        return;
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) __builtin_prefetch(f->at[i] + done / 4);
}

/* The run goes on after what has been prefetched. */
INLINE void fetched_beside(const four_places *f)
{
    if (f->any && f->run) f->run->at = f->at[0];
}

/* Pages to prefetch from byte `at` to before `end`, one line of each page in turn. */
typedef struct page_list {
    const uint8_t *const *pages; /* [n] */
    int32_t n, turn;
    size_t at, end;
} page_list;

INLINE void fetch_lines(page_list *f, int32_t n_lines)
{
    for (; n_lines > 0 && f->at < f->end; n_lines--) {
        __builtin_prefetch(f->pages[f->turn] + f->at);
        if (++f->turn < f->n) continue;
        f->turn = 0;
        f->at += 64;
    }
}

/* How many of n_pages pages of values are prefetched with the keys. */
static int32_t fetched_with_keys(int32_t n_pages) { return (3 * n_pages + 3) / 4; }

/* The keys after those of the block at `first`: of the next block, or of the next call. */
static page_list keys_after(const oxi_attend *a, int32_t first)
{
    if (a->n_rows > TILE_ROWS) return (page_list){0};
    const int32_t next = first + OXI_ATTEND_KEYS, left = a->n_keys - next;
    if (left <= 0) return (page_list){.pages = a->next_keys, .n = a->n_next};
    const int32_t n = left < OXI_ATTEND_KEYS ? left : OXI_ATTEND_KEYS;
    return (page_list){.pages = a->keys + next / OXI_PAGE_TOKENS, .n = (n + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS};
}

/* Which of n parts is prefetched beside step `step` of n_steps, or -1. */
static int32_t part_beside(int32_t n, int32_t step, int32_t n_steps)
{
    const int32_t part = step * n / n_steps;
    return (step + 1) * n / n_steps > part ? part : -1;
}

/* What few rows prefetch of n pages, four at a time, beside a step that reads two: half of each page, whose codes are
 * behind `head` bytes of scales. */
static four_places halves_beside(const uint8_t *const *pages, int32_t n, int32_t step, int32_t n_steps, size_t head,
                                 size_t bytes)
{
    const int32_t part = part_beside((n + 3) / 4 * 2, step, n_steps), first = part / 2 * 4, half = part % 2;
    if (part < 0) return nowhere;
    four_places f = {.any = true};
    for (int32_t i = 0; i < 4; i++) {
        const uint8_t *page = pages[first + i < n ? first + i : n - 1];
        if (half == 0) fetch(page, head);
        f.at[i] = page + head + (size_t)half * (bytes - head) / 2;
    }
    return f;
}

/* What many rows prefetch beside two pages: the codes of pages p and p + 1 of n. */
static four_places pages_beside(const uint8_t *const *pages, int32_t n, int32_t p, size_t head, size_t bytes)
{
    if (p >= n) return nowhere;
    four_places f = {.any = true};
    for (int32_t i = 0; i < 4; i++)
        f.at[i] = pages[i % 2 && p + 1 < n ? p + 1 : p] + head + (size_t)(i / 2) * (bytes - head) / 2;
    return f;
}

/* What few rows prefetch of one run of addresses while they work on a block of keys: the rest of its keys, its values, the
 * first of the next keys. The first keys are there already. */
static line_run run_of_block(page_span keys, page_span values, page_span next, int32_t ahead)
{
    next.n = next.n < ahead ? next.n : ahead;
    return (line_run){.spans = {keys, values, next}, .page = keys.n < ahead ? keys.n : ahead};
}
