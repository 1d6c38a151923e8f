#include "tests/unit/revocation/publisher_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "engine/base/workers.h"
#include "engine/revocation/crl_files.h"
#include "providers/fake/fake.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/pki.h"

enum { PATIENCE_MS = 60000, DEVICES = 4, CERTIFICATES = 20 };

#define CRL_URL "http://crl.example/crl/issuing-1/${shard}.crl"

struct rig rig;

static char key_path[400];

/* ------------------------------------------------------------------ life -- */

int rig_begin_suite(void)
{
    if (pki_init(CM_KEY_P256) != 0)
        return 1;
    snprintf(key_path, sizeof key_path, "%s/issuing.pem", cm_test_scratch());
    int fd = open(key_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    FILE *file = fdopen(fd, "w");
    int written = PEM_write_PKCS8PrivateKey(file, pki.issuing_key.key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    return written == 1 ? 0 : 1;
}

int rig_end_suite(void)
{
    return pki_done();
}

static void put_generation(uint32_t generation)
{
    struct cm_generation row = { .authority = cm_bytes_str("issuing"),
                                 .generation = generation,
                                 .state = CM_GENERATION_ACTIVE,
                                 .provider = cm_bytes_str("soft"),
                                 .key = cm_bytes_str("key"),
                                 .sigalg = cm_bytes_str("ecdsa-with-sha256"),
                                 .certificate = pki.issuing,
                                 .created_ms = FIXTURE_TIME_MS };
    struct cm_store_op op = { .kind = CM_STORE_GENERATION,
                              .generation = &row,
                              .audit = &fixture_audit };
    CU_ASSERT_EQUAL_FATAL(cm_store_apply(rig.store.store, &op, &rig.store.err), CM_OK);
}

static const char *next_store_name(void)
{
    static unsigned stores_count;
    static char name[32];
    snprintf(name, sizeof name, "store-%u", stores_count++);
    return name;
}

static void make_store(void)
{
    fixture_make(&rig.store, next_store_name());
    put_generation(1);
}

/* All but the store. */
static void prepare(const struct rig_settings *settings)
{
    static unsigned rigs_count;
    rig = (struct rig){ .time_ms = RIG_NOW_S * 1000ll };
    rig.authority =
        (struct cm_settings_authority){ .name = "issuing",
                                        .crl_validity_s = 7 * RIG_DAY_S,
                                        .crl_overlap_s = 3 * RIG_DAY_S,
                                        .crl_delay_ms = 30,
                                        .delta_validity_s = settings->delta_validity_s };
    snprintf(rig.folder, sizeof rig.folder, "%s/public-%u", cm_test_scratch(), rigs_count);
    snprintf(rig.away, sizeof rig.away, "%s/away-%u", cm_test_scratch(), rigs_count);
    snprintf(rig.holds, sizeof rig.holds, "%s/holds-%u", cm_test_scratch(), rigs_count++);
    rig.settings.authorities = &rig.authority;
    rig.settings.authorities_count = 1;
    rig.settings.status.publish_folder = settings->has_no_folder ? NULL : rig.folder;
    rig.key = (struct cm_issuer_key){ .name = "issuing-1",
                                      .authority = &rig.authority,
                                      .generation_number = 1,
                                      .issuer = pki.issuer,
                                      .certificate = pki.issuing,
                                      .crl_url = settings->has_no_url ? NULL : strdup(CRL_URL),
                                      .issuers = &rig.issuers };
    rig.key.issuer.crl_shards = settings->shards;
    rig.issuers =
        (struct cm_issuers){ .settings = &rig.settings, .keys = &rig.key, .keys_count = 1 };
    if (settings->has_second_key) {
        rig.issuers.keys = rig.keys;
        rig.issuers.keys_count = 2;
    }
}

void rig_make(const struct rig_settings *settings)
{
    prepare(settings);
    make_store();
    if (settings->has_second_key)
        put_generation(2);
    orders_put_devices(&rig.store, DEVICES);
    orders_record(&rig.store, 1, CERTIFICATES, DEVICES);
}

void rig_find(const struct rig_settings *settings)
{
    prepare(settings);
    snprintf(rig.store.path, sizeof rig.store.path, "%s/%s.db", cm_test_scratch(),
             next_store_name());
    cm_arena_init(&rig.store.arena, 4096);
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&rig.store.loop, &rig.store.err), CM_OK);
    fixture_reopen(&rig.store);
}

