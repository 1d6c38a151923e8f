#include "tests/conformance/provider_rig.h"

#include "providers/keyfile.h"
#include "tests/conformance/rig_vault.h"
#include "tests/support/rsa_pairs.h"
#include "tests/support/token_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { GUARD_MS = 180000, MESSAGE_SIZE = 64 };

/* ------------------------------------------------------------------ files -- */

static const struct {
    const char *name;
    enum cm_key_type type;
    uint32_t bits;
    const char *passphrase;
} key_files[] = {
    { "p256", CM_KEY_P256, 0, NULL },       { "p384", CM_KEY_P384, 0, NULL },
    { "p521", CM_KEY_P521, 0, NULL },       { "rsa2048", CM_KEY_RSA, 2048, NULL },
    { "rsa3072", CM_KEY_RSA, 3072, NULL },  { "rsa4096", CM_KEY_RSA, 4096, NULL },
    { "ed25519", CM_KEY_ED25519, 0, NULL }, { "locked", CM_KEY_P256, 0, RIG_PASSPHRASE },
};

static const struct rig_backend *used;

void rig_use(const struct rig_backend *backend)
{
    used = backend;
}

static void write_rsa_file(const char *path, unsigned bits)
{
    EVP_PKEY *pair = cm_rsa_pair_of(bits);
    FILE *file = fopen(path, "w");
    CU_ASSERT_TRUE_FATAL(pair && file && fchmod(fileno(file), 0600) == 0);
    CU_ASSERT_EQUAL_FATAL(PEM_write_PKCS8PrivateKey(file, pair, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    EVP_PKEY_free(pair);
}

static const char *key_file(unsigned index)
{
    static char reference[512];
    struct cm_keyfile_spki spki;
    struct cm_error err;
    const char *path = reference + 5;
    snprintf(reference, sizeof reference, "file:%s/%s.pem", cm_test_scratch(),
             key_files[index].name);
    if (access(path, F_OK) == 0)
        return reference;
    if (key_files[index].type == CM_KEY_RSA)
        write_rsa_file(path, key_files[index].bits);
    else
        CU_ASSERT_EQUAL_FATAL(cm_keyfile_generate(key_files[index].type, key_files[index].bits,
                                                  path, key_files[index].passphrase, &spki, &err),
                              CM_OK);
    return reference;
}

/* By an instance of its own, because the test's may be opened without a PIN. */
static void make_key(unsigned index, const char *reference)
{
    struct rig rig;
    struct cm_key *key = NULL;
    struct cm_error err = { .status = CM_OK };
    const struct cm_provider_settings settings = rig_settings(1);
    const struct cm_key_spec spec = { .type = key_files[index].type,
                                      .bits = key_files[index].bits };
    CU_ASSERT_EQUAL_FATAL(rig_try_open(&rig, used->ops, &settings, &err), CM_OK);
    cm_status status = rig_create_key(&rig, reference, &spec, CM_SIGALG_UNKNOWN, &key, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    cm_provider_close_key(key);
    rig_close(&rig);
}

static const char *token_key(unsigned index)
{
    static char reference[512];
    static const struct rig_backend *made[sizeof key_files / sizeof key_files[0]];
    snprintf(reference, sizeof reference, "pkcs11:token=%s;object=%s", used->token,
             key_files[index].name);
    if (made[index] != used)
        make_key(index, reference);
    made[index] = used;
    return reference;
}

static const char *vault_key(unsigned index)
{
    static bool is_made[sizeof key_files / sizeof key_files[0]];
    const char *name = key_files[index].name;
    if (!is_made[index] && rig_vault_is_foreign())
        make_key(index, rig_vault_reference(rig_vault(), name));
    else if (!is_made[index])
        rig_vault_make_key(rig_vault(), name, key_files[index].type, key_files[index].bits);
    is_made[index] = true;
    return rig_vault_reference(rig_vault(), name);
}

const char *rig_key_reference(const char *name)
{
    unsigned index = 0;
    while (strcmp(key_files[index].name, name) != 0)
        index++;
    if (used && used->is_vault)
        return vault_key(index);
    return used && used->module ? token_key(index) : key_file(index);
}

const char *rig_write_file(const char *name, const void *content, size_t size, unsigned mode)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", cm_test_scratch(), name);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fwrite(content, 1, size, file), size);
    fclose(file);
    chmod(path, mode);
    return path;
}

/* ------------------------------------------------------------------ the loop -- */

static void notice(struct rig *rig)
{
    if (rig->inside_call || !pthread_equal(rig->thread, pthread_self()))
        rig->wrong_calls++;
    cm_loop_stop(rig->loop);
}

static void on_guard(void *arg)
{
    struct rig *rig = arg;
    rig->timed_out = true;
    cm_loop_stop(rig->loop);
}

void rig_wait(struct rig *rig, const unsigned *counter, unsigned target)
{
    cm_timer_start(&rig->guard, rig->loop, GUARD_MS, on_guard, rig);
    while (*counter < target && !rig->timed_out)
        cm_loop_run(rig->loop);
    cm_timer_stop(&rig->guard);
    CU_ASSERT_FALSE_FATAL(rig->timed_out);
}

static void on_pause(void *arg)
{
    struct rig *rig = arg;
    rig->pauses++;
    cm_loop_stop(rig->loop);
}

void rig_run_for(struct rig *rig, uint32_t duration_ms)
{
    unsigned pauses = rig->pauses;
    cm_timer_start(&rig->pause, rig->loop, duration_ms, on_pause, rig);
    rig_wait(rig, &rig->pauses, pauses + 1);
}

/* ------------------------------------------------------------------ life -- */

cm_status rig_try_open(struct rig *rig, const struct cm_provider_ops *ops,
                       const struct cm_provider_settings *settings, struct cm_error *err)
{
    *rig = (struct rig){ .thread = pthread_self() };
    const struct cm_host_settings host = { .kind = ops->name,
                                           .program = TEST_SIGNER,
                                           .call_deadline_ms = GUARD_MS,
                                           .signs_anything = true };
    struct cm_provider_settings hosted = *settings;
    bool is_hosted = used && used->is_hosted && ops == used->ops;
    if (is_hosted)
        hosted.host = &host;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&rig->loop, err), CM_OK);
    cm_status status = cm_provider_open(is_hosted ? &cm_provider_hosted : ops, rig->loop, &hosted,
                                        &rig->provider, err);
    if (status != CM_OK)
        cm_loop_free(rig->loop);
    return status;
}

