/*
 * The status service alone: a store, a book and a shelf of its own, the CA's key in this process. For
 * benchmarks, and for tests that need to say when what happens.
 *
 *     status_server FOLDER [NAME=NUMBER...]
 *
 * FOLDER holds ca.key and ca.der, and may hold responder.key and responder.der; the store is made in it.
 * With a fake-script in it the keys are the fake provider's (providers/fake/fake.h), which follows it.
 * Names: port, threads, connections, deadline_ms, answers, validity_s, workers. Says "port N", then takes
 * commands, one a line, and answers each with one:
 *
 *     issue COUNT                  COUNT certificates; the serial of the first
 *     abandon                      a serial that was promised and given up
 *     promise                      one that was promised, and nothing is known of yet
 *     revoke SERIAL REASON         or certificateHold; removeFromCRL: off hold
 *     revoke-after MS SERIAL REASON  ok: from now on the loop does nothing, for so long or until the next command comes;
 *                                  then revokes, and ok again
 *     responder none|ca|delegated  who signs from now on
 *     lose-responder               nobody does, and nobody says so
 *     put PATH FILE EXPIRES-IN     a document
 *     ready yes|no                 what the engine says of itself
 *     clock MS                     the wall clock, from the true one
 *     quit
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/clock.h"
#include "engine/settings/settings.h"
#include "engine/status/status.h"
#include "engine/x509/certificate.h"
#include "providers/backends.h"
#include "providers/fake/fake.h"

enum { GENERATION = 1, LINE_SIZE = 1024, ISSUE_AT_ONCE = 1000 };

static struct server {
    struct cm_loop *loop;
    struct cm_settings settings;
    struct cm_store *store;
    struct cm_store_reader *reader;
    struct cm_book *book;
    struct cm_shelf *shelf;
    struct cm_provider *provider;
    struct cm_responder ca, delegated;
    const struct cm_responder *responder; /* NULL: none */
    struct cm_certificate ca_certificate;
    struct cm_status_service *service;
    const char *folder;
    uint32_t keys_awaited, workers;
    uint64_t serials_count;
    bool is_ready;
    struct cm_watch commands;
    char line[LINE_SIZE];
    size_t line_size;
} server;

static void fail(const char *text)
{
    fprintf(stderr, "status_server: %s\n", text);
    exit(1);
}

static void check(cm_status status, const struct cm_error *err)
{
    if (status != CM_OK)
        fail(err->text);
}

/* --- the folder ---------------------------------------------------------------------------------- */

static struct cm_bytes read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail(path);
    long size = ftell(file);
    rewind(file);
    uint8_t *octets = malloc((size_t)size + 1);
    if (!octets || fread(octets, 1, (size_t)size, file) != (size_t)size)
        fail(path);
    fclose(file);
    return cm_bytes(octets, (size_t)size);
}

static void on_key(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct cm_responder *responder = arg;
    check(status, err);
    responder->key = key;
    if (--server.keys_awaited == 0)
        cm_loop_stop(server.loop);
}

/* SHA-1 of the public key bits, which cm_ocsp_hash_issuer makes among others. */
static void fill_responder(struct cm_responder *responder, const struct cm_certificate *certificate)
{
    struct cm_ocsp_issuer_hashes own;
    if (!cm_ocsp_hash_issuer(certificate->subject, certificate->spki, &own)
        || !cm_ocsp_hash_issuer(server.ca_certificate.subject, server.ca_certificate.spki,
                                &responder->issuer))
        fail("the public key of a certificate");
    responder->generation_number = GENERATION;
    responder->not_after_s = certificate->not_after_s;
    memcpy(responder->key_hash, own.key_sha1, sizeof own.key_sha1);
}

static void open_responder(struct cm_responder *responder, const char *name)
{
    char path[512];
    struct cm_certificate certificate;
    struct cm_error err;
    snprintf(path, sizeof path, "%s/%s.der", server.folder, name);
    struct cm_bytes der = read_file(path);
    check(cm_certificate_read(der, &certificate, &err), &err);
    if (responder == &server.ca)
        server.ca_certificate = certificate;
    else
        responder->certificate = der;
    fill_responder(responder, &certificate);
    snprintf(path, sizeof path, "file:%s.key", name);
    server.keys_awaited++;
    cm_provider_open_key(server.provider, path, CM_SIGALG_UNKNOWN, on_key, responder);
}

