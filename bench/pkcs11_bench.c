/*
 * Signatures a second with one key in a token, in three ways: libp11's own (an EVP_PKEY shared by
 * the threads), bare C_SignInit and C_Sign in a session a thread, and the provider.
 *
 *     pkcs11_bench MODULE TOKEN-LABEL PIN-FILE KEY-TYPE THREADS [SECONDS]
 *
 * The key is made in the token when it is not there: object=bench-TYPE. Prints one JSON line; the
 * three ways take turns, three rounds each, and the middle round counts.
 */
#include "engine/base/clock.h"
#include "engine/base/secret.h"
#include "providers/backends.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <dlfcn.h>
#include <libp11.h>
#include <openssl/evp.h>
#include <p11-kit/pkcs11.h>

enum { ITEMS = 256, BATCHES = 4, THREADS_MAX = 64, ROUNDS = 3, MESSAGE_SIZE = 500 };

static uint8_t message[MESSAGE_SIZE];
static const char *module_path, *token_label, *pin_reference;
static enum cm_key_type key_type;
static char key_label[32], reference[256];
static unsigned threads_count;
static uint64_t duration_ns;

static void fail(const char *what)
{
    fprintf(stderr, "pkcs11_bench: %s\n", what);
    exit(1);
}

/* ------------------------------------------------------------------ threads -- */

struct thread {
    pthread_t thread;
    void *way;
    uint64_t signatures;
};

static double run_threads(void *(*run)(void *), void *way)
{
    struct thread threads[THREADS_MAX];
    uint64_t begin_ns = cm_clock_monotonic_ns(), signatures = 0;
    for (unsigned i = 0; i < threads_count; i++) {
        threads[i] = (struct thread){ .way = way };
        if (pthread_create(&threads[i].thread, NULL, run, &threads[i]) != 0)
            fail("a thread does not start");
    }
    for (unsigned i = 0; i < threads_count; i++) {
        pthread_join(threads[i].thread, NULL);
        signatures += threads[i].signatures;
    }
    return (double)signatures * 1e9 / (double)(cm_clock_monotonic_ns() - begin_ns);
}

/* ------------------------------------------------------------------ libp11 -- */

static void *run_libp11(void *arg)
{
    struct thread *thread = arg;
    EVP_PKEY *pkey = thread->way;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint8_t hash[32], signature[1024];
    uint64_t end_ns = cm_clock_monotonic_ns() + duration_ns;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    if (!context || EVP_PKEY_sign_init(context) <= 0
        || EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) <= 0)
        fail("libp11: sign_init");
    while (cm_clock_monotonic_ns() < end_ns) {
        size_t size = sizeof signature;
        EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
        EVP_DigestUpdate(digest, message, sizeof message);
        EVP_DigestFinal_ex(digest, hash, NULL);
        if (EVP_PKEY_sign(context, signature, &size, hash, sizeof hash) <= 0)
            fail("libp11: sign");
        thread->signatures++;
    }
    EVP_PKEY_CTX_free(context);
    EVP_MD_CTX_free(digest);
    return NULL;
}

static EVP_PKEY *find_with_libp11(PKCS11_SLOT *slot)
{
    PKCS11_KEY *keys;
    unsigned count;
    if (PKCS11_enumerate_keys(slot->token, &keys, &count) != 0)
        fail("libp11: enumerate keys");
    for (unsigned i = 0; i < count; i++)
        if (keys[i].label && strcmp(keys[i].label, key_label) == 0)
            return PKCS11_get_private_key(&keys[i]);
    fail("libp11: no key");
    return NULL;
}

static double measure_libp11(const char *pin)
{
    PKCS11_CTX *context = PKCS11_CTX_new();
    PKCS11_SLOT *slots = NULL, *slot;
    unsigned count = 0;
    if (PKCS11_CTX_load(context, module_path) != 0
        || PKCS11_enumerate_slots(context, &slots, &count) != 0)
        fail("libp11: load");
    slot = PKCS11_find_token(context, slots, count);
    while (slot && strcmp(slot->token->label, token_label) != 0)
        slot = PKCS11_find_next_token(context, slots, count, slot);
    if (!slot || PKCS11_login(slot, 0, pin) != 0)
        fail("libp11: login");
    EVP_PKEY *pkey = find_with_libp11(slot);
    double rate = run_threads(run_libp11, pkey);
    EVP_PKEY_free(pkey);
    PKCS11_release_all_slots(context, slots, count);
    PKCS11_CTX_unload(context);
    PKCS11_CTX_free(context);
    return rate;
}

