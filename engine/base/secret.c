#include "engine/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "engine/base/clock.h"

/* Room for the longest secret, its newline, and one byte that shows that there is more. */
enum { BUFFER_SIZE = CM_SECRET_SIZE_MAX + 2 };

static uint32_t patience_ms = CM_SECRET_PATIENCE_MS;

void cm_secret_set_patience(uint32_t ms)
{
    patience_ms = ms;
}

/* Takes over the buffer, whatever comes of it. */
static cm_status accept_buffer(const char *reference, char *buffer, size_t size,
                               struct cm_secret *ret_secret, struct cm_error *err)
{
    const char *complaint = NULL;
    if (size > 0 && buffer[size - 1] == '\n')
        size--;
    if (size == 0)
        complaint = "is empty";
    else if (size > CM_SECRET_SIZE_MAX)
        complaint = "is too long";
    else if (memchr(buffer, '\0', size))
        complaint = "contains a NUL byte";
    if (complaint) {
        OPENSSL_clear_free(buffer, BUFFER_SIZE);
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "secret %s %s", reference, complaint);
    }
    buffer[size] = '\0';
    *ret_secret = (struct cm_secret){ .text = buffer, .size = size };
    return CM_OK;
}

static cm_status status_of_open(int code)
{
    if (code == ENOENT || code == ENOTDIR)
        return CM_NOT_FOUND;
    return code == EACCES || code == EPERM ? CM_DENIED : CM_IO;
}

/* Asked of the open file, so that nothing can be exchanged between the question and the reading. */
static cm_status check_file(const char *path, int fd, struct cm_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "secret file %s", path);
    /* Secrets are read again when they are needed again; a pipe gives its content once. */
    if (!S_ISREG(status.st_mode))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "secret file %s is not a plain file",
                       path);
    if ((status.st_mode & S_IRWXO) != 0)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "secret file %s is open to all users; run chmod 600 %s", path, path);
    return CM_OK;
}

/* -1 with errno set when reading fails. */
static ssize_t read_up_to(int fd, char *buffer, size_t space)
{
    size_t size = 0;
    while (size < space) {
        ssize_t got = read(fd, buffer + size, space - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    return (ssize_t)size;
}

static cm_status read_file(const char *reference, const char *path, struct cm_secret *ret_secret,
                           struct cm_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return CM_FAIL(err, status_of_open(errno), CM_ORIGIN_OS, errno, "secret file %s", path);
    cm_status status = check_file(path, fd, err);
    char *buffer = status == CM_OK ? OPENSSL_malloc(BUFFER_SIZE) : NULL;
    if (status == CM_OK && !buffer)
        status = CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a secret");
    if (status == CM_OK) {
        ssize_t size = read_up_to(fd, buffer, BUFFER_SIZE);
        if (size >= 0) {
            status = accept_buffer(reference, buffer, (size_t)size, ret_secret, err);
        } else {
            status = CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "read secret file %s", path);
            OPENSSL_clear_free(buffer, BUFFER_SIZE);
        }
    }
    close(fd);
    return status;
}

static cm_status read_variable(const char *reference, const char *name,
                               struct cm_secret *ret_secret, struct cm_error *err)
{
    const char *value = getenv(name);
    if (!value)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "environment variable %s of secret %s is not set", name, reference);
    char *buffer = OPENSSL_malloc(BUFFER_SIZE);
    if (!buffer)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a secret");
    size_t size = strnlen(value, BUFFER_SIZE);
    memcpy(buffer, value, size);
    return accept_buffer(reference, buffer, size, ret_secret, err);
}

static cm_status read_credential(const char *reference, const char *name,
                                 struct cm_secret *ret_secret, struct cm_error *err)
{
    char path[PATH_MAX];
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/'))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "secret %s: a credential is named without folders", reference);
    if (!folder)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "secret %s: not started by systemd with credentials "
                       "(CREDENTIALS_DIRECTORY is not set)",
                       reference);
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "secret %s: path too long", reference);
    return read_file(reference, path, ret_secret, err);
}

static cm_status read_path(const char *reference, const char *folder, const char *name,
                           struct cm_secret *ret_secret, struct cm_error *err)
{
    char path[PATH_MAX];
    bool relative = name[0] != '/' && folder;
    if (name[0] == '\0')
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "secret %s names no file", reference);
    int size =
        snprintf(path, sizeof path, "%s%s%s", relative ? folder : "", relative ? "/" : "", name);
    if (size >= (int)sizeof path)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "secret %s: path too long", reference);
    return read_file(reference, path, ret_secret, err);
}

/* ------------------------------------------------------------------ asking -- */

/* Until there is something to read: 0; or why there is not. A signal is left pending. */
static int await_typing(int fd, int signals, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now_ns = cm_clock_monotonic_ns();
        struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
                                { .fd = signals, .events = POLLIN } };
        if (now_ns >= deadline_ns)
            return ETIMEDOUT;
        int count = poll(fds, 2, (int)((deadline_ns - now_ns) / CM_NS_PER_MS) + 1);
        if (count < 0 && errno != EINTR)
            return errno;
        if (count > 0)
            return fds[1].revents ? EINTR : 0;
    }
}