static void open_keys(void)
{
    char path[512];
    struct cm_error err;
    const struct cm_provider_settings settings = { .name = "keys",
                                                   .folder = server.folder,
                                                   .workers_count = server.workers };
    snprintf(path, sizeof path, "%s/fake-script", server.folder);
    const struct cm_provider_ops *ops =
        access(path, R_OK) == 0 ? &cm_provider_fake : &cm_provider_openssl;
    check(cm_provider_open(ops, server.loop, &settings, &server.provider, &err), &err);
    open_responder(&server.ca, "ca");
    snprintf(path, sizeof path, "%s/responder.key", server.folder);
    if (access(path, R_OK) == 0)
        open_responder(&server.delegated, "responder");
    cm_loop_run(server.loop);
    server.responder = &server.ca;
}

/* --- the store ----------------------------------------------------------------------------------- */

static const struct cm_audit_event audit = { .kind = "test",
                                             .actor = { (const uint8_t *)"test", 4 },
                                             .detail = { (const uint8_t *)"{}", 2 } };

static void apply(struct cm_store_op *op)
{
    struct cm_error err;
    check(cm_store_apply(server.store, op, &err), &err);
}

static void open_store(void)
{
    char path[512];
    struct cm_error err;
    snprintf(path, sizeof path, "%s/store.db", server.folder);
    const struct cm_store_settings settings = { .path = path, .create = true };
    check(cm_store_open(&cm_store_sqlite, server.loop, &settings, &server.store, &err), &err);
    struct cm_generation generation = { .authority = cm_bytes_str("issuing"),
                                        .generation = 1,
                                        .state = CM_GENERATION_ACTIVE,
                                        .provider = cm_bytes_str("keys"),
                                        .key = cm_bytes_str("file:ca.key"),
                                        .sigalg = cm_bytes_str("ecdsa-with-sha256"),
                                        .certificate = server.ca_certificate.der,
                                        .chain = cm_bytes_str(""),
                                        .created_ms = cm_clock_wall_ms() };
    apply(&(struct cm_store_op){
        .kind = CM_STORE_GENERATION, .generation = &generation, .audit = &audit });
    check(cm_store_reader_open(server.store, &server.reader, &err), &err);
    check(cm_book_new(&server.book, &err), &err);
    check(cm_shelf_new(&server.shelf, &err), &err);
    cm_book_add_generation(server.book, GENERATION, 1);
    check(cm_book_read(server.book, server.reader, NULL, NULL, &err), &err);
}

static struct cm_serial next_serial(void)
{
    static uint64_t time_ms;
    struct cm_serial serial;
    if (!time_ms)
        time_ms = (uint64_t)cm_clock_wall_ms();
    cm_big_endian_write((time_ms << 20) + ++server.serials_count, serial.octets, 8);
    memset(serial.octets + 8, 0x5a, sizeof serial.octets - 8);
    return serial;
}

static void write_serial(const struct cm_serial *serial, char *ret_text)
{
    cm_hex_encode(cm_bytes(serial->octets, sizeof serial->octets), ret_text);
}

static void issue(uint32_t count, struct cm_serial *ret_first)
{
    static struct cm_certificate_row rows[ISSUE_AT_ONCE];
    for (uint32_t done = 0; done < count;) {
        uint32_t now = count - done < ISSUE_AT_ONCE ? count - done : ISSUE_AT_ONCE;
        for (uint32_t i = 0; i < now; i++) {
            struct cm_serial serial = next_serial();
            if (done + i == 0)
                *ret_first = serial;
            rows[i] = (struct cm_certificate_row){ .serial = serial,
                                                   .enroll_device = cm_bytes_str("device"),
                                                   .enroll_group = cm_bytes_str("default"),
                                                   .generation_number = GENERATION,
                                                   .key_fingerprint = server.serials_count,
                                                   .not_after = cm_clock_wall_s() + 86400,
                                                   .der = cm_bytes_str("certificate") };
            cm_big_endian_write(server.serials_count, rows[i].key.octets, 8);
        }
        apply(&(struct cm_store_op){ .kind = CM_STORE_RECORD,
                                     .certificates = rows,
                                     .certificates_count = now,
                                     .audit = &audit });
        done += now;
    }
}

static void read_changes(void)
{
    struct cm_error err;
    check(cm_book_read(server.book, server.reader, NULL, NULL, &err), &err);
}

