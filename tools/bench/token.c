/*
 * The token's ceiling: a bare loop over C_SignInit and C_Sign with the authority's key, a session a
 * thread, with several numbers of threads. In a process of its own, because a module is loaded.
 */
#include "tools/bench/bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

#include "engine/base/clock.h"
#include "engine/base/secret.h"
#include "tools/bench/processes.h"

#define LOOP_SECONDS 0.6

enum { SESSIONS_MAX = 8, SIGNATURES_PER_LOOK = 4, DIGEST_SIZE = 32, DIGEST_INFO_SIZE = 19 };

/* DigestInfo of SHA-256 (RFC 8017, 9.2, note 1), before the digest. */
static const CK_BYTE digest_info[DIGEST_INFO_SIZE] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
                                                       0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
                                                       0x01, 0x05, 0x00, 0x04, 0x20 };

/* The token as the child has it. */
struct opened {
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* keeps the login */
    CK_MECHANISM mechanism;
    CK_BYTE input[DIGEST_INFO_SIZE + DIGEST_SIZE];
    CK_ULONG input_size;
};

struct loop_thread {
    pthread_t thread;
    const struct opened *opened;
    pthread_barrier_t *start;
    double per_second; /* negative: the token refused */
};

/* SoftHSM shows an empty slot beside those of its tokens. */
static bool find_slot(struct opened *opened)
{
    CK_SLOT_ID slots[8];
    CK_ULONG count = sizeof slots / sizeof slots[0];
    CK_TOKEN_INFO info;
    if (opened->f->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        return false;
    for (CK_ULONG i = 0; i < count; i++) {
        opened->slot = slots[i];
        if (opened->f->C_GetTokenInfo(slots[i], &info) == CKR_OK
            && (info.flags & CKF_TOKEN_INITIALIZED))
            return true;
    }
    return false;
}

static bool load(const struct cm_private_token *token, struct opened *opened)
{
    CK_C_GetFunctionList get = NULL;
    CK_C_INITIALIZE_ARGS locking = { .flags = CKF_OS_LOCKING_OK };
    void *library = dlopen(token->module, RTLD_NOW | RTLD_LOCAL);
    if (library)
        *(void **)&get = dlsym(library, "C_GetFunctionList");
    return get && get(&opened->f) == CKR_OK && opened->f->C_Initialize(&locking) == CKR_OK
           && find_slot(opened);
}

static bool log_in(const struct cm_private_token *token, struct opened *opened)
{
    struct cm_secret pin;
    struct cm_error err;
    CK_FUNCTION_LIST *f = opened->f;
    if (cm_secret_read(token->pin, NULL, &pin, &err) != CM_OK)
        return false;
    bool done =
        f->C_OpenSession(opened->slot, CKF_SERIAL_SESSION, NULL, NULL, &opened->session) == CKR_OK
        && f->C_Login(opened->session, CKU_USER, (CK_UTF8CHAR *)pin.text, pin.size) == CKR_OK;
    cm_secret_done(&pin);
    return done;
}

static void prepare_input(const char *ca_key, struct opened *opened)
{
    bool is_rsa = strncmp(ca_key, "rsa-", 4) == 0;
    size_t head = is_rsa ? DIGEST_INFO_SIZE : 0;
    memcpy(opened->input, digest_info, head);
    memset(opened->input + head, 0x5a, DIGEST_SIZE);
    opened->input_size = head + DIGEST_SIZE;
    opened->mechanism.mechanism = is_rsa                           ? CKM_RSA_PKCS
                                  : strcmp(ca_key, "ed25519") == 0 ? CKM_EDDSA
                                                                   : CKM_ECDSA;
}

static bool find_key(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret_key)
{
    char label[] = CM_BENCH_TOKEN_KEY;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attributes[] = { { CKA_CLASS, &class, sizeof class },
                                  { CKA_LABEL, label, strlen(label) } };
    CK_ULONG found = 0;
    return f->C_FindObjectsInit(session, attributes, 2) == CKR_OK
           && f->C_FindObjects(session, ret_key, 1, &found) == CKR_OK
           && f->C_FindObjectsFinal(session) == CKR_OK && found == 1;
}

static void *run_loop(void *arg)
{
    struct loop_thread *self = arg;
    const struct opened *opened = self->opened;
    CK_FUNCTION_LIST *f = opened->f;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    CK_MECHANISM mechanism = opened->mechanism;
    CK_BYTE signature[CM_SIGNATURE_SIZE_MAX];
    bool good = f->C_OpenSession(opened->slot, CKF_SERIAL_SESSION, NULL, NULL, &session) == CKR_OK
                && find_key(f, session, &key);
    pthread_barrier_wait(self->start);
    uint64_t begin = cm_clock_monotonic_ns(), now = begin, count = 0;
    while (good && now - begin < (uint64_t)(LOOP_SECONDS * 1e9)) {
        for (unsigned i = 0; i < SIGNATURES_PER_LOOK && good; i++, count++) {
            CK_ULONG size = sizeof signature;
            good = f->C_SignInit(session, &mechanism, key) == CKR_OK
                   && f->C_Sign(session, (CK_BYTE *)(uintptr_t)opened->input, opened->input_size,
                                signature, &size)
                          == CKR_OK;
        }
        now = cm_clock_monotonic_ns();
    }
    self->per_second = good ? (double)count * 1e9 / (double)(now - begin) : -1;
    return NULL;
}

/* Signatures a second of so many threads together; negative: one of them failed. */
static double run_threads(const struct opened *opened, unsigned count)
{
    struct loop_thread threads[SESSIONS_MAX];
    pthread_barrier_t start;
    double sum = 0;
    bool failed = false;
    pthread_barrier_init(&start, NULL, count);
    for (unsigned i = 0; i < count; i++) {
        threads[i] = (struct loop_thread){ .opened = opened, .start = &start };
        if (pthread_create(&threads[i].thread, NULL, run_loop, &threads[i]) != 0)
            abort(); /* the others wait for it */
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i].thread, NULL);
        failed |= threads[i].per_second < 0;
        sum += threads[i].per_second;
    }
    pthread_barrier_destroy(&start);
    return failed ? -1 : sum;
}

