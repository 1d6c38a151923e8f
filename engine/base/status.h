/*
 * Status: what an operation came to, and what its caller does next.
 *
 * Every function that can fail returns a cm_status. The *class* of a status is the advice: a hot
 * loop switches on the class, a report prints the code. Context travels beside it in a struct
 * cm_error, filled once by the function that first knew, as plain data, so that it can cross
 * threads and processes.
 *
 *     struct cm_error err;
 *     if (cm_store_open(&settings, &store, &err) != CM_OK)
 *         fprintf(stderr, "certmill: %s\n", err.text);
 *
 * Refusals of requests are not statuses: see engine/base/refusal.h.
 */
#ifndef CM_BASE_STATUS_H
#define CM_BASE_STATUS_H

#include <stdint.h>

#define CM_MUST_USE __attribute__((warn_unused_result))

/* What the caller does next. */
enum cm_class {
    CM_CLASS_DONE,      /* nothing: it worked */
    CM_CLASS_WAIT,      /* the same again, later */
    CM_CLASS_ELSEWHERE, /* try another instance, or the same once it is back */
    CM_CLASS_REFUSE,    /* permanent: the same call will fail again */
    CM_CLASS_RECORD,    /* outcome unknown or wrong: record it, never retry blindly */
    CM_CLASS_BUG        /* the contract was broken: abort */
};

/* X(code, class, text) */
#define CM_STATUS_MAP(X)                                                                           \
    X(OK, DONE, "done")                                                                            \
    X(BUSY, WAIT, "no room now; a completion will make some")                                      \
    X(THROTTLED, WAIT, "the service asked us to slow down")                                        \
    X(NO_MEMORY, WAIT, "pool or heap exhausted")                                                   \
    X(UNAVAILABLE, ELSEWHERE, "backend down or unreachable")                                       \
    X(TOKEN_REMOVED, ELSEWHERE, "session or device of the key store is gone")                      \
    X(CLOSING, ELSEWHERE, "draining, nothing new is taken")                                        \
    X(NOT_FOUND, REFUSE, "no such thing")                                                          \
    X(EXISTS, REFUSE, "there is one already")                                                      \
    X(NO_KEY, REFUSE, "no such key, or the key is disabled")                                       \
    X(DENIED, REFUSE, "not permitted")                                                             \
    X(MISMATCH, REFUSE, "algorithm, size or key type differ")                                      \
    X(MALFORMED, REFUSE, "input that no version of the format allows")                             \
    X(UNSUPPORTED, REFUSE, "this build or backend cannot do it")                                   \
    X(CANCELLED, REFUSE, "withdrawn by the caller")                                                \
    X(EXPIRED, REFUSE, "deadline passed before it was started")                                    \
    X(IO, RECORD, "the operating system reported an input or output error")                        \
    X(UNCERTAIN, RECORD, "may have happened; the answer was lost")                                 \
    X(CORRUPT, RECORD, "what came back does not verify")                                           \
    X(INVALID, BUG, "called against the contract")

typedef enum cm_status {
#define X(code, class, text) CM_##code,
    CM_STATUS_MAP(X)
#undef X
        CM_STATUS_COUNT
} cm_status;

/* Which system a native error number belongs to. */
enum cm_origin {
    CM_ORIGIN_SELF,
    CM_ORIGIN_OS,      /* native = errno */
    CM_ORIGIN_OPENSSL, /* native = ERR_get_error() */
    CM_ORIGIN_REDIS,   /* native = redisContext.err */
    CM_ORIGIN_SQLITE,  /* native = extended result code */
    CM_ORIGIN_YAML,
    CM_ORIGIN_PKCS11 /* native = CK_RV */
};

#define CM_ERROR_TEXT_SIZE 240

struct cm_error {
    cm_status status;
    enum cm_origin origin;
    int64_t native;
    const char *file; /* static: the source file that first knew */
    int line;
    char text[CM_ERROR_TEXT_SIZE]; /* one line, no trailing full stop, never secret */
};

const char *cm_status_name(cm_status status); /* "UNCERTAIN" */
const char *cm_status_text(cm_status status); /* "may have happened; ..." */
enum cm_class cm_status_class(cm_status status);

/*
 * Fills err (when not NULL) and returns status, so that failing is one line:
 *
 *     return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open %s", path);
 *
 * For CM_ORIGIN_OS and CM_ORIGIN_OPENSSL the system's own words are appended to the text. The
 * OpenSSL error queue of the calling thread is drained. Any thread.
 */
#define CM_FAIL(err, status, origin, native, ...)                                                  \
    cm_error_fill((err), (status), (origin), (native), __FILE__, __LINE__, __VA_ARGS__)

cm_status cm_error_fill(struct cm_error *err, cm_status status, enum cm_origin origin,
                        int64_t native, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

#endif
