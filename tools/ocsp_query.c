/* certmill ocsp query: what a responder says of a certificate. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/x509v3.h>

#include "engine/x509/certificate.h"
#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/der_file.h"
#include "tools/generations.h"
#include "tools/ocsp_client.h"
#include "tools/serial.h"
#include "tools/time_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { EXIT_REVOKED = 3, EXIT_UNKNOWN = 4, CERTIFICATES_MAX = 16 };

/* What is to be asked. Everything that it points at is in the deployment's arena. */
struct query {
    const struct cm_call *call;
    struct cm_deployment deployment;
    struct cm_serial_content given_serial;
    struct cm_bytes certificates[CERTIFICATES_MAX]; /* of --certificate: the one, and its chain */
    size_t certificates_count;
    struct cm_certificate certificate; /* the first of them */
    struct cm_generations generations;
    const char *authority; /* of the issuer, where the store has it */
    struct cm_ocsp_question question;
};

/* ---------------------------------------------------------------------------------- the files -- */

static cm_status keep(struct cm_bytes der, const char *where, void *arg, struct cm_error *err)
{
    struct query *query = arg;
    if (query->certificates_count == CERTIFICATES_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%.150s: too many certificates",
                       where);
    query->certificates[query->certificates_count++] = cm_arena_copy(&query->deployment.arena, der);
    return CM_OK;
}

static cm_status read_certificate(struct query *query, struct cm_error *err)
{
    const char *path = cm_call_value(query->call, "certificate");
    if (!path)
        return CM_OK;
    cm_status status = cm_der_file_walk(path, CM_LABEL_CERTIFICATE, keep, query, err);
    if (status == CM_OK)
        status = cm_certificate_read(query->certificates[0], &query->certificate, err);
    if (status == CM_OK)
        query->question.serial = query->certificate.serial;
    return status;
}

static cm_status keep_issuer(struct cm_bytes der, const char *where, void *arg,
                             struct cm_error *err)
{
    struct query *query = arg;
    (void)where;
    (void)err;
    if (query->question.issuer.size == 0) /* a chain may follow */
        query->question.issuer = cm_arena_copy(&query->deployment.arena, der);
    return CM_OK;
}

/* ---------------------------------------------------------------------------------- the issuer -- */

static cm_status open_store(struct query *query, struct cm_error *err)
{
    struct cm_deployment *deployment = &query->deployment;
    cm_status status = CM_OK;
    if (!deployment->settings)
        status = cm_settings_read(cm_call_value(query->call, "config"), &deployment->settings, err);
    if (status == CM_OK && !deployment->store)
        status = cm_deployment_open_store(deployment, CM_DEPLOYMENT_READ, err);
    if (status == CM_OK)
        status =
            cm_generations_read(deployment->store, &deployment->arena, &query->generations, err);
    return status;
}

static void take_generation(struct query *query, const struct cm_generation *generation)
{
    query->question.issuer = generation->certificate;
    query->authority =
        cm_arena_printf(&query->deployment.arena, "%.*s", (int)generation->authority.size,
                        (const char *)generation->authority.data);
}

static bool has_name(struct cm_bytes der, struct cm_bytes name)
{
    struct cm_certificate certificate;
    struct cm_error ignored;
    return cm_certificate_read(der, &certificate, &ignored) == CM_OK
           && cm_bytes_equal(certificate.subject, name);
}

/* By the key identifier where there is one: generations may have the same name. */
static bool is_issuer(const struct cm_generation *generation, const struct cm_certificate *of)
{
    struct cm_certificate certificate;
    struct cm_error ignored;
    return cm_certificate_read(generation->certificate, &certificate, &ignored) == CM_OK
           && cm_bytes_equal(certificate.subject, of->issuer)
           && (of->aki.size == 0 || cm_bytes_equal(certificate.ski, of->aki));
}

static cm_status issuer_of_certificate(struct query *query, struct cm_error *err)
{
    for (size_t i = 1; i < query->certificates_count; i++)
        if (has_name(query->certificates[i], query->certificate.issuer)) {
            query->question.issuer = query->certificates[i];
            return CM_OK;
        }
    cm_status status = open_store(query, err);
    for (uint32_t i = 0; status == CM_OK && i < query->generations.count; i++)
        if (is_issuer(&query->generations.all[i], &query->certificate)) {
            take_generation(query, &query->generations.all[i]);
            return CM_OK;
        }
    if (status == CM_OK)
        status =
            CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                    "the certificate's issuer is neither in its file nor in the store; name it "
                    "with --issuer");
    return status;
}

