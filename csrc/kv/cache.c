#include "kv/cache.h"
#include "kv/page.h"
#include "platform/memory.h"

#include <stdlib.h>
#include <string.h>

/* The class of a layer's window; one more class if there is none yet. */
static int32_t class_for(oxi_cache *c, int32_t window)
{
    for (int32_t i = 0; i < c->n_classes; i++)
        if (c->classes[i].window == window) return i;
    c->classes[c->n_classes].window = window;
    return c->n_classes++;
}

/* Give each layer its place in the pages of its class, and each class the size of its pages. */
static void lay_out(oxi_cache *c)
{
    (void)class_for(c, 0);
    for (int32_t i = 0; i < c->n_layers; i++) {
        oxi_cache_layer *l = &c->layers[i];
        l->kind = class_for(c, l->window);
        size_t *at = &c->classes[l->kind].pages.page_bytes;
        l->value_pad = oxi_pad16(l->value_dim);
        l->key_bytes = oxi_key_bytes(c->type, l->key_dim);
        l->value_bytes = l->shared ? 0 : oxi_value_bytes(c->type, l->value_dim);
        l->keys = *at;
        l->values = *at + l->key_bytes * (size_t)l->n_head;
        *at = l->values + l->value_bytes * (size_t)l->n_head;
    }
}

static oxi_status get_pages(oxi_cache *c, const oxi_cache_config *config, oxi_error *err)
{
    for (int32_t i = 0; i < c->n_classes; i++) {
        oxi_class *k = &c->classes[i];
        const int32_t n = oxi_window_pages(k->window, config->n_pages, config->n_batch, config->n_active, config->n_saved);
        const size_t page_bytes = k->pages.page_bytes;
        if (!oxi_pages_open(&k->pages, n, page_bytes))
            return oxi_fail(err, OXI_ERR_NOMEM, "a key/value cache of %d pages of %zu bytes does not fit into memory", n, page_bytes);
        if (!k->window) continue;
        (void)oxi_page_take(&k->pages); /* OXI_BLANK, for ever */
        const int32_t span = oxi_window_span(k->window);
        k->most_pinned = span < c->max_pages ? span : c->max_pages;
        k->place = c->n_places;
        c->n_places += (size_t)k->most_pinned;
    }
    if (!config->state_bytes) return OXI_OK;
    const int64_t n = oxi_state_blocks(config->n_active, config->n_saved);
    if (!oxi_pages_open(&c->states, (int32_t)n, config->state_bytes))
        return oxi_fail(err, OXI_ERR_NOMEM, "%lld recurrent states of %zu bytes do not fit into memory", (long long)n, config->state_bytes);
    (void)oxi_page_take(&c->states); /* OXI_NO_STATE, for ever */
    return OXI_OK;
}

static oxi_status get_memory(oxi_cache *c, const oxi_cache_layer *layers, const oxi_cache_config *config, oxi_error *err)
{
    c->layers = calloc((size_t)c->n_layers + 1, sizeof *c->layers);
    c->classes = calloc((size_t)c->n_layers + 1, sizeof *c->classes);
    c->seqs = calloc((size_t)c->n_seqs, sizeof *c->seqs);
    c->free_seqs = calloc((size_t)c->n_seqs, sizeof *c->free_seqs);
    if (!c->layers || !c->classes || !c->seqs || !c->free_seqs)
        return oxi_fail(err, OXI_ERR_NOMEM, "out of memory for a cache of %d sequences", c->n_seqs);
    memcpy(c->layers, layers, (size_t)c->n_layers * sizeof *layers);
    lay_out(c);
    const oxi_status s = get_pages(c, config, err);
    if (s != OXI_OK || (c->n_classes == 1 && !c->states.n)) return s;
    size_t n;
    c->n_checkpoints = config->n_saved;
    c->checkpoints = calloc((size_t)c->n_checkpoints + 1, sizeof *c->checkpoints);
    if (!oxi_size_mul((size_t)c->n_checkpoints, c->n_places, &n) || !(c->places = calloc(n + 1, sizeof *c->places)) || !c->checkpoints)
        return oxi_fail(err, OXI_ERR_NOMEM, "out of memory for %d checkpoints", c->n_checkpoints);
    for (int32_t i = 0; i < c->n_checkpoints; i++) c->checkpoints[i].pages = c->places + (size_t)i * c->n_places;
    return OXI_OK;
}