/* What is typed up to the end of the line; -1 with errno set. */
static ssize_t read_line(int fd, int signals, char *buffer, size_t space)
{
    uint64_t deadline_ns = cm_clock_monotonic_ns() + patience_ms * CM_NS_PER_MS;
    size_t size = 0;
    while (size < space) {
        errno = await_typing(fd, signals, deadline_ns);
        if (errno != 0)
            return -1;
        ssize_t got = read(fd, buffer + size, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0 || buffer[size++] == '\n')
            break;
    }
    return (ssize_t)size;
}

/* The echo is back before anybody sees whether the secret was right. */
static ssize_t ask_silently(int fd, int signals, const char *words, char *buffer, size_t space)
{
    struct termios before, silent;
    if (tcgetattr(fd, &before) != 0)
        return -1;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    /* What was typed before the question is thrown away: it was meant for somebody else. */
    if (tcsetattr(fd, TCSAFLUSH, &silent) != 0)
        return -1;
    dprintf(fd, "%s: ", words[0] ? words : "Passphrase");
    ssize_t size = read_line(fd, signals, buffer, space);
    int code = errno;
    tcsetattr(fd, TCSAFLUSH, &before);
    dprintf(fd, "\n");
    errno = code;
    return size;
}

/*
 * What would end or stop the process waits until the echo is back, and then does: it is blocked
 * here, and seen through a descriptor. Signals that the process ignores break off the question too.
 */
static ssize_t ask(int fd, const char *words, char *buffer, size_t space)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
    sigset_t held, before;
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(&held, numbers[i]);
    int signals = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0)
        return -1;
    pthread_sigmask(SIG_BLOCK, &held, &before);
    ssize_t size = ask_silently(fd, signals, words, buffer, space);
    int code = errno;
    close(signals);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return size;
}

static cm_status explain_silence(const char *reference, int code, struct cm_error *err)
{
    if (code == ETIMEDOUT)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "secret %s: nobody answered on the terminal within %u s", reference,
                       patience_ms / 1000);
    if (code == EINTR)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "secret %s: a signal broke off the question on the terminal", reference);
    return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "secret %s: ask on the terminal", reference);
}

static cm_status read_terminal(const char *reference, const char *words,
                               struct cm_secret *ret_secret, struct cm_error *err)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_OS, errno,
                       "secret %s: there is no terminal to ask on; services take file:PATH or "
                       "credential:NAME",
                       reference);
    char *buffer = OPENSSL_malloc(BUFFER_SIZE);
    ssize_t size = buffer ? ask(fd, words, buffer, BUFFER_SIZE) : -1;
    int code = buffer ? errno : ENOMEM;
    close(fd);
    if (size >= 0)
        return accept_buffer(reference, buffer, (size_t)size, ret_secret, err);
    OPENSSL_clear_free(buffer, buffer ? BUFFER_SIZE : 0);
    return explain_silence(reference, code, err);
}

/* ------------------------------------------------------------------ references -- */

static const char *after(const char *reference, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(reference, prefix, size) == 0 ? reference + size : NULL;
}

cm_status cm_secret_read(const char *reference, const char *folder, struct cm_secret *ret_secret,
                         struct cm_error *err)
{
    const char *name;
    if ((name = after(reference, "file:")) != NULL)
        return read_path(reference, folder, name, ret_secret, err);
    if ((name = after(reference, "env:")) != NULL)
        return read_variable(reference, name, ret_secret, err);
    if ((name = after(reference, "credential:")) != NULL)
        return read_credential(reference, name, ret_secret, err);
    if ((name = after(reference, "prompt:")) != NULL)
        return read_terminal(reference, name, ret_secret, err);
    /* Not repeated in the message: it may be the secret itself, written in the wrong place. */
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                   "a secret is named by file:PATH, env:NAME, credential:NAME or prompt:WORDS");
}

cm_status cm_secret_check(const char *reference, const char *folder, struct cm_error *err)
{
    struct cm_secret secret;
    if (cm_secret_is_asked(reference))
        return CM_OK;
    cm_status status = cm_secret_read(reference, folder, &secret, err);
    if (status == CM_OK)
        cm_secret_done(&secret);
    return status;
}

cm_status cm_secret_copy(const struct cm_secret *secret, struct cm_secret *ret_copy,
                         struct cm_error *err)
{
    char *buffer = OPENSSL_malloc(BUFFER_SIZE);
    if (!buffer)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a secret");
    memcpy(buffer, secret->text, secret->size + 1);
    *ret_copy = (struct cm_secret){ .text = buffer, .size = secret->size };
    return CM_OK;
}

bool cm_secret_is_asked(const char *reference)
{
    return after(reference, "prompt:") != NULL;
}

int cm_secret_ask_nobody(char *buffer, int size, int is_writing, void *arg)
{
    (void)buffer, (void)size, (void)is_writing, (void)arg;
    return -1;
}

void cm_secret_done(struct cm_secret *secret)
{
    if (!secret)
        return;
    if (secret->text)
        OPENSSL_clear_free(secret->text, BUFFER_SIZE);
    *secret = (struct cm_secret){ 0 };
}
