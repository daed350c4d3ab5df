/* SentencePiece BPE: neighbouring pieces of a text merge, best score first, as long as some pair makes a token.
 *
 * A piece is identified by its first byte: end[i] is where piece i ends (0: it was merged into the piece before it),
 * previous[i] is where its left neighbour starts. A heap holds the pairs that make a token; an entry whose pieces have
 * changed since is skipped. Each merge removes a piece and adds at most two entries, so the work is n log n.
 */
#include <stdlib.h>
#include <string.h>

#include "oxillama.h"

#define NONE UINT32_MAX

typedef struct slot {
    uint32_t hash;
    uint32_t token; /* NONE: free */
} slot;

struct oxi_spm {
    size_t n_tokens;
    uint64_t longest; /* bytes of the longest token */
    uint64_t key[2];  /* of the hash */
    uint64_t mask;    /* slots - 1 */
    slot *slots;
    uint64_t *ends;   /* token i is bytes[ends[i - 1], ends[i]) */
    float *scores;
    char *bytes;
};

static inline uint64_t rotated(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] = rotated(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] = rotated(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): nobody can choose collisions without
 * the key. Hashes that multiply and fold are faster, but some pairs of texts collide under every key. */
static uint32_t hash_of(const uint64_t key[2], const char *text, uint64_t n)
{
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                     key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t word, last = n << 56;
    for (; n >= 8; n -= 8, text += 8) {
        memcpy(&word, text, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    memcpy(&word, text, n);
    last |= word;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    return (uint32_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

static uint64_t token_start(const oxi_spm *spm, uint32_t token)
{
    return token ? spm->ends[token - 1] : 0;
}

/* The slot of a text: the one that holds its token, or the free one where it belongs. */
static slot *find_slot(const oxi_spm *spm, const char *text, uint64_t n, uint32_t hash)
{
    for (uint64_t at = hash & spm->mask;; at = (at + 1) & spm->mask) {
        slot *s = &spm->slots[at];
        if (s->token == NONE) return s;
        if (s->hash != hash) continue;
        const uint64_t start = token_start(spm, s->token);
        if (spm->ends[s->token] - start == n && !memcmp(spm->bytes + start, text, n)) return s;
    }
}

static uint32_t find(const oxi_spm *spm, const char *text, uint64_t n)
{
    if (n > spm->longest) return NONE;
    return find_slot(spm, text, n, hash_of(spm->key, text, n))->token;
}

void oxi_spm_close(oxi_spm **spm)
{
    if (!*spm) return;
    free((*spm)->slots);
    free((*spm)->ends);
    free((*spm)->scores);
    free((*spm)->bytes);
    free(*spm);
    *spm = NULL;
}

static void *copy_of(const void *from, size_t count, size_t size)
{
    void *to = count <= SIZE_MAX / size ? malloc(count ? count * size : 1) : NULL;
    if (to && count) memcpy(to, from, count * size);
    return to;
}

oxi_status oxi_spm_open(oxi_spm **out, const char *bytes, const uint64_t *ends, const float *scores, size_t n_tokens,
                        uint64_t seed, oxi_error *err)
{
    *out = NULL;
    if (n_tokens >= NONE / 4) return oxi_fail(err, OXI_ERR_ARGUMENT, "vocabulary: %zu tokens are too many", n_tokens);
    for (size_t i = 0; i < n_tokens; i++) {
        if (i && ends[i] < ends[i - 1])
            return oxi_fail(err, OXI_ERR_ARGUMENT, "vocabulary: token %zu ends before it starts", i);
        if (scores[i] != scores[i]) return oxi_fail(err, OXI_ERR_ARGUMENT, "vocabulary: the score of token %zu is no number", i);
    }
    uint64_t n_slots = 16;
    while (n_slots < 2 * (uint64_t)n_tokens) n_slots *= 2;

    oxi_spm *spm = calloc(1, sizeof *spm);
    if (!spm) return oxi_fail(err, OXI_ERR_NOMEM, "vocabulary: out of memory");
    spm->n_tokens = n_tokens;
    spm->key[0] = seed;
    spm->key[1] = seed * UINT64_C(0xd1342543de82ef95) + UINT64_C(0x9e3779b97f4a7c15); /* as secret as the seed */
    spm->mask = n_slots - 1;
    spm->slots = malloc(n_slots * sizeof *spm->slots);
    spm->ends = copy_of(ends, n_tokens, sizeof *ends);
    spm->scores = copy_of(scores, n_tokens, sizeof *scores);
    spm->bytes = copy_of(bytes, n_tokens ? ends[n_tokens - 1] : 0, 1);
    if (!spm->slots || !spm->ends || !spm->scores || !spm->bytes) {
        oxi_spm_close(&spm);
        return oxi_fail(err, OXI_ERR_NOMEM, "vocabulary: out of memory");
    }
    for (uint64_t i = 0; i < n_slots; i++) spm->slots[i] = (slot){.token = NONE};
    for (uint32_t i = 0; i < n_tokens; i++) {
        const uint64_t start = token_start(spm, i), n = spm->ends[i] - start;
        if (n == 0) continue;
        const uint32_t hash = hash_of(spm->key, spm->bytes + start, n);
        slot *s = find_slot(spm, spm->bytes + start, n, hash);
        if (s->token == NONE) *s = (slot){.hash = hash, .token = i};
        if (n > spm->longest) spm->longest = n;
    }
    *out = spm;
    return OXI_OK;
}

/* A pair of neighbours that makes a token: text[left, end). */
typedef struct pair {
    float score;
    uint32_t left, end;
} pair;

typedef struct work {
    const oxi_spm *spm;
    const char *text;
    uint32_t n;
    uint32_t *end, *previous;
    pair *heap;
    size_t heap_used, heap_size;
} work;

/* The better score goes first; on a tie, the pair further left. */
static bool goes_first(const pair *a, const pair *b)
{
    if (a->score != b->score) return a->score > b->score;
    if (a->left != b->left) return a->left < b->left;
    return a->end < b->end;
}

static bool push(work *w, pair p)
{
    if (w->heap_used == w->heap_size) {
        const size_t size = w->heap_size ? 2 * w->heap_size : 64;
        pair *grown = realloc(w->heap, size * sizeof *grown);
        if (!grown) return false;
        w->heap = grown;
        w->heap_size = size;
    }
    size_t at = w->heap_used++;
    while (at) {
        const size_t parent = (at - 1) / 2;
        if (!goes_first(&p, &w->heap[parent])) break;
        w->heap[at] = w->heap[parent];
        at = parent;
    }
    w->heap[at] = p;
    return true;
}

static pair pop(work *w)
{
    const pair top = w->heap[0], last = w->heap[--w->heap_used];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= w->heap_used) break;
        if (child + 1 < w->heap_used && goes_first(&w->heap[child + 1], &w->heap[child])) child++;
        if (!goes_first(&w->heap[child], &last)) break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    if (w->heap_used) w->heap[at] = last;
    return top;
}

static bool push_if_token(work *w, uint32_t left, uint32_t end)
{
    const uint32_t token = find(w->spm, w->text + left, end - left);
    return token == NONE || push(w, (pair){.score = w->spm->scores[token], .left = left, .end = end});
}

/* Bytes of the character that this lead byte starts. */
static uint32_t character_size(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

static bool start_with_characters(work *w)
{
    uint32_t before = NONE;
    for (uint32_t at = 0; at < w->n;) {
        const uint32_t size = character_size((unsigned char)w->text[at]), left = w->n - at;
        w->end[at] = at + (size < left ? size : left);
        w->previous[at] = before;
        before = at;
        at = w->end[at];
    }
    for (uint32_t at = 0; w->end[at] < w->n; at = w->end[at])
        if (!push_if_token(w, at, w->end[w->end[at]])) return false;
    return true;
}

static bool merge_all(work *w)
{
    while (w->heap_used) {
        const pair p = pop(w);
        const uint32_t middle = w->end[p.left];
        /* The left piece is gone or has grown, or the right one has. */
        if (middle == 0 || middle >= p.end || w->end[middle] != p.end) continue;
        w->end[p.left] = p.end;
        w->end[middle] = 0;
        if (p.end < w->n) {
            w->previous[p.end] = p.left;
            if (!push_if_token(w, p.left, w->end[p.end])) return false;
        }
        const uint32_t before = w->previous[p.left];
        if (before != NONE && !push_if_token(w, before, p.end)) return false;
    }
    return true;
}

static size_t write_tokens(const work *w, int32_t *out)
{
    size_t count = 0;
    for (uint32_t at = 0; at < w->n; at = w->end[at]) {
        const uint32_t token = find(w->spm, w->text + at, w->end[at] - at);
        if (token != NONE) out[count++] = (int32_t)token;
        else
            for (uint32_t i = at; i < w->end[at]; i++) out[count++] = -1 - (int32_t)(unsigned char)w->text[i];
    }
    return count;
}

oxi_status oxi_spm_encode(const oxi_spm *spm, const char *text, size_t n, int32_t *out, size_t *n_out, oxi_error *err)
{
    *n_out = 0;
    if (n == 0) return OXI_OK;
    if (n > INT32_MAX) return oxi_fail(err, OXI_ERR_ARGUMENT, "text: %zu bytes are too many to tokenize", n);
    uint32_t *places = malloc(2 * n * sizeof *places);
    work w = {.spm = spm, .text = text, .n = (uint32_t)n, .end = places, .previous = places + n};
    const bool done = places && start_with_characters(&w) && merge_all(&w);
    if (done) *n_out = write_tokens(&w, out);
    free(w.heap);
    free(places);
    return done ? OXI_OK : oxi_fail(err, OXI_ERR_NOMEM, "text: out of memory");
}
