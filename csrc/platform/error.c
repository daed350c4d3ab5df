#include "oxillama.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

oxi_status oxi_fail(oxi_error *err, oxi_status code, const char *fmt, ...)
{
    err->code = code;
    err->sys_errno = code == OXI_ERR_IO ? errno : 0;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    /* Keep the text on one line, whatever strings the file holds. */
    for (char *c = err->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    return code;
}
