#include "platform/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LABEL_MAX 200

const char *oxi_path_label(const char *path)
{
    const size_t n = strlen(path);
    if (n <= LABEL_MAX) return path;
    path += n - LABEL_MAX;
    while (((unsigned char)*path & 0xc0) == 0x80) path++; /* do not start inside a UTF-8 character */
    return path;
}

/* Check an open descriptor and get its size; a failure says why the file cannot be mapped. */
static oxi_status measure(int fd, const char *path, size_t *size, oxi_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return oxi_fail(err, OXI_ERR_IO, "%s: %s", oxi_path_label(path), strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return oxi_fail(err, OXI_ERR_IO, "%s: is a directory, not a model file", oxi_path_label(path));
    }
    if (!S_ISREG(st.st_mode))
        return oxi_fail(err, OXI_ERR_FORMAT, "%s: is a device, pipe or socket, not a model file", oxi_path_label(path));
    if (st.st_size <= 0) return oxi_fail(err, OXI_ERR_FORMAT, "%s: the file is empty", oxi_path_label(path));
    if ((uint64_t)st.st_size > SIZE_MAX / 2)
        return oxi_fail(err, OXI_ERR_UNSUPPORTED, "%s: too large for this machine's address space",
                        oxi_path_label(path));
    *size = (size_t)st.st_size;
    return OXI_OK;
}

oxi_status oxi_mapping_open(oxi_mapping *map, const char *path, oxi_error *err)
{
    *map = (oxi_mapping){.fd = -1};
    /* Without O_NONBLOCK, opening a pipe would wait for a writer. */
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return oxi_fail(err, OXI_ERR_IO, "%s: %s", oxi_path_label(path), strerror(errno));
    size_t size = 0;
    oxi_status status = measure(fd, path, &size, err);
    if (status == OXI_OK) {
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data != MAP_FAILED) {
            *map = (oxi_mapping){data, size, fd};
            return OXI_OK;
        }
        status = oxi_fail(err, OXI_ERR_IO, "%s: cannot be mapped: %s", oxi_path_label(path), strerror(errno));
    }
    close(fd);
    return status;
}

void oxi_mapping_close(oxi_mapping *map)
{
    if (map->fd >= 0) {
        munmap((void *)(uintptr_t)map->data, map->size);
        close(map->fd);
    }
    *map = (oxi_mapping){.fd = -1};
}

oxi_status oxi_mapping_check(const oxi_mapping *map, const char *path, oxi_error *err)
{
    struct stat st;
    if (map->fd < 0) return OXI_OK;
    if (fstat(map->fd, &st) != 0) return oxi_fail(err, OXI_ERR_IO, "%s: %s", oxi_path_label(path), strerror(errno));
    if ((uint64_t)st.st_size < map->size)
        return oxi_fail(err, OXI_ERR_FORMAT, "%s: the file was cut from %zu to %lld bytes while it was open",
                        oxi_path_label(path), map->size, (long long)st.st_size);
    return OXI_OK;
}

void oxi_mapping_release(const oxi_mapping *map, const uint8_t *data, size_t bytes)
{
    if (map->fd < 0 || bytes == 0) return;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t start = (uintptr_t)data & ~(page - 1);
    const uintptr_t end = ((uintptr_t)data + bytes + page - 1) & ~(page - 1);
    (void)madvise((void *)start, end - start, MADV_DONTNEED); /* a hint */
}