struct cm_provider_settings rig_settings(uint32_t workers_count)
{
    bool in_token = used && used->module;
    if (used && used->is_vault)
        return (struct cm_provider_settings){
            .name = "under test",
            .folder = cm_test_scratch(),
            .passphrase_ref =
                rig_vault_is_foreign() ? NULL : rig_vault_secret(CM_KEYVAULT_CLIENT_SECRET),
            /* The emulator does one thing at a time: a connection waits for the signatures before it. */
            .options = rig_vault_options(rig_vault(), ", \"in-flight\": 16"),
            .workers_count = workers_count,
        };
    return (struct cm_provider_settings){ .name = "under test",
                                          .folder = cm_test_scratch(),
                                          .module = in_token ? used->module : NULL,
                                          .passphrase_ref =
                                              in_token ? token_pin_reference(used->pin) : NULL,
                                          .workers_count = workers_count };
}

void rig_open(struct rig *rig, const struct cm_provider_ops *ops, const char *options,
              uint32_t workers_count)
{
    struct cm_provider_settings settings = rig_settings(workers_count);
    if (options)
        settings.options = options;
    struct cm_error err = { .status = CM_OK };
    cm_status status = rig_try_open(rig, ops, &settings, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
}

static void on_drained(void *arg)
{
    struct rig *rig = arg;
    rig->draineds++;
    notice(rig);
}

void rig_drain(struct rig *rig)
{
    rig->drain_asked = true;
    rig->inside_call = true;
    cm_provider_drain(rig->provider, on_drained, rig);
    rig->inside_call = false;
}

void rig_close(struct rig *rig)
{
    if (!rig->drain_asked)
        rig_drain(rig);
    rig_wait(rig, &rig->draineds, 1);
    CU_ASSERT_EQUAL(rig->draineds, 1);
    CU_ASSERT_EQUAL(rig->wrong_calls, 0);
    cm_provider_close(rig->provider);
    cm_timer_done(&rig->guard);
    cm_timer_done(&rig->pause);
    cm_loop_free(rig->loop);
}

/* ------------------------------------------------------------------ keys -- */

struct answer {
    struct rig *rig;
    cm_status status;
    struct cm_key *key;
    struct cm_error err;
};

static void on_opened(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct answer *answer = arg;
    answer->status = status;
    answer->key = key;
    answer->err = *err;
    CU_ASSERT_TRUE(status != CM_OK || err->text[0] == '\0'); /* that was told */
    answer->rig->openeds++;
    notice(answer->rig);
}

/* Opens the key, or makes it where there is a spec. */
static cm_status have_key(struct rig *rig, const char *reference, enum cm_sigalg alg,
                          const struct cm_key_spec *spec, struct cm_key **ret_key,
                          struct cm_error *err)
{
    struct answer answer = { .rig = rig };
    unsigned openeds = rig->openeds;
    rig->inside_call = true;
    if (spec)
        cm_provider_create_key(rig->provider, reference, spec, alg, on_opened, &answer);
    else
        cm_provider_open_key(rig->provider, reference, alg, on_opened, &answer);
    rig->inside_call = false;
    rig_wait(rig, &rig->openeds, openeds + 1);
    if (answer.status == CM_OK)
        *ret_key = answer.key;
    if (err)
        *err = answer.err;
    return answer.status;
}

cm_status rig_create_key(struct rig *rig, const char *reference, const struct cm_key_spec *spec,
                         enum cm_sigalg alg, struct cm_key **ret_key, struct cm_error *err)
{
    return have_key(rig, reference, alg, spec, ret_key, err);
}

static void on_destroyed(cm_status status, const struct cm_error *err, void *arg)
{
    on_opened(status, NULL, err, arg);
}

cm_status rig_destroy_key(struct rig *rig, struct cm_key *key, struct cm_error *err)
{
    struct answer answer = { .rig = rig };
    unsigned openeds = rig->openeds;
    rig->inside_call = true;
    cm_provider_destroy_key(key, on_destroyed, &answer);
    rig->inside_call = false;
    rig_wait(rig, &rig->openeds, openeds + 1);
    if (err)
        *err = answer.err;
    return answer.status;
}

cm_status rig_open_key(struct rig *rig, const char *reference, enum cm_sigalg alg,
                       struct cm_key **ret_key, struct cm_error *err)
{
    return have_key(rig, reference, alg, NULL, ret_key, err);
}

struct cm_key *rig_key(struct rig *rig, const char *name, enum cm_sigalg alg)
{
    struct cm_key *key = NULL;
    struct cm_error err;
    cm_status status = rig_open_key(rig, rig_key_reference(name), alg, &key, &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    return key;
}

/* ------------------------------------------------------------------ batches -- */

static void on_done(struct cm_sign_batch *inner, void *arg)
{
    struct rig_batch *batch = arg;
    if (inner != &batch->batch)
        batch->rig->wrong_calls++;
    batch->dones++;
    batch->rig->dones++;
    notice(batch->rig);
}

struct rig_batch *rig_batch_new(struct rig *rig, struct cm_key *key, uint32_t count)
{
    static uint32_t number;
    uint32_t space = key->signature_size_max;
    struct rig_batch *batch = calloc(1, sizeof *batch);
    batch->rig = rig;
    batch->items = calloc(count, sizeof *batch->items);
    batch->memory = calloc(count, MESSAGE_SIZE + space);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *message = batch->memory + (size_t)i * (MESSAGE_SIZE + space);
        snprintf((char *)message, MESSAGE_SIZE, "message %u of the test", number++);
        batch->items[i] = (struct cm_sign_item){ .message = cm_bytes(message, MESSAGE_SIZE),
                                                 .signature = message + MESSAGE_SIZE,
                                                 .signature_space = space,
                                                 .status = CM_STATUS_COUNT };
    }
    batch->batch = (struct cm_sign_batch){
        .key = key, .items = batch->items, .items_count = count, .done = on_done, .done_arg = batch
    };
    return batch;
}

void rig_batch_free(struct rig_batch *batch)
{
    free(batch->memory);
    free(batch->items);
    free(batch);
}

cm_status rig_submit(struct rig_batch *batch)
{
    struct rig *rig = batch->rig;
    rig->inside_call = true;
    cm_status status = cm_provider_sign(rig->provider, &batch->batch, NULL);
    rig->inside_call = false;
    return status;
}

void rig_sign(struct rig_batch *batch)
{
    unsigned dones = batch->dones;
    CU_ASSERT_EQUAL_FATAL(rig_submit(batch), CM_OK);
    rig_wait(batch->rig, &batch->dones, dones + 1);
}

uint32_t rig_count_status(const struct rig_batch *batch, cm_status status)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->batch.items_count; i++)
        count += batch->items[i].status == status;
    return count;
}

