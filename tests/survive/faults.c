/*
 * A disk that misbehaves, preloaded into the service under test. It concerns
 * the files below $FAULTS_DIR; the file $FAULTS_FILE says what is wrong, and is
 * asked at every call, so that a test can change it while the service runs:
 *
 *   full      nothing more can be written: ENOSPC
 *   readonly  nothing can be written, made, cut or removed: EROFS
 *   nosync    a sync fails: EIO
 *   slow      a sync takes two seconds
 *
 * Anything else, or no such file: all is well.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int below(const char *path) {
    const char *dir = getenv("FAULTS_DIR");
    return dir && strncmp(path, dir, strlen(dir)) == 0;
}

static int concerns(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return below(path);
}

/* Whether this is what is wrong now. By system calls, which nobody intercepts. */
static int now(const char *fault) {
    char told[32] = {0};
    const char *file = getenv("FAULTS_FILE");
    long fd = file ? syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    syscall(SYS_read, fd, told, sizeof told - 1);
    syscall(SYS_close, fd);
    return strcmp(told, fault) == 0;
}

/* The error that a write to this file has now, or 0. */
static int unwritable(int fd) {
    int saved = errno, error = 0;
    if (concerns(fd))
        error = now("full") ? ENOSPC : now("readonly") ? EROFS : 0;
    errno = saved;
    return error;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define REFUSE(error) do { int e = (error); if (e) { errno = e; return -1; } } while (0)

ssize_t write(int fd, const void *from, size_t count) {
    REFUSE(unwritable(fd));
    return REAL(write)(fd, from, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REFUSE(unwritable(fd));
    return REAL(writev)(fd, parts, count);
}

int ftruncate64(int fd, off64_t size) {
    REFUSE(concerns(fd) && now("readonly") ? EROFS : 0);
    return REAL(ftruncate64)(fd, size);
}

int unlink(const char *path) {
    REFUSE(below(path) && now("readonly") ? EROFS : 0);
    return REAL(unlink)(path);
}

static int unmakable(const char *path, int flags) {
    if (!below(path) || !(flags & (O_CREAT | O_WRONLY | O_RDWR)))
        return 0;
    return now("readonly") ? EROFS : (flags & O_CREAT) && now("full") ? ENOSPC : 0;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, int);
    va_end(rest);
    REFUSE(unmakable(path, flags));
    return REAL(open64)(path, flags, mode);
}

static int unsynced(int fd) {
    if (!concerns(fd))
        return 0;
    if (now("slow")) {
        struct timespec two = {2, 0};
        nanosleep(&two, NULL);
    }
    return now("nosync") ? EIO : 0;
}

int fsync(int fd) {
    REFUSE(unsynced(fd));
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    REFUSE(unsynced(fd));
    return REAL(fdatasync)(fd);
}
