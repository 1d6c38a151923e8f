#include "tests/unit/engine/issuing_rig.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/base/clock.h"
#include "providers/backends.h"
#include "providers/fake/fake.h"
#include "providers/host.h"
#include "providers/keyfile.h"
#include "tests/support/test_main.h"

enum { PATIENCE_MS = 60000, DER_SIZE_MAX = 2048 };

#define MUST(condition) must((condition), #condition, __LINE__)

static void must(bool holds, const char *condition, int line)
{
    if (holds)
        return;
    printf("issuing_rig.c:%d: %s\n", line, condition);
    abort();
}

/* ------------------------------------------------------------------ time -- */

struct wait {
    struct issuing_rig *rig;
    bool (*is_done)(void *arg);
    void *arg;
    struct cm_timer timer;
    unsigned looks;
    bool is_over;
};

static void look(void *arg)
{
    struct wait *wait = arg;
    wait->is_over = wait->is_done && wait->is_done(wait->arg);
    if (wait->is_over || wait->looks-- == 0)
        cm_loop_stop(wait->rig->loop);
    else
        cm_timer_start(&wait->timer, wait->rig->loop, 2, look, wait);
}

bool issuing_wait(struct issuing_rig *rig, bool (*is_done)(void *arg), void *arg)
{
    struct wait wait = { .rig = rig, .is_done = is_done, .arg = arg, .looks = PATIENCE_MS / 2 };
    cm_timer_start(&wait.timer, rig->loop, 0, look, &wait);
    cm_loop_run(rig->loop);
    cm_timer_done(&wait.timer);
    return wait.is_over;
}

void issuing_pause(struct issuing_rig *rig, uint32_t duration_ms)
{
    struct wait wait = { .rig = rig };
    cm_timer_start(&wait.timer, rig->loop, duration_ms, look, &wait);
    cm_loop_run(rig->loop);
    cm_timer_done(&wait.timer);
}

/* ------------------------------------------------------------------ notices -- */

void issuing_on_notice(const char *text, void *arg)
{
    struct issuing_rig *rig = arg;
    snprintf(rig->notices[rig->notices_count++ % ISSUING_NOTICES_MAX], sizeof rig->notices[0], "%s",
             text);
}

bool issuing_told(const struct issuing_rig *rig, const char *words)
{
    for (uint32_t i = 0; i < rig->notices_count && i < ISSUING_NOTICES_MAX; i++)
        if (strstr(rig->notices[i], words))
            return true;
    return false;
}

/* ------------------------------------------------------------------ store and providers -- */

static void open_store(struct issuing_rig *rig, bool creates)
{
    struct cm_error err = { .text = "" };
    char path[500];
    snprintf(path, sizeof path, "%s/store.db", rig->folder);
    const struct cm_store_settings settings = { .path = path, .create = creates };
    MUST(cm_store_open(&cm_store_sqlite, rig->loop, &settings, &rig->store, &err) == CM_OK);
    MUST(cm_store_reader_open(rig->store, &rig->reader, &err) == CM_OK);
}

static void open_provider(struct issuing_rig *rig, uint32_t position)
{
    const struct cm_settings_provider *from = &rig->providers_settings[position];
    char kind[32];
    struct cm_error err = { .text = "" };
    bool is_hosted = strstr(from->kind, "-hosted") != NULL;
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(from->kind, "-"), from->kind);
    const struct cm_host_settings host = { .kind = kind, .program = TEST_SIGNER };
    const struct cm_provider_settings settings = { .name = from->name,
                                                   .folder = rig->folder,
                                                   .options = from->options,
                                                   .workers_count = 1,
                                                   .host = &host };
    const struct cm_provider_ops *ops =
        strcmp(kind, "fake") == 0 ? &cm_provider_fake : cm_provider_find(kind);
    ops = is_hosted ? &cm_provider_hosted : ops;
    cm_status status = cm_provider_open(ops, rig->loop, &settings, &rig->providers[position], &err);
    if (status != CM_OK)
        printf("%s\n", err.text);
    MUST(status == CM_OK);
}

