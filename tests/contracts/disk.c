/* Stands between SQLite and the disk: LD_PRELOAD it, and name the file by DISK_FILE.
 *
 * Of the file and its WAL there is a copy, NAME.disk, with what was in them when they were synced
 * last: all that a power failure is sure to leave. A sync takes DISK_SYNC_MS longer. While there is
 * a file NAME.full, beside the one of DISK_FILE, the disk has no room.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int is_ours(int fd, char *path) {
    const char *file = getenv("DISK_FILE");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (!file || length < 0) return 0;
    path[length] = 0;
    size_t size = strlen(file);
    return !strncmp(path, file, size) && (!path[size] || !strcmp(path + size, "-wal"));
}

static int is_full(int fd) {
    char path[PATH_MAX], mark[PATH_MAX + 8];
    if (!is_ours(fd, path)) return 0;
    snprintf(mark, sizeof mark, "%s.full", getenv("DISK_FILE"));
    return !access(mark, F_OK);
}

/* Whole or not at all, whenever this process is killed. */
static void keep(const char *path) {
    char copy[PATH_MAX + 8], half[PATH_MAX + 8];
    struct stat found;
    snprintf(copy, sizeof copy, "%s.disk", path);
    snprintf(half, sizeof half, "%s.half", path);
    int from = open(path, O_RDONLY), to = open(half, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (from < 0 || to < 0 || fstat(from, &found)) abort();
    for (off_t left = found.st_size; left > 0;) {
        ssize_t sent = sendfile(to, from, NULL, left);
        if (sent <= 0) abort();
        left -= sent;
    }
    close(from);
    close(to);
    if (rename(half, copy)) abort();
}

static int synced(int fd) {
    char path[PATH_MAX];
    if (!is_ours(fd, path)) return 0;
    const char *ms = getenv("DISK_SYNC_MS");
    if (ms) {
        struct timespec time = {atol(ms) / 1000, atol(ms) % 1000 * 1000000};
        nanosleep(&time, NULL);
    }
    keep(path);
    return 0;
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int result = real(fd);
    return result ? result : synced(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = real(fd);
    return result ? result : synced(fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    if (is_full(fd)) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return pwrite64(fd, bytes, count, offset);
}
