/* A whole regular file, mapped read-only. */
#ifndef OXI_MAPPING_H
#define OXI_MAPPING_H

#include "oxillama.h"

typedef struct oxi_mapping {
    const uint8_t *data;
    size_t size;
    int fd; /* -1: not open, or memory of another owner */
} oxi_mapping;

/* The end of a path, short enough to leave room for the rest of an error line. */
const char *oxi_path_label(const char *path);

/* Fails, without blocking, for anything but a regular file of at least one byte. `map` is zeroed on failure. */
oxi_status oxi_mapping_open(oxi_mapping *map, const char *path, oxi_error *err);
void oxi_mapping_close(oxi_mapping *map);
/* Touching a page past the end of a file that was cut short after it was mapped kills the process (SIGBUS). This checks
 * for that. Called before a long read, it leaves only the time of that read unguarded. */
oxi_status oxi_mapping_check(const oxi_mapping *map, const char *path, oxi_error *err);
/* Drop the pages of [data, data + bytes) from this process; they are read again when touched. */
void oxi_mapping_release(const oxi_mapping *map, const uint8_t *data, size_t bytes);

#endif