static const char *revoke_serial(const char *text, const char *reason_name)
{
    uint8_t octets[CM_SERIAL_SIZE];
    size_t size;
    struct cm_order order = { .kind = CM_ORDER_REVOKE,
                              .time_s = cm_clock_wall_s(),
                              .actor = cm_bytes_str("test") };
    if (!cm_hex_decode(text, strlen(text), octets, sizeof octets, &size)
        || !cm_reason_find(cm_bytes_str(reason_name), &order.reason))
        return "expected SERIAL REASON";
    order.serial = cm_bytes(octets, size);
    apply(&(struct cm_store_op){ .kind = CM_STORE_RECORD, .orders = &order, .orders_count = 1 });
    read_changes();
    cm_status_service_forget(server.service, GENERATION, order.serial);
    return order.code == CM_REFUSAL_NONE ? NULL : "refused";
}

static void abandon(struct cm_serial *ret_serial)
{
    *ret_serial = next_serial();
    struct cm_abandoned_row row = { .serial = *ret_serial,
                                    .generation_number = GENERATION,
                                    .not_after_s = cm_clock_wall_s() + 86400 };
    apply(&(struct cm_store_op){
        .kind = CM_STORE_RECORD, .abandoned = &row, .abandoned_count = 1, .audit = &audit });
    read_changes();
}

static void promise(struct cm_serial *ret_serial)
{
    *ret_serial = next_serial();
    struct cm_intent_item item = { .serial = *ret_serial };
    apply(&(struct cm_store_op){ .kind = CM_STORE_INTENT,
                                 .intent = &(struct cm_intent){ .created_ms = cm_clock_wall_ms(),
                                                                .generation_number = GENERATION,
                                                                .items = &item,
                                                                .items_count = 1 } });
}

/* --- the service --------------------------------------------------------------------------------- */

static const struct cm_responder *find_responder(int64_t generation_number, void *arg)
{
    (void)arg;
    return generation_number == GENERATION ? server.responder : NULL;
}

static void fill_status(struct json_t *object, void *arg)
{
    (void)arg;
    json_t *issuers = json_pack("[{s:s, s:i, s:b}]", "name", "issuing-1", "outstanding", 0,
                                "in_trouble", !server.is_ready);
    json_object_set_new(object, "ready", json_boolean(server.is_ready));
    json_object_set_new(object, "issued", json_integer((json_int_t)server.serials_count));
    json_object_set_new(object, "issuers", issuers);
}

static void on_notice(const char *text, void *arg)
{
    (void)arg;
    fprintf(stderr, "status_server: %s\n", text);
}

static void open_service(uint32_t validity_s)
{
    struct cm_error err;
    struct cm_status_generation generation = { .number = GENERATION,
                                               .hashes = server.ca.issuer,
                                               .validity_s = validity_s };
    const struct cm_status_service_env env = { .loop = server.loop,
                                               .settings = &server.settings,
                                               .store = server.store,
                                               .book = server.book,
                                               .shelf = server.shelf,
                                               .generations = &generation,
                                               .generations_count = 1,
                                               .find_responder = find_responder,
                                               .fill_status = fill_status,
                                               .on_notice = on_notice };
    check(cm_status_service_open(&env, &server.service, &err), &err);
}

/* --- commands ------------------------------------------------------------------------------------ */

static void answer(const char *word, const char *text)
{
    printf("%s%s%s\n", word, text[0] ? " " : "", text);
    fflush(stdout);
}

static void answer_serial(const struct cm_serial *serial)
{
    char text[2 * CM_SERIAL_SIZE + 1];
    write_serial(serial, text);
    answer("ok", text);
}

static const char *choose_responder(const char *name)
{
    server.responder = strcmp(name, "ca") == 0          ? &server.ca
                       : strcmp(name, "delegated") == 0 ? &server.delegated
                                                        : NULL;
    cm_status_service_forget(server.service, GENERATION, cm_bytes(NULL, 0));
    return NULL;
}

static const char *put(const char *path, const char *file, const char *expires_in)
{
    int64_t now_s = cm_clock_wall_s();
    struct cm_document *document =
        cm_document_new(read_file(file), "application/pkix-crl", now_s, now_s + atoll(expires_in));
    cm_shelf_put(server.shelf, path, document);
    cm_document_let_go(document);
    return NULL;
}

