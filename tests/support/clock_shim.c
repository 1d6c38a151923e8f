/*
 * A wall clock that a test can set: preloaded into a process, it adds to CLOCK_REALTIME the seconds
 * that stand in the file which the environment variable CERTMILL_TEST_CLOCK names. The file is read
 * at every look at the clock, so that a test moves the clock of a running engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock,
                                                         struct timespec *ret_time);

static long offset_s(void)
{
    char text[32] = "";
    int saved = errno;
    const char *path = getenv("CERTMILL_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ssize_t size = read(fd, text, sizeof text - 1);
        text[size > 0 ? size : 0] = '\0';
        close(fd);
    }
    errno = saved;
    return strtol(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int code = (int)syscall(SYS_clock_gettime, clock, ret_time);
    if (code == 0 && clock == CLOCK_REALTIME)
        ret_time->tv_sec += offset_s();
    return code;
}