void rig_forget_store(void)
{
    fixture_done(&rig.store);
    make_store();
}

static int64_t time_ms(void *arg)
{
    (void)arg;
    return rig.time_ms;
}

static void on_notice(const char *text, void *arg)
{
    (void)arg;
    size_t size = strlen(rig.notices);
    rig.notices_count++;
    snprintf(rig.notices + size, sizeof rig.notices - size, "%s\n", text);
}

static void on_idle(void *arg)
{
    (void)arg;
    rig.is_idle_told = true;
}

static void on_key(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    (void)arg;
    if (status != CM_OK)
        printf("  %s\n", err->text);
    rig.key.key = key;
    cm_loop_stop(rig.store.loop);
}

static void open_provider(const char *script)
{
    char options[1400], reference[420];
    struct cm_error err;
    struct cm_refusal refusal;
    snprintf(options, sizeof options, "away=%s holds=%s %s", rig.away, rig.holds, script);
    snprintf(reference, sizeof reference, "file:%s", key_path);
    const struct cm_provider_settings settings = { .name = "soft", .options = options };
    CU_ASSERT_EQUAL_FATAL(
        cm_provider_open(&cm_provider_fake, rig.store.loop, &settings, &rig.provider, &err), CM_OK);
    cm_provider_open_key(rig.provider, reference, CM_SIGALG_UNKNOWN, on_key, NULL);
    cm_loop_run(rig.store.loop);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig.key.key);
    CU_ASSERT_FATAL(cm_public_key_read(rig.key.key->spki, &rig.key.public_key, &refusal));
}

/* The first is as the rig's own, and remains that one's to close. */
static void open_second_key(void)
{
    char reference[420];
    struct cm_error err;
    struct cm_key *first = rig.key.key;
    const struct cm_provider_settings settings = { .name = "second", .options = "" };
    rig.keys[0] = rig.keys[1] = rig.key;
    snprintf(rig.keys[1].name, sizeof rig.keys[1].name, "issuing-2");
    rig.keys[1].generation_number = 2;
    snprintf(reference, sizeof reference, "file:%s", key_path);
    CU_ASSERT_EQUAL_FATAL(
        cm_provider_open(&cm_provider_fake, rig.store.loop, &settings, &rig.second_provider, &err),
        CM_OK);
    cm_provider_open_key(rig.second_provider, reference, CM_SIGALG_UNKNOWN, on_key, NULL);
    cm_loop_run(rig.store.loop);
    rig.keys[1].key = rig.key.key;
    rig.key.key = first;
    CU_ASSERT_PTR_NOT_NULL_FATAL(rig.keys[1].key);
}

static cm_status open_worker(void *arg, uint32_t index, void **ret_context, struct cm_error *err)
{
    (void)arg;
    (void)index;
    (void)err;
    *ret_context = NULL;
    return CM_OK;
}

static void close_worker(void *context)
{
    (void)context;
}