static cm_status issuer_of_serial(struct query *query, struct cm_error *err)
{
    cm_status status = open_store(query, err);
    for (uint32_t i = 0; status == CM_OK && i < query->generations.count; i++) {
        const struct cm_generation *generation = &query->generations.all[i];
        enum cm_issued issued = CM_ISSUED_NEVER;
        status = cm_store_find_issued(query->deployment.reader, generation->number,
                                      query->question.serial, &issued, err);
        if (status == CM_OK && issued != CM_ISSUED_NEVER) {
            take_generation(query, generation);
            return CM_OK;
        }
    }
    if (status == CM_OK)
        status = CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                         "no key of this deployment has issued that serial; name the issuer with "
                         "--issuer");
    return status;
}

static cm_status find_issuer(struct query *query, struct cm_error *err)
{
    const char *name = cm_call_value(query->call, "issuer");
    const struct cm_generation *generation = NULL;
    if (name && access(name, R_OK) == 0)
        return cm_der_file_walk(name, CM_LABEL_CERTIFICATE, keep_issuer, query, err);
    if (!name && query->certificates_count > 0)
        return issuer_of_certificate(query, err);
    if (!name)
        return issuer_of_serial(query, err);
    cm_status status = open_store(query, err);
    if (status == CM_OK)
        status = cm_generations_named(&query->generations, name, &generation, err);
    if (status == CM_OK)
        take_generation(query, generation);
    return status;
}

/* ------------------------------------------------------------------------------------- the URL -- */

/* What the certificate says of where its status is; NULL: nothing. */
static const char *certificates_url(struct query *query)
{
    const unsigned char *at = query->certificates[0].data;
    X509 *parsed = d2i_X509(NULL, &at, (long)query->certificates[0].size);
    STACK_OF(OPENSSL_STRING) *urls = parsed ? X509_get1_ocsp(parsed) : NULL;
    const char *url = NULL;
    if (sk_OPENSSL_STRING_num(urls) > 0)
        url = cm_arena_printf(&query->deployment.arena, "%s", sk_OPENSSL_STRING_value(urls, 0));
    X509_email_free(urls);
    X509_free(parsed);
    return url;
}

static const char *settings_url(struct query *query)
{
    const struct cm_settings *settings = query->deployment.settings;
    const struct cm_settings_authority *authority =
        settings && query->authority ? cm_settings_authority(settings, query->authority) : NULL;
    if (authority && authority->ocsp_url)
        return authority->ocsp_url;
    return settings ? cm_deployment_ocsp_url(settings, &query->deployment.arena) : NULL;
}

static cm_status find_url(struct query *query, struct cm_error *err)
{
    const char *url = cm_call_value(query->call, "url");
    if (!url && query->certificates_count > 0)
        url = certificates_url(query);
    if (!url)
        url = settings_url(query);
    const struct cm_settings *settings = query->deployment.settings;
    if (!url && settings && settings->status.listen)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "status.listen is %.60s: the system chooses the port, and serve says which; "
                       "name the responder with --url",
                       settings->status.listen);
    if (!url)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "neither certificate nor settings say where the responder is; name it with "
                       "--url");
    query->question.url = url;
    return CM_OK;
}

/* -------------------------------------------------------------------------------- the command -- */

static const char *const state_names[] = {
    [CM_OCSP_GOOD] = "good",
    [CM_OCSP_REVOKED] = "revoked",
    [CM_OCSP_UNKNOWN] = "unknown",
};

static int exit_code(enum cm_ocsp_state state)
{
    static const int codes[] = {
        [CM_OCSP_GOOD] = CM_EXIT_DONE,
        [CM_OCSP_REVOKED] = EXIT_REVOKED,
        [CM_OCSP_UNKNOWN] = EXIT_UNKNOWN,
    };
    return codes[state];
}

static const char *nonce_text(const struct query *query, const struct cm_ocsp_said *said)
{
    if (!query->question.with_nonce)
        return NULL;
    return said->echoes_nonce ? "the same as in the request" : "none in the answer";
}

/* Lines, or with --json the members of one object. */
static void put(json_t *object, const char *key, const char *name, const char *text)
{
    if (!text)
        return;
    if (object)
        json_object_set_new(object, key, json_string(text));
    else
        printf("%-12s%s\n", name, text);
}

static void put_time(json_t *object, const char *key, const char *name, int64_t seconds)
{
    char text[CM_TIME_TEXT_SIZE];
    put(object, key, name, seconds ? cm_time_write(seconds, text) : NULL);
}