/* ------------------------------------------------------------------ bare -- */

struct bare {
    const CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    CK_OBJECT_HANDLE key;
};

static void *run_bare(void *arg)
{
    struct thread *thread = arg;
    const struct bare *bare = thread->way;
    CK_MECHANISM mechanism = { .mechanism = key_type == CM_KEY_RSA ? CKM_RSA_PKCS : CKM_ECDSA };
    static const uint8_t head[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                    0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    uint8_t data[sizeof head + 32], signature[1024];
    size_t skip = key_type == CM_KEY_RSA ? 0 : sizeof head;
    CK_SESSION_HANDLE session;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint64_t end_ns = cm_clock_monotonic_ns() + duration_ns;
    memcpy(data, head, sizeof head);
    if (bare->f->C_OpenSession(bare->slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK)
        fail("bare: session");
    while (cm_clock_monotonic_ns() < end_ns) {
        CK_ULONG size = sizeof signature;
        EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
        EVP_DigestUpdate(digest, message, sizeof message);
        EVP_DigestFinal_ex(digest, data + sizeof head, NULL);
        if (bare->f->C_SignInit(session, &mechanism, bare->key) != CKR_OK
            || bare->f->C_Sign(session, data + skip, sizeof data - skip, signature, &size)
                   != CKR_OK)
            fail("bare: sign");
        thread->signatures++;
    }
    bare->f->C_CloseSession(session);
    EVP_MD_CTX_free(digest);
    return NULL;
}

static CK_SLOT_ID find_slot(const CK_FUNCTION_LIST *f)
{
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16;
    f->C_GetSlotList(CK_TRUE, slots, &count);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (f->C_GetTokenInfo(slots[i], &info) == CKR_OK
            && memcmp(info.label, token_label, strlen(token_label)) == 0)
            return slots[i];
    }
    fail("bare: no token");
    return 0;
}

static double measure_bare(const char *pin)
{
    CK_FUNCTION_LIST *f;
    CK_C_GetFunctionList get_list;
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE wanted[] = { { CKA_CLASS, &class, sizeof class },
                              { CKA_LABEL, key_label, strlen(key_label) } };
    struct bare bare;
    CK_SESSION_HANDLE session;
    CK_ULONG found = 0;
    void *symbol = dlsym(dlopen(module_path, RTLD_NOW), "C_GetFunctionList");
    memcpy(&get_list, &symbol, sizeof get_list);
    if (get_list(&f) != CKR_OK || f->C_Initialize(&args) != CKR_OK)
        fail("bare: initialise");
    bare = (struct bare){ .f = f, .slot = find_slot(f) };
    if (f->C_OpenSession(bare.slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK
        || f->C_Login(session, CKU_USER, (CK_UTF8CHAR_PTR)(uintptr_t)pin, strlen(pin)) != CKR_OK
        || f->C_FindObjectsInit(session, wanted, 2) != CKR_OK
        || f->C_FindObjects(session, &bare.key, 1, &found) != CKR_OK || found != 1)
        fail("bare: key");
    f->C_FindObjectsFinal(session);
    double rate = run_threads(run_bare, &bare);
    f->C_Finalize(NULL);
    return rate;
}

/* ------------------------------------------------------------------ the provider -- */

struct run {
    struct cm_loop *loop;
    struct cm_provider *provider;
    struct cm_key *key;
    uint64_t end_ns, signatures;
    uint32_t in_flight;
    struct cm_sign_batch batches[BATCHES];
    struct cm_sign_item items[BATCHES][ITEMS];
    uint8_t space[BATCHES][ITEMS][CM_SIGNATURE_SIZE_MAX];
};

static void on_key(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct run *run = arg;
    if (status != CM_OK && status != CM_EXISTS)
        fail(err->text);
    run->key = key;
    cm_loop_stop(run->loop);
}

static void on_drained(void *arg)
{
    cm_loop_stop(((struct run *)arg)->loop);
}

static void on_done(struct cm_sign_batch *batch, void *arg)
{
    struct run *run = arg;
    struct cm_error err;
    run->in_flight--;
    for (uint32_t i = 0; i < batch->items_count; i++)
        run->signatures += batch->items[i].status == CM_OK;
    if (cm_clock_monotonic_ns() >= run->end_ns) {
        if (run->in_flight == 0)
            cm_loop_stop(run->loop);
    } else if (cm_provider_sign(run->provider, batch, &err) != CM_OK) {
        fail(err.text);
    } else {
        run->in_flight++;
    }
}

static void submit_all(struct run *run)
{
    struct cm_error err;
    for (unsigned b = 0; b < BATCHES; b++) {
        for (unsigned i = 0; i < ITEMS; i++)
            run->items[b][i] = (struct cm_sign_item){ .message = cm_bytes(message, MESSAGE_SIZE),
                                                      .signature = run->space[b][i],
                                                      .signature_space = CM_SIGNATURE_SIZE_MAX };
        run->batches[b] = (struct cm_sign_batch){ .key = run->key,
                                                  .items = run->items[b],
                                                  .items_count = ITEMS,
                                                  .done = on_done,
                                                  .done_arg = run };
        if (cm_provider_sign(run->provider, &run->batches[b], &err) != CM_OK)
            fail(err.text);
        run->in_flight++;
    }
}

static void open_run(struct run *run, uint32_t workers_count)
{
    struct cm_error err;
    const struct cm_key_spec spec = { .type = key_type, .bits = 2048 };
    const struct cm_provider_settings settings = { .name = "bench",
                                                   .module = module_path,
                                                   .passphrase_ref = pin_reference,
                                                   .workers_count = workers_count };
    if (cm_loop_new(&run->loop, &err) != CM_OK
        || cm_provider_open(&cm_provider_pkcs11, run->loop, &settings, &run->provider, &err)
               != CM_OK)
        fail(err.text);
    cm_provider_create_key(run->provider, reference, &spec, CM_SIGALG_UNKNOWN, on_key, run);
    cm_loop_run(run->loop);
    if (run->key)
        return;
    cm_provider_open_key(run->provider, reference, CM_SIGALG_UNKNOWN, on_key, run);
    cm_loop_run(run->loop);
}

static double measure_provider(uint32_t workers_count)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        fail("no memory");
    open_run(run, workers_count);
    uint64_t begin_ns = cm_clock_monotonic_ns();
    run->end_ns = begin_ns + duration_ns;
    submit_all(run);
    cm_loop_run(run->loop);
    double rate = (double)run->signatures * 1e9 / (double)(cm_clock_monotonic_ns() - begin_ns);
    cm_provider_close_key(run->key);
    cm_provider_drain(run->provider, on_drained, run);
    cm_loop_run(run->loop);
    cm_provider_close(run->provider);
    cm_loop_free(run->loop);
    free(run);
    return rate;
}

/* ------------------------------------------------------------------ main -- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(double *rates)
{
    qsort(rates, ROUNDS, sizeof *rates, compare);
    return rates[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    double rates[4][ROUNDS];
    struct cm_secret pin;
    struct cm_error err;
    char pin_file[512];
    if (argc < 6)
        fail("MODULE TOKEN-LABEL PIN-FILE KEY-TYPE THREADS [SECONDS]");
    module_path = argv[1];
    token_label = argv[2];
    snprintf(pin_file, sizeof pin_file, "file:%s", argv[3]);
    pin_reference = pin_file;
    key_type = cm_key_type_find(argv[4]);
    threads_count = (unsigned)atoi(argv[5]);
    duration_ns = (uint64_t)((argc > 6 ? atof(argv[6]) : 1.0) * 1e9);
    snprintf(key_label, sizeof key_label, "bench-%s", argv[4]);
    snprintf(reference, sizeof reference, "pkcs11:token=%s;object=%s", token_label, key_label);
    if (threads_count == 0 || threads_count > THREADS_MAX || key_type == CM_KEY_UNKNOWN)
        fail("1 to 64 threads, and a type of key");
    if (cm_secret_read(pin_reference, NULL, &pin, &err) != CM_OK)
        fail(err.text);
    for (unsigned i = 0; i < ROUNDS; i++) {
        rates[0][i] = measure_provider(threads_count);
        rates[1][i] = measure_libp11(pin.text);
        rates[2][i] = measure_bare(pin.text);
        rates[3][i] = measure_provider(0);
    }
    cm_secret_done(&pin);
    printf("{\"key\":\"%s\",\"threads\":%u,\"libp11_per_second\":%.0f,\"bare_per_second\":%.0f,"
           "\"provider_per_second\":%.0f,\"provider_auto_per_second\":%.0f}\n",
           argv[4], threads_count, middle(rates[1]), middle(rates[2]), middle(rates[0]),
           middle(rates[3]));
    return 0;
}
