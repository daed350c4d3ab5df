/* The only way to read a file's header. Every byte is requested before it is read, and nothing else moves `at`. `at <=
 * end` always holds; a request is compared with `end - at`, which cannot wrap. */
#ifndef OXI_CURSOR_H
#define OXI_CURSOR_H

#include "gguf/internal.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF is little-endian, and so must the processor be"
#endif

typedef struct cursor {
    const uint8_t *bytes;
    size_t at, end;
    bool capped; /* end is OXI_GGUF_MAX_HEADER, not the file's */
    const char *path;
    oxi_error *err;
    /* What is being read, for messages: "key" or "tensor", its number, and its name once that is known. */
    const char *kind;
    uint64_t index, count;
    const uint8_t *name;
    size_t name_len;
} cursor;

static inline size_t cursor_left(const cursor *c) { return c->end - c->at; }

/* Fail with "FILE: key 'NAME': …", or as much of that as is known. */
oxi_status oxi_cursor_fail(const cursor *c, oxi_status code, const char *fmt, ...) OXI_PRINTF(3, 4);
#define oxi_cursor_bad(cursor, ...) oxi_cursor_fail(cursor, OXI_ERR_FORMAT, __VA_ARGS__)
/* Fail because the file ends inside `what`. */
oxi_status oxi_cursor_ended(const cursor *c, const char *what);

static inline const uint8_t *cursor_here(const cursor *c) { return c->bytes + c->at; }

static inline oxi_status cursor_skip(cursor *c, uint64_t n, const char *what)
{
    if (n > cursor_left(c)) return oxi_cursor_ended(c, what);
    c->at += (size_t)n;
    return OXI_OK;
}

static inline oxi_status cursor_take(cursor *c, void *out, size_t n, const char *what)
{
    if (n > cursor_left(c)) return oxi_cursor_ended(c, what);
    memcpy(out, c->bytes + c->at, n);
    c->at += n;
    return OXI_OK;
}

/* values.c: a length and that many bytes; a value of meta->type (already set), with everything in it checked. */
oxi_status oxi_cursor_string(cursor *c, const uint8_t **text, uint64_t *n, const char *what);
oxi_status oxi_cursor_value(cursor *c, oxi_meta *meta);

#endif