static void put_all(json_t *object, const struct query *query, const struct cm_ocsp_said *said)
{
    char serial[CM_SERIAL_TEXT_SIZE];
    cm_serial_write(query->question.serial, serial);
    put(object, "status", "status", state_names[said->state]);
    put(object, "serial", "serial", serial);
    if (said->state == CM_OCSP_REVOKED) {
        put_time(object, "revoked", "revoked", said->revoked_s);
        put(object, "reason", "reason", cm_reason_name(said->reason));
    }
    put_time(object, "this_update", "this update", said->this_update_s);
    put_time(object, "next_update", "next update", said->next_update_s);
    put_time(object, "produced", "produced", said->produced_s);
    put(object, "responder", "responder", said->responder);
    put(object, "url", "url", query->question.url);
    put(object, "nonce", "nonce", nonce_text(query, said));
    if (object)
        json_object_set_new(object, "delegated", json_boolean(said->is_delegated));
}

static void tell(const struct query *query, const struct cm_ocsp_said *said)
{
    json_t *object = cm_call_flag(query->call, "json") ? json_object() : NULL;
    put_all(object, query, said);
    if (!object)
        return;
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static cm_status ask(struct query *query, struct cm_ocsp_said *ret_said, struct cm_error *err)
{
    cm_status status = read_certificate(query, err);
    if (status == CM_OK)
        status = find_issuer(query, err);
    if (status == CM_OK)
        status = find_url(query, err);
    if (status == CM_OK)
        status = cm_ocsp_ask(&query->question, ret_said, err);
    return status;
}

static int run(const struct cm_call *call)
{
    const char *serial = cm_call_value(call, "serial");
    struct query query = { .call = call };
    struct cm_ocsp_said said;
    struct cm_error err = { 0 };
    if (!serial == !cm_call_value(call, "certificate"))
        return cm_usage_fail("expected one of --serial and --certificate; see certmill ocsp query "
                             "--help");
    if (serial && !cm_serial_read(serial, &query.given_serial))
        return cm_usage_fail("--serial: expected hex digits, at most 20 octets, found \"%.60s\"",
                             serial);
    query.question.serial = cm_serial_bytes(&query.given_serial);
    query.question.hash = cm_call_value(call, "hash");
    query.question.with_nonce = cm_call_flag(call, "nonce");
    cm_arena_init(&query.deployment.arena, 65536);
    cm_status status = ask(&query, &said, &err);
    if (status == CM_OK)
        tell(&query, &said);
    int code = status == CM_OK ? exit_code(said.state) : cm_call_fail(call, "%s", err.text);
    cm_deployment_close(&query.deployment);
    return code;
}

static const char *const paragraphs[] = {
    "Asks an OCSP responder about a certificate and says what it answers: good, revoked or unknown. Only "
    "an answer that verifies counts: signed by the issuer or by a responder that it has certified, "
    "about this certificate, and valid now.",
    "The issuer is looked for behind the certificate in its file, then in the store. The responder is "
    "the one that the certificate names, else the authority's `ocsp-url`, else the `status.listen` of "
    "the settings. The settings are read where they are needed.",
    "A request that fits an URL of 255 bytes and has no nonce is sent by GET, others by POST.", NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "certificate",
      .type = CM_OPTION_PATH,
      .argument = "FILE",
      .help = "About this certificate, PEM or DER; its chain may stand behind it." },
    { .name = "serial",
      .type = CM_OPTION_TEXT,
      .argument = "HEX",
      .help = "About the certificate with this serial. Colons and upper case are fine." },
    { .name = "issuer",
      .type = CM_OPTION_TEXT,
      .argument = "FILE|NAME",
      .help = "Its issuer: a certificate file, or a key of the deployment, like `issuing-1`." },
    { .name = "url", .type = CM_OPTION_TEXT, .argument = "URL", .help = "Of the responder." },
    { .name = "nonce",
      .type = CM_OPTION_FLAG,
      .help = "Ask for an answer of this very moment. Responders may leave the nonce out." },
    { .name = "hash",
      .type = CM_OPTION_CHOICE,
      .argument = "NAME",
      .standard = "sha256",
      .choices = "sha1 sha256",
      .help = "By which the issuer is named; old responders know `sha1` only." },
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill ocsp query --certificate certs/m-1.pem", "As relying parties ask." },
    { "certmill ocsp query --serial 019af3c2d1 --url http://[::1]:8080/ocsp",
      "The engine of this deployment, past any proxy." },
};

const struct cm_command cm_command_ocsp_query = {
    .name = "ocsp query",
    .operands = "",
    .summary = "ask an OCSP responder about a certificate",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "no answer that verifies",
    .more_exits = "3 revoked, or on hold; 4 unknown to the responder",
    .run = run,
};