void rig_open_with(const char *script)
{
    static const struct cm_worker_ops ops = { .name = "worker",
                                              .open = open_worker,
                                              .close = close_worker };
    struct cm_error err = { .text = "" };
    rig.is_idle_told = false;
    rig.notices_count = 0;
    rig.notices[0] = '\0';
    open_provider(script);
    if (rig.issuers.keys_count == 2)
        open_second_key();
    CU_ASSERT_EQUAL_FATAL(cm_workers_new(rig.store.loop, 2, &ops, NULL, &rig.workers, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_book_new(&rig.book, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_shelf_new(&rig.shelf, &err), CM_OK);
    const struct cm_publisher_env env = { .loop = rig.store.loop,
                                          .settings = &rig.settings,
                                          .store = rig.store.store,
                                          .issuers = &rig.issuers,
                                          .workers = rig.workers,
                                          .book = rig.book,
                                          .shelf = rig.shelf,
                                          .time_ms = time_ms,
                                          .on_notice = on_notice,
                                          .on_idle = on_idle };
    cm_status status = cm_publisher_open(&env, &rig.publisher, &err);
    if (status != CM_OK)
        printf("  %s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
}

void rig_open(void)
{
    rig_open_with("");
}

static bool is_idle_told(void *arg)
{
    (void)arg;
    return rig.is_idle_told;
}

static void on_drained(void *arg)
{
    (void)arg;
    cm_loop_stop(rig.store.loop);
}

void rig_close(void)
{
    cm_publisher_stop(rig.publisher);
    CU_ASSERT(rig_wait(is_idle_told, NULL));
    CU_ASSERT(cm_publisher_is_idle(rig.publisher));
    cm_publisher_close(rig.publisher);
    cm_workers_free(rig.workers);
    cm_shelf_free(rig.shelf);
    cm_book_free(rig.book);
    if (rig.second_provider) {
        cm_provider_close_key(rig.keys[1].key);
        cm_provider_drain(rig.second_provider, on_drained, NULL);
        cm_loop_run(rig.store.loop);
        cm_provider_close(rig.second_provider);
        rig.second_provider = NULL;
    }
    cm_provider_close_key(rig.key.key);
    rig.key.key = NULL;
    cm_provider_drain(rig.provider, on_drained, NULL);
    cm_loop_run(rig.store.loop);
    cm_provider_close(rig.provider);
}

void rig_done(void)
{
    fixture_done(&rig.store);
    free(rig.key.crl_url);
}

/* ------------------------------------------------------------------ what happens -- */

void rig_pass(int64_t seconds)
{
    rig.time_ms += seconds * 1000;
    cm_publisher_look(rig.publisher);
}

void rig_touch(const char *path)
{
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

void rig_remove(const char *path)
{
    unlink(path);
}

static void apply(struct cm_order *order)
{
    order->time_s = rig.time_ms / 1000;
    CU_ASSERT_EQUAL_FATAL(order_apply(&rig.store, order), CM_OK);
    if (order->code != CM_REFUSAL_NONE)
        printf("  %s\n", order->message);
    CU_ASSERT_EQUAL_FATAL(order->code, CM_REFUSAL_NONE);
    cm_publisher_look(rig.publisher);
}

void rig_revoke(unsigned n, enum cm_reason reason)
{
    struct cm_order order = order_for_serial(n, reason);
    apply(&order);
}

void rig_order(enum cm_order_kind kind, const char *device)
{
    struct cm_order order = order_for_device(kind, device);
    apply(&order);
}

static struct cm_bytes imported_serial(unsigned n)
{
    static uint8_t octets[2];
    cm_big_endian_write(0x1000 + n, octets, sizeof octets);
    return cm_bytes(octets, sizeof octets);
}

void rig_import(unsigned n, int64_t not_after_s)
{
    struct cm_imported_row row = { .generation_number = 1,
                                   .serial = imported_serial(n),
                                   .not_after_s = not_after_s,
                                   .reason = CM_REASON_SUPERSEDED,
                                   .revoked_s = RIG_NOW_S - RIG_DAY_S };
    struct cm_store_op op = {
        .kind = CM_STORE_IMPORT, .imported = &row, .imported_count = 1, .audit = &fixture_audit
    };
    CU_ASSERT_EQUAL_FATAL(cm_store_apply(rig.store.store, &op, &rig.store.err), CM_OK);
    if (rig.publisher)
        cm_publisher_look(rig.publisher);
}

void rig_take_number(uint64_t number)
{
    struct cm_crl_row row = { .generation_number = 1,
                              .number = number,
                              .this_update_s = RIG_NOW_S,
                              .next_update_s = RIG_NOW_S + 7 * RIG_DAY_S,
                              .revision = 1000 };
    struct cm_store_op op = { .kind = CM_STORE_CRLS, .crls = &row, .crls_count = 1 };
    CU_ASSERT_EQUAL(cm_store_apply(rig.store.store, &op, &rig.store.err), CM_OK);
}

/* ------------------------------------------------------------------ CRLs -- */

static void add_revoked(X509_CRL *crl, long serial)
{
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_TIME *time = ASN1_TIME_set(NULL, RIG_NOW_S);
    ASN1_INTEGER_set(number, serial);
    X509_REVOKED_set_serialNumber(revoked, number);
    X509_REVOKED_set_revocationDate(revoked, time);
    X509_CRL_add0_revoked(crl, revoked);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(time);
}

static X509_CRL *make_foreign_crl(long number)
{
    const uint8_t *der = pki.issuing.data;
    X509 *issuer = d2i_X509(NULL, &der, (long)pki.issuing.size);
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *begin = ASN1_TIME_set(NULL, RIG_NOW_S);
    ASN1_TIME *end = ASN1_TIME_set(NULL, RIG_NOW_S + 7 * RIG_DAY_S);
    ASN1_INTEGER *crl_number = ASN1_INTEGER_new();
    AUTHORITY_KEYID *aki = AUTHORITY_KEYID_new();
    ASN1_INTEGER_set(crl_number, number);
    aki->keyid = ASN1_OCTET_STRING_dup(X509_get0_subject_key_id(issuer));
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
    X509_CRL_set1_lastUpdate(crl, begin);
    X509_CRL_set1_nextUpdate(crl, end);
    X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, aki, 0, 0);
    X509_CRL_add1_ext_i2d(crl, NID_crl_number, crl_number, 0, 0);
    add_revoked(crl, 9);
    add_revoked(crl, 3);
    CU_ASSERT_FATAL(X509_CRL_sign(crl, pki.issuing_key.key, EVP_sha256()) > 0);
    AUTHORITY_KEYID_free(aki);
    ASN1_INTEGER_free(crl_number);
    ASN1_TIME_free(begin);
    ASN1_TIME_free(end);
    X509_free(issuer);
    return crl;
}

void rig_write_foreign_crl(const char *path, long number)
{
    X509_CRL *crl = make_foreign_crl(number);
    uint8_t *der = NULL;
    struct cm_error err;
    int size = i2d_X509_CRL(crl, &der);
    CU_ASSERT_EQUAL_FATAL(cm_crl_files_write(rig.folder, path, cm_bytes(der, (size_t)size), &err),
                          CM_OK);
    OPENSSL_free(der);
    X509_CRL_free(crl);
}

static X509_CRL *read_crl(const char *path, char *ret_etag)
{
    struct cm_document *document = cm_shelf_take(rig.shelf, cm_bytes_str(path));
    if (!document)
        return NULL;
    const uint8_t *at = document->content.data;
    X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)document->content.size);
    CU_ASSERT_PTR_NOT_NULL(crl);
    CU_ASSERT_PTR_EQUAL(at, document->content.data + document->content.size);
    if (ret_etag)
        strcpy(ret_etag, document->etag);
    cm_document_let_go(document);
    return crl;
}

static long read_number(X509_CRL *crl, int nid)
{
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, nid, NULL, NULL);
    long value = number ? ASN1_INTEGER_get(number) : -1;
    ASN1_INTEGER_free(number);
    return value;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts;
    CU_ASSERT_EQUAL(ASN1_TIME_to_tm(time, &parts), 1);
    return timegm(&parts);
}

