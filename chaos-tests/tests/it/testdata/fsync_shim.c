/* Stands between a node and the disk. Loaded with LD_PRELOAD.
 *
 * STEADFAST_TEST_DISK names a directory. While the file "hang" exists in it, every fsync and fdatasync of a file below
 * a directory "raftlog" waits. After every sync of such a file, its path and its synced length are appended to the file
 * "synced", one line each, so that a test can cut off after a kill what a power loss would have lost. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int log_path(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/raftlog/") != NULL;
}

static int synced(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *disk = getenv("STEADFAST_TEST_DISK");
    char path[4096], file[4160], line[4200];
    if (!disk || !log_path(fd, path, sizeof path)) return real(fd);
    snprintf(file, sizeof file, "%s/hang", disk);
    while (access(file, F_OK) == 0) usleep(20000);
    /* The length before the sync: what is appended meanwhile may not be on the disk. */
    struct stat before;
    if (fstat(fd, &before) != 0) return real(fd);
    int result = real(fd);
    if (result != 0) return result;
    snprintf(file, sizeof file, "%s/synced", disk);
    int list = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
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