static void find_best(const struct opened *opened, struct cm_bench_token *ret_best)
{
    for (unsigned sessions = 1; sessions <= SESSIONS_MAX; sessions *= 2) {
        double before_s = cm_bench_cpu_s(), rate = run_threads(opened, sessions);
        if (rate <= ret_best->per_second)
            continue;
        *ret_best = (struct cm_bench_token){
            .per_second = rate,
            .sessions = sessions,
            .cpu_us = (cm_bench_cpu_s() - before_s) * 1e6 / (rate * LOOP_SECONDS),
        };
    }
}

/* Ends without the module's destructors. */
static _Noreturn void run_child(const struct cm_private_token *token, const char *ca_key, int out)
{
    struct opened opened = { 0 };
    struct cm_bench_token best = { 0 };
    prepare_input(ca_key, &opened);
    if (load(token, &opened) && log_in(token, &opened))
        find_best(&opened, &best);
    _exit(write(out, &best, sizeof best) == sizeof best ? 0 : 1);
}

cm_status cm_bench_measure_token(const struct cm_private_token *token, const char *ca_key,
                                 struct cm_bench_token *ret_token, struct cm_error *err)
{
    struct cm_bench_token best = { 0 };
    int ends[2], how;
    if (pipe(ends) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_child(token, ca_key, ends[1]);
    close(ends[1]);
    bool told = pid > 0 && read(ends[0], &best, sizeof best) == sizeof best;
    close(ends[0]);
    if (pid > 0)
        waitpid(pid, &how, 0);
    if (!told || best.per_second <= 0)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                       "the bare loop over the token's C_Sign failed");
    *ret_token = best;
    return CM_OK;
}
