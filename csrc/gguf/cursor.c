#include "gguf/cursor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

const char *oxi_gguf_quote(char out[OXI_GGUF_QUOTE], const uint8_t *text, size_t n)
{
    const size_t room = OXI_GGUF_QUOTE - 4, shown = n <= room ? n : room;
    for (size_t i = 0; i < shown; i++) out[i] = (char)(text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?');
    memcpy(out + shown, shown < n ? "..." : "", shown < n ? 4 : 1);
    return out;
}

oxi_status oxi_cursor_fail(const cursor *c, oxi_status code, const char *fmt, ...)
{
    char text[sizeof c->err->text], quoted[OXI_GGUF_QUOTE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *path = oxi_path_label(c->path);
    if (!c->kind) return oxi_fail(c->err, code, "%s: %s", path, text);
    if (!c->name)
        return oxi_fail(c->err, code, "%s: %s %" PRIu64 " of %" PRIu64 ": %s", path, c->kind, c->index + 1, c->count,
                        text);
    return oxi_fail(c->err, code, "%s: %s '%s': %s", path, c->kind, oxi_gguf_quote(quoted, c->name, c->name_len), text);
}

oxi_status oxi_cursor_ended(const cursor *c, const char *what)
{
    if (c->capped)
        return oxi_cursor_bad(c, "%s runs past the first %zu bytes, the most a file's metadata may take",
                               what, c->end);
    return oxi_cursor_bad(c, "the file ends inside %s (at byte %zu of %zu)", what, c->at, c->end);
}