/* ------------------------------------------------------------------ verifying -- */

bool rig_verifies(const struct cm_key *key, const struct cm_sign_item *item)
{
    const unsigned char *at = key->spki.data;
    const char *hash = cm_sigalg_hash(key->alg);
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)key->spki.size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *details;
    const EVP_MD *md = hash[0] ? EVP_get_digestbyname(hash) : NULL;
    bool good = pkey && EVP_DigestVerifyInit(context, &details, md, NULL, pkey) == 1;
    if (good && cm_sigalg_is_pss(key->alg))
        good = EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) > 0
               && EVP_PKEY_CTX_set_rsa_pss_saltlen(details, EVP_MD_get_size(md)) > 0
               && EVP_PKEY_CTX_set_rsa_mgf1_md(details, md) > 0;
    good = good
           && EVP_DigestVerify(context, item->signature, item->signature_size, item->message.data,
                               item->message.size)
                  == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    return good;
}

bool rig_all_verify(const struct rig_batch *batch)
{
    for (uint32_t i = 0; i < batch->batch.items_count; i++)
        if (batch->items[i].status != CM_OK || !rig_verifies(batch->batch.key, &batch->items[i]))
            return false;
    return true;
}

bool rig_signs(struct rig *rig, struct cm_key *key, uint32_t count)
{
    struct rig_batch *batch = rig_batch_new(rig, key, count);
    rig_sign(batch);
    bool good = rig_all_verify(batch);
    rig_batch_free(batch);
    return good;
}