/* NULL: done. */
static const char *run(char *words[4])
{
    struct cm_serial serial = { { 0 } };
    if (strcmp(words[0], "issue") == 0) {
        issue((uint32_t)atoi(words[1]), &serial);
        answer_serial(&serial);
        return "";
    }
    if (strcmp(words[0], "abandon") == 0) {
        abandon(&serial);
        answer_serial(&serial);
        return "";
    }
    if (strcmp(words[0], "promise") == 0) {
        promise(&serial);
        answer_serial(&serial);
        return "";
    }
    if (strcmp(words[0], "revoke") == 0)
        return revoke_serial(words[1], words[2]);
    if (strcmp(words[0], "revoke-after") == 0) {
        struct pollfd next = { .fd = STDIN_FILENO, .events = POLLIN };
        answer("ok", "");
        poll(&next, 1, atoi(words[1]));
        return revoke_serial(words[2], words[3]);
    }
    if (strcmp(words[0], "responder") == 0)
        return choose_responder(words[1]);
    if (strcmp(words[0], "lose-responder") == 0) {
        server.responder = NULL;
        return NULL;
    }
    if (strcmp(words[0], "put") == 0)
        return put(words[1], words[2], words[3]);
    if (strcmp(words[0], "ready") == 0)
        server.is_ready = strcmp(words[1], "yes") == 0;
    else if (strcmp(words[0], "clock") == 0)
        cm_clock_set_wall_offset_ms(atoll(words[1]));
    else if (strcmp(words[0], "quit") == 0) {
        cm_status_service_stop(server.service);
        cm_loop_stop(server.loop);
    } else
        return "no such command";
    return NULL;
}

static void run_line(char *line)
{
    char *words[4], *rest = line;
    char none[] = "";
    for (int i = 0; i < 4; i++) {
        char *word = strsep(&rest, " ");
        words[i] = word ? word : none;
    }
    const char *error = run(words);
    if (!error)
        answer("ok", "");
    else if (error[0])
        answer("error", error);
}

static void on_commands(void *arg)
{
    char *end;
    (void)arg;
    ssize_t size =
        read(STDIN_FILENO, server.line + server.line_size, sizeof server.line - server.line_size);
    if (size <= 0) {
        cm_watch_stop(&server.commands);
        cm_loop_stop(server.loop);
        return;
    }
    server.line_size += (size_t)size;
    while ((end = memchr(server.line, '\n', server.line_size))) {
        size_t taken = (size_t)(end + 1 - server.line);
        *end = '\0';
        run_line(server.line);
        server.line_size -= taken;
        memmove(server.line, server.line + taken, server.line_size);
    }
}

/* --- life ---------------------------------------------------------------------------------------- */

static uint32_t find_number(int argc, char **argv, const char *name, uint32_t otherwise)
{
    size_t size = strlen(name);
    for (int i = 2; i < argc; i++)
        if (strncmp(argv[i], name, size) == 0 && argv[i][size] == '=')
            return (uint32_t)atoll(argv[i] + size + 1);
    return otherwise;
}

static void close_all(void)
{
    while (!cm_status_service_is_idle(server.service)) {
        struct cm_timer timer = { 0 };
        cm_timer_start(&timer, server.loop, 10, (void (*)(void *))cm_loop_stop, server.loop);
        cm_loop_run(server.loop);
        cm_timer_done(&timer);
    }
    cm_status_service_close(server.service);
    cm_watch_done(&server.commands);
    cm_provider_close_key(server.ca.key);
    if (server.delegated.key)
        cm_provider_close_key(server.delegated.key);
    cm_provider_close(server.provider);
    cm_book_free(server.book);
    cm_shelf_free(server.shelf);
    cm_store_reader_close(server.reader);
    cm_store_close(server.store);
    free((void *)(uintptr_t)server.ca_certificate.der.data);
    free((void *)(uintptr_t)server.delegated.certificate.data);
    cm_loop_free(server.loop);
}

int main(int argc, char **argv)
{
    char listen[64], port[32];
    struct cm_error err;
    if (argc < 2)
        fail("usage: status_server FOLDER [NAME=NUMBER...]");
    server.folder = argv[1];
    server.is_ready = true;
    server.workers = find_number(argc, argv, "workers", 1);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", find_number(argc, argv, "port", 0));
    server.settings.status = (struct cm_settings_status){
        .listen = listen,
        .threads = find_number(argc, argv, "threads", 2),
        .connections_max = find_number(argc, argv, "connections", 1000),
        .deadline_ms = find_number(argc, argv, "deadline_ms", 10000),
        .ocsp_answers_max = find_number(argc, argv, "answers", 100000),
    };
    check(cm_loop_new(&server.loop, &err), &err);
    open_keys();
    open_store();
    open_service(find_number(argc, argv, "validity_s", 86400));
    snprintf(port, sizeof port, "%u", cm_status_service_port(server.service));
    answer("port", port);
    cm_watch_start(&server.commands, server.loop, STDIN_FILENO, CM_READABLE, on_commands, NULL);
    cm_loop_run(server.loop);
    close_all();
    return 0;
}