void issuing_begin(struct issuing_rig *rig, const char *kind, const char *options)
{
    static unsigned folders_count;
    struct cm_error err;
    *rig = (struct issuing_rig){ 0 };
    snprintf(rig->folder, sizeof rig->folder, "%s/authority-%u", cm_test_scratch(),
             folders_count++);
    MUST(mkdir(rig->folder, 0700) == 0);
    MUST(cm_loop_new(&rig->loop, &err) == CM_OK);
    rig->authority = (struct cm_settings_authority){ .name = "issuing",
                                                     .crl_shards = 1,
                                                     .signatures_per_s_max = 1000 };
    rig->settings = (struct cm_settings){ .providers = rig->providers_settings,
                                          .authorities = &rig->authority,
                                          .authorities_count = 1 };
    issuing_add_provider(rig, kind, options);
    open_store(rig, true);
    cm_serials_init(&rig->serials, 0);
}

void issuing_add_provider(struct issuing_rig *rig, const char *kind, const char *options)
{
    uint32_t at = rig->settings.providers_count++;
    rig->providers_settings[at] = (struct cm_settings_provider){
        .name = at == 0 ? "software" : "responders", .kind = kind, .options = options
    };
    open_provider(rig, at);
}

static void close_providers(struct issuing_rig *rig)
{
    for (uint32_t i = 0; i < rig->settings.providers_count; i++)
        cm_provider_close(rig->providers[i]);
}

/* ------------------------------------------------------------------ generations -- */

