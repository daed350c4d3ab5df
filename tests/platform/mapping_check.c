/* Run by test_mapping.py with a scratch path: a mapped file's pages can be given back, and a cut file is noticed. */
#include "platform/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define EXPECT(condition)                                                                                             \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                   \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

/* Bytes of files that this process holds in memory; 0 where the system does not say. */
static size_t resident_file_bytes(void)
{
    unsigned long size, resident, shared = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%lu %lu %lu", &size, &resident, &shared) != 3) shared = 0;
    fclose(file);
    return shared * (size_t)sysconf(_SC_PAGESIZE);
}

static uint64_t sum(const oxi_mapping *map)
{
    uint64_t total = 0;
    for (size_t i = 0; i < map->size; i++) total += map->data[i];
    return total;
}

static void write_file(const char *path, size_t n)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char *bytes = malloc(n);
    EXPECT(fd >= 0 && bytes);
    memset(bytes, 1, n);
    EXPECT(write(fd, bytes, n) == (ssize_t)n);
    free(bytes);
    close(fd);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 2);
    const char *path = argv[1];
    oxi_mapping map;
    oxi_error err = {0};
    EXPECT(oxi_mapping_open(&map, path, &err) == OXI_ERR_IO && err.sys_errno == ENOENT && map.data == NULL);
    oxi_mapping_close(&map); /* of one that did not open */

    write_file(path, 8 * MIB + 5);
    EXPECT(oxi_mapping_open(&map, path, &err) == OXI_OK && map.size == 8 * MIB + 5);
    const uint64_t before = sum(&map);
    const size_t held = resident_file_bytes();
    oxi_mapping_release(&map, map.data + 100, 8 * MIB - 200);
    EXPECT(held == 0 || held - resident_file_bytes() > 7 * MIB);
    EXPECT(sum(&map) == before); /* read again */

    EXPECT(oxi_mapping_check(&map, path, &err) == OXI_OK);
    EXPECT(truncate(path, 4096) == 0);
    EXPECT(oxi_mapping_check(&map, path, &err) == OXI_ERR_FORMAT);
    EXPECT(strstr(err.text, "was cut from 8388613 to 4096 bytes"));
    oxi_mapping_close(&map);
    EXPECT(map.data == NULL && map.fd == -1);
    return 0;
}
