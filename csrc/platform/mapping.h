/* A whole regular file, mapped read-only. */
#ifndef OXI_MAPPING_H
#define OXI_MAPPING_H

#include "oxillama.h"

typedef struct oxi_mapping {
    const uint8_t *data;
    size_t size;
    int fd; /* -1: not open, or memory that somebody else owns */
} oxi_mapping;

/* The end of a path, short enough to leave room for the rest of an error's line. */
const char *oxi_path_label(const char *path);

/* Fails for whatever is not a regular file of at least one byte, without blocking on it. `map` is zeroed on failure. */
oxi_status oxi_mapping_open(oxi_mapping *map, const char *path, oxi_error *err);
void oxi_mapping_close(oxi_mapping *map);
/* Touching a page past the end of a file that was cut short after it was mapped kills the process (SIGBUS). This looks
 * whether that has happened; calling it before a long read leaves only the time of that read unguarded. */
oxi_status oxi_mapping_check(const oxi_mapping *map, const char *path, oxi_error *err);
/* Drop the pages of [data, data + bytes) from this process; they are read again when touched. */
void oxi_mapping_release(const oxi_mapping *map, const uint8_t *data, size_t bytes);

#endif