static void add_extension(X509 *x509, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    MUST(extension && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static size_t certify(EVP_PKEY *key, const char *name, int days, uint8_t *der)
{
    X509 *x509 = X509_new();
    unsigned char *at = der;
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 7);
    X509_gmtime_adj(X509_getm_notBefore(x509), -500l * 86400);
    X509_gmtime_adj(X509_getm_notAfter(x509), days * 86400l);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_set_pubkey(x509, key);
    add_extension(x509, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x509, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature");
    add_extension(x509, NID_subject_key_identifier, "hash");
    MUST(X509_sign(x509, key, EVP_sha256()) > 0);
    int size = i2d_X509(x509, &at);
    MUST(size > 0 && size < DER_SIZE_MAX);
    X509_free(x509);
    return (size_t)size;
}

/* Makes the key file and reads it back. */
static EVP_PKEY *make_key(const char *path)
{
    struct cm_keyfile_spki spki;
    struct cm_error err;
    MUST(cm_keyfile_generate(CM_KEY_P256, 0, path, NULL, &spki, &err) == CM_OK);
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    MUST(key != NULL);
    fclose(file);
    return key;
}

void issuing_add_with(struct issuing_rig *rig, enum cm_generation_state state, int days,
                      const char *provider, const char *reference)
{
    char path[500], name[40];
    uint8_t der[DER_SIZE_MAX];
    struct cm_error err = { .text = "" };
    snprintf(name, sizeof name, "issuing-%lld", (long long)++rig->generations_count);
    snprintf(path, sizeof path, "%s/%s.pem", rig->folder, name);
    EVP_PKEY *key = make_key(path);
    struct cm_generation generation = { .authority = cm_bytes_str("issuing"),
                                        .generation = rig->generations_count,
                                        .state = state,
                                        .provider = cm_bytes_str(provider),
                                        .key = cm_bytes_str(reference),
                                        .sigalg = cm_bytes_str("ecdsa-sha256"),
                                        .certificate = cm_bytes(der, certify(key, name, days, der)),
                                        .chain = cm_bytes_str("chain"),
                                        .created_ms = cm_clock_wall_ms() };
    const struct cm_audit_event audit = { .kind = "test",
                                          .actor = cm_bytes_str("test"),
                                          .detail = cm_bytes_str("{}") };
    struct cm_store_op op = { .kind = CM_STORE_GENERATION,
                              .generation = &generation,
                              .audit = &audit };
    EVP_PKEY_free(key);
    MUST(cm_store_apply(rig->store, &op, &err) == CM_OK);
}

void issuing_add(struct issuing_rig *rig, enum cm_generation_state state, int days)
{
    char reference[60];
    snprintf(reference, sizeof reference, "file:issuing-%lld.pem",
             (long long)rig->generations_count + 1);
    issuing_add_with(rig, state, days, "software", reference);
}

struct find {
    unsigned position;
    struct cm_generation found;
    uint8_t certificate[DER_SIZE_MAX];
    char url[300];
};

static bool find_generation(const struct cm_generation *generation, void *arg)
{
    struct find *find = arg;
    if (find->position-- > 0)
        return true;
    find->found = *generation;
    memcpy(find->certificate, generation->certificate.data, generation->certificate.size);
    find->found.certificate.data = find->certificate;
    snprintf(find->url, sizeof find->url, "%.*s", (int)generation->crl_url.size,
             generation->crl_url.size ? (const char *)generation->crl_url.data : "");
    find->found.crl_url = cm_bytes_str(find->url);
    return false;
}

struct cm_generation issuing_generation(struct issuing_rig *rig, unsigned position)
{
    static struct find find;
    struct cm_error err;
    find = (struct find){ .position = position };
    MUST(cm_store_reader_begin(rig->reader, &err) == CM_OK);
    MUST(cm_store_walk_generations(rig->reader, find_generation, &find, &err) == CM_OK);
    cm_store_reader_end(rig->reader);
    return find.found;
}

struct count {
    const char *kind;
    unsigned count;
};

static bool count_row(const struct cm_audit_row *row, void *arg)
{
    struct count *count = arg;
    count->count += strcmp(row->kind, count->kind) == 0;
    return true;
}

unsigned issuing_count_audit(struct issuing_rig *rig, const char *kind)
{
    struct count count = { .kind = kind };
    struct cm_error err;
    MUST(cm_store_reader_begin(rig->reader, &err) == CM_OK);
    MUST(cm_store_walk_audit(rig->reader, 1, count_row, &count, &err) == CM_OK);
    cm_store_reader_end(rig->reader);
    return count.count;
}

/* ------------------------------------------------------------------ issuers -- */

static void on_opened(struct cm_issuers *issuers, void *arg)
{
    struct issuing_rig *rig = arg;
    (void)issuers;
    rig->is_opened = true;
}

static bool is_opened(void *arg)
{
    return ((struct issuing_rig *)arg)->is_opened;
}

static void on_idle(void *arg)
{
    ((struct issuing_rig *)arg)->idles_count++;
}

static void on_added(const struct cm_issuer_key *issuer, void *arg)
{
    struct issuing_rig *rig = arg;
    rig->added_count += issuer->generation_number > 0;
}

cm_status issuing_open(struct issuing_rig *rig)
{
    const struct cm_issuers_env env = { .loop = rig->loop,
                                        .settings = &rig->settings,
                                        .providers = rig->providers,
                                        .store = rig->store,
                                        .may_wait = rig->may_wait,
                                        .on_notice = issuing_on_notice,
                                        .on_idle = on_idle,
                                        .on_added = on_added,
                                        .arg = rig };
    rig->is_opened = false;
    cm_issuers_open(&rig->issuers, &env, rig->reader, on_opened, rig);
    MUST(issuing_wait(rig, is_opened, rig));
    return rig->issuers.status;
}

bool issuing_is_idle(void *arg)
{
    return cm_issuers_are_idle(&((struct issuing_rig *)arg)->issuers);
}

void issuing_close(struct issuing_rig *rig)
{
    cm_issuers_stop(&rig->issuers);
    MUST(issuing_wait(rig, issuing_is_idle, rig));
    cm_issuers_close(&rig->issuers);
    close_providers(rig);
    cm_store_reader_close(rig->reader);
    cm_store_close(rig->store);
}

void issuing_reopen(struct issuing_rig *rig)
{
    rig->notices_count = 0;
    open_store(rig, false);
    for (uint32_t i = 0; i < rig->settings.providers_count; i++)
        open_provider(rig, i);
    MUST(issuing_open(rig) == CM_OK);
}

void issuing_end(struct issuing_rig *rig)
{
    issuing_close(rig);
    cm_loop_free(rig->loop);
}
