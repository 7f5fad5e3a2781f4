/* Stands between a node and its machine. Loaded with LD_PRELOAD.
 *
 * STEADFAST_TEST_MACHINE names a directory. What lies in it is what the machine does:
 *
 *   hang    every fsync and fdatasync of a file below a directory "raftlog" waits until the file is gone
 *   slow    holds a number; every fsync and fdatasync of such a file takes so many milliseconds more
 *   fail    holds a word; every fsync and fdatasync of a file whose path contains it fails with EIO
 *   clock   holds a number; the wall clock shows so many seconds more. The monotonic clock is not touched
 *   synced  is written here: after every sync of a file below "raftlog" its synced length and its path, one line each,
 *           so that a test can cut off after a kill what a power loss would have lost */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *in_machine(char *path, size_t size, const char *name) {
    const char *machine = getenv("STEADFAST_TEST_MACHINE");
    if (!machine) return NULL;
    snprintf(path, size, "%s/%s", machine, name);
    return path;
}

/* The first line of a file of the machine; 0 if it is not there. */
static int said(const char *name, char *text, size_t size) {
    char path[4160];
    if (!in_machine(path, sizeof path, name)) return 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, text, size - 1);
    close(file);
    if (length < 0) return 0;
    text[length] = 0;
    text[strcspn(text, "\n")] = 0;
    return 1;
}

static int path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int synced(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    char path[4096], file[4160], word[256], line[4200];
    if (!path_of(fd, path, sizeof path)) return real(fd);
    if (said("fail", word, sizeof word) && word[0] && strstr(path, word)) {
        errno = EIO;
        return -1;
    }
    if (!strstr(path, "/raftlog/") || !in_machine(file, sizeof file, "hang")) return real(fd);
    while (access(file, F_OK) == 0) usleep(20000);
    if (said("slow", word, sizeof word)) usleep((useconds_t)atoi(word) * 1000);
    /* The length before the sync: what is appended meanwhile may not be on the disk. */
    struct stat before;
    if (fstat(fd, &before) != 0) return real(fd);
    int result = real(fd);
    if (result != 0) return result;
    int list = open(in_machine(file, sizeof file, "synced"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (list >= 0) {
        int length = snprintf(line, sizeof line, "%lld %s\n", (long long)before.st_size, path);
        ssize_t written = write(list, line, (size_t)length);
        (void)written;
        close(list);
    }
    return result;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

static int (*real_clock)(clockid_t, struct timespec *);

/* Seconds that the wall clock is ahead; looked up ten times a second. */
static long long ahead(void) {
    static __thread long long looked, seconds;
    struct timespec now;
    real_clock(CLOCK_MONOTONIC, &now);
    long long tenth = now.tv_sec * 10LL + now.tv_nsec / 100000000 + 1;
    if (tenth == looked) return seconds;
    looked = tenth;
    char text[64];
    int saved = errno;
    seconds = said("clock", text, sizeof text) ? atoll(text) : 0;
    errno = saved;
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_clock) real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real_clock(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += ahead();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