struct rig_crl rig_crl(const char *path)
{
    struct rig_crl seen = { .number = -1, .base_number = -1 };
    X509_CRL *crl = read_crl(path, seen.etag);
    if (!crl)
        return seen;
    seen.is_there = true;
    seen.verifies = X509_CRL_verify(crl, pki.issuing_key.key) == 1;
    seen.number = read_number(crl, NID_crl_number);
    seen.base_number = read_number(crl, NID_delta_crl);
    int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl));
    seen.entries_count = count > 0 ? (unsigned)count : 0;
    seen.this_update_s = seconds_of(X509_CRL_get0_lastUpdate(crl));
    seen.next_update_s = seconds_of(X509_CRL_get0_nextUpdate(crl));
    seen.has_idp = X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) >= 0;
    seen.has_freshest = X509_CRL_get_ext_by_NID(crl, NID_freshest_crl, -1) >= 0;
    X509_CRL_free(crl);
    return seen;
}

static int reason_of(const char *path, struct cm_bytes serial)
{
    X509_CRL *crl = read_crl(path, NULL);
    BIGNUM *number = BN_bin2bn(serial.data, (int)serial.size, NULL);
    ASN1_INTEGER *wanted = BN_to_ASN1_INTEGER(number, NULL);
    X509_REVOKED *revoked = NULL;
    int reason = -1;
    for (int i = 0; crl && i < sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)); i++) {
        X509_REVOKED *one = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl), i);
        if (ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(one), wanted) == 0)
            revoked = one;
    }
    if (revoked) {
        ASN1_ENUMERATED *code = X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, NULL, NULL);
        reason = code ? (int)ASN1_ENUMERATED_get(code) : 0;
        ASN1_ENUMERATED_free(code);
    }
    ASN1_INTEGER_free(wanted);
    BN_free(number);
    X509_CRL_free(crl);
    return reason;
}

