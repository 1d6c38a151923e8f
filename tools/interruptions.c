#include "tools/interruptions.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

enum { NUMBERS_COUNT = sizeof numbers / sizeof numbers[0] };

/* The handler's. */
static volatile sig_atomic_t is_interrupted;
static char text[1024];

static struct sigaction before[NUMBERS_COUNT];

static void on_interruption(int number)
{
    int error = errno;
    (void)number;
    is_interrupted = 1;
    for (size_t i = 0; i < NUMBERS_COUNT; i++)
        if (before[i].sa_handler != SIG_IGN)
            signal(numbers[i], SIG_DFL);
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        errno = error; /* nobody is there to read it */
    errno = error;
}

void cm_interruptions_hold(const char *format, ...)
{
    const struct sigaction held = { .sa_handler = on_interruption, .sa_flags = SA_RESTART };
    size_t used = (size_t)snprintf(text, sizeof text, "certmill: ");
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, sizeof text - used - 1, format, args);
    va_end(args);
    strcat(text, "\n");
    for (size_t i = 0; i < NUMBERS_COUNT; i++) {
        sigaction(numbers[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN && !is_interrupted)
            sigaction(numbers[i], &held, NULL);
    }
}

void cm_interruptions_release(void)
{
    for (size_t i = 0; i < NUMBERS_COUNT; i++)
        sigaction(numbers[i], &before[i], NULL);
}

bool cm_is_interrupted(void)
{
    return is_interrupted;
}

cm_status cm_interruptions_check(struct cm_error *err)
{
    return is_interrupted ? CM_FAIL(err, CM_CANCELLED, CM_ORIGIN_SELF, 0, "interrupted") : CM_OK;
}