oxi_status oxi_cache_open(oxi_cache **out, const oxi_cache_layer *layers, int32_t n_layers, const oxi_cache_config *config,
                          oxi_error *err)
{
    *out = NULL;
    if (config->n_pages < 1 || config->n_seqs < 1 || config->n_ctx < 1)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a cache needs at least one page, one sequence and one token of context");
    if (config->n_active < 1 || config->n_saved < 0)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "a cache for %d active and %d saved sequences is not possible", config->n_active,
                        config->n_saved);
    oxi_cache *c = calloc(1, sizeof *c);
    if (!c) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory");
    c->type = config->type;
    c->n_layers = n_layers;
    c->n_seqs = config->n_seqs;
    c->n_ctx = config->n_ctx;
    c->max_pages = oxi_pages_for(config->n_ctx) < config->n_pages ? oxi_pages_for(config->n_ctx) : config->n_pages;
    const oxi_status s = get_memory(c, layers, config, err);
    if (s != OXI_OK) {
        oxi_cache_close(&c);
        return s;
    }
    for (int32_t i = 0; i < c->n_seqs; i++) c->free_seqs[i] = c->n_seqs - 1 - i;
    c->n_free_seqs = c->n_seqs;
    *out = c;
    return OXI_OK;
}

void oxi_cache_close(oxi_cache **cache)
{
    oxi_cache *c = *cache;
    *cache = NULL;
    if (!c) return;
    for (int32_t i = 0; c->seqs && i < c->n_seqs; i++) free(c->seqs[i].tables);
    for (int32_t i = 0; i < c->n_classes; i++) oxi_pages_close(&c->classes[i].pages);
    oxi_pages_close(&c->states);
    free(c->layers);
    free(c->classes);
    free(c->checkpoints);
    free(c->places);
    free(c->seqs);
    free(c->free_seqs);
    free(c);
}

static int32_t most(int64_t n) { return n < INT32_MAX ? (int32_t)n : INT32_MAX; }

int32_t oxi_window_pages(int32_t window, int32_t n_pages, int32_t n_batch, int32_t n_active, int32_t n_saved)
{
    if (!window) return n_pages;
    /* In a step each sequence begins one page more than its tokens fill, and copies one that it shares. */
    const int64_t span = oxi_window_span(window), n = n_active * (span + 2) + n_batch / OXI_PAGE_TOKENS + n_saved * span;
    /* A sequence holds no more pages than in class 0, except for one that a checkpoint made it copy. So do saved ones. */
    const int64_t all = (int64_t)n_pages + n_active + n_saved;
    return most(1 + (n < all ? n : all));
}

int32_t oxi_state_blocks(int32_t n_active, int32_t n_saved) { return most(1 + 2 * (int64_t)n_active + n_saved); }

bool oxi_cache_class(const oxi_cache *c, int32_t kind, oxi_class_info *info)
{
    if (kind < 0 || kind >= c->n_classes) return false;
    const oxi_class *k = &c->classes[kind];
    *info = (oxi_class_info){.window = k->window, .n_pages = k->pages.n, .n_free = k->pages.n_free, .page_bytes = k->pages.page_bytes};
    return true;
}

uint64_t oxi_cache_bytes(const oxi_cache *c)
{
    uint64_t bytes = 0;
    for (int32_t i = 0; i < c->n_classes; i++) bytes += (uint64_t)c->classes[i].pages.page_bytes * (uint64_t)c->classes[i].pages.n;
    return bytes;
}

int32_t oxi_cache_free_pages(const oxi_cache *c) { return c->classes[0].pages.n_free; }
oxi_cache_type oxi_cache_type_of(const oxi_cache *c) { return c->type; }
const oxi_cache_layer *oxi_cache_layer_of(const oxi_cache *c, int32_t layer) { return &c->layers[layer]; }
const int32_t *oxi_cache_table(const oxi_cache *c, int32_t seq, int32_t kind) { return c->seqs[seq].tables[kind].pages; }
uint8_t *oxi_cache_page(const oxi_cache *c, int32_t kind, int32_t page) { return oxi_page_at(&c->classes[kind].pages, page); }
int32_t oxi_cache_free_states(const oxi_cache *c) { return c->states.n_free; }
uint64_t oxi_cache_state_bytes(const oxi_cache *c) { return (uint64_t)c->states.page_bytes * (uint64_t)c->states.n; }

const void *oxi_cache_state(const oxi_cache *c, int32_t seq)
{
    return c->states.n ? oxi_page_at(&c->states, c->seqs[seq].state) : NULL;
}

void *oxi_cache_next_state(const oxi_cache *c, int32_t seq)
{
    return c->states.n ? oxi_page_at(&c->states, c->seqs[seq].next_state) : NULL;
}

uint64_t oxi_cache_head_bytes(oxi_cache_type type, int32_t key_dim, int32_t value_dim, bool shared)
{
    return oxi_key_bytes(type, key_dim) + (shared ? 0 : oxi_value_bytes(type, value_dim));
}