int rig_reason(const char *path, unsigned n)
{
    struct cm_serial serial = row_serial(n);
    return reason_of(path, cm_bytes(serial.octets, sizeof serial.octets));
}

int rig_imported_reason(const char *path, unsigned n)
{
    return reason_of(path, imported_serial(n));
}

bool rig_find_in_book(unsigned n, struct cm_book_found *ret_found)
{
    struct cm_serial serial = row_serial(n);
    return cm_book_find(rig.book, 1, cm_serial_content(&serial), ret_found);
}

bool rig_folder_agrees(const char *path)
{
    struct cm_bytes content;
    struct cm_error err;
    struct cm_document *document = cm_shelf_take(rig.shelf, cm_bytes_str(path));
    bool agrees = document && cm_crl_files_read(rig.folder, path, &content, &err) == CM_OK;
    if (agrees) {
        agrees = cm_bytes_equal(content, document->content);
        free((void *)(uintptr_t)content.data);
    }
    cm_document_let_go(document);
    return agrees;
}

/* ------------------------------------------------------------------ waiting -- */

struct waiting {
    bool (*condition)(void *arg);
    void *arg;
    struct cm_timer look;
    unsigned looks_left;
    bool came;
};

static void look(void *arg)
{
    struct waiting *waiting = arg;
    waiting->came = waiting->condition && waiting->condition(waiting->arg);
    if (waiting->came || waiting->looks_left-- == 0)
        cm_loop_stop(rig.store.loop);
    else
        cm_timer_start(&waiting->look, rig.store.loop, 2, look, waiting);
}

static bool wait_for(bool (*condition)(void *arg), void *arg, uint32_t duration_ms)
{
    struct waiting waiting = { .condition = condition, .arg = arg, .looks_left = duration_ms / 2 };
    cm_timer_start(&waiting.look, rig.store.loop, 2, look, &waiting);
    cm_loop_run(rig.store.loop);
    cm_timer_done(&waiting.look);
    return waiting.came;
}

bool rig_wait(bool (*condition)(void *arg), void *arg)
{
    return wait_for(condition, arg, PATIENCE_MS);
}

void rig_run(uint32_t duration_ms)
{
    (void)wait_for(NULL, NULL, duration_ms);
}

struct wanted {
    const char *path;
    long number;
};

static bool has_number(void *arg)
{
    const struct wanted *wanted = arg;
    return rig_crl(wanted->path).number == wanted->number;
}

bool rig_wait_number(const char *path, long number)
{
    struct wanted wanted = { .path = path, .number = number };
    return rig_wait(has_number, &wanted);
}

static bool has_notice(void *arg)
{
    return strstr(rig.notices, arg) != NULL;
}

bool rig_wait_notice(const char *part)
{
    bool came = rig_wait(has_notice, (void *)(uintptr_t)part);
    if (!came)
        printf("  %s: %s\n", part, rig.notices);
    return came;
}

const struct rig_settings rig_plain = { .shards = 1 };
const struct rig_settings rig_with_delta = { .shards = 1, .delta_validity_s = 7200 };

void rig_begin(const struct rig_settings *settings)
{
    rig_make(settings);
    rig_open();
    CU_ASSERT_FATAL(rig_wait_number(CRL, NTH(1)));
}

void rig_end(void)
{
    rig_close();
    rig_done();
}

struct cm_publisher_counts rig_count(void)
{
    struct cm_publisher_counts counts;
    cm_publisher_count(rig.publisher, &counts);
    return counts;
}

bool rig_folder_has(void *arg)
{
    return rig_folder_agrees(arg);
}
