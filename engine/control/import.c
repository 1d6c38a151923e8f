/* Certificates that move in: what another CA software knows of those that it issued with a key of ours. */
#include "engine/control/internal.h"

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/orders.h"
#include "engine/x509/certificate.h"
#include "engine/x509/der.h"
#include "engine/x509/der_writer.h"
#include "engine/x509/pem.h"

/* The generation that has issued them, as far as they are held against it. */
struct issuer {
    const char *name;
    int64_t number;          /* 0: not found */
    struct cm_bytes subject; /* Name; in the arena */
    struct cm_arena *arena;
};

/* --- the issuer ---------------------------------------------------------------------------------- */

static bool take_generation(const struct cm_generation *generation, void *arg)
{
    struct issuer *issuer = arg;
    struct cm_certificate certificate;
    struct cm_error ignored;
    const char *name = cm_arena_printf(issuer->arena, "%.*s-%lld", (int)generation->authority.size,
                                       (const char *)generation->authority.data,
                                       (long long)generation->generation);
    if (strcmp(name, issuer->name) != 0)
        return true;
    issuer->number = generation->number;
    if (cm_certificate_read(generation->certificate, &certificate, &ignored) == CM_OK)
        issuer->subject = cm_arena_copy(issuer->arena, certificate.subject);
    return false;
}

/* Generations that do not issue any more are found, too: the store knows them all. */
static cm_status find_issuer(struct cm_store *store, struct issuer *issuer, struct cm_error *err)
{
    struct cm_store_reader *reader;
    char shown[64];
    cm_status status = cm_store_reader_open(store, &reader, err);
    if (status != CM_OK)
        return status;
    status = cm_store_reader_begin(reader, err);
    if (status == CM_OK) {
        status = cm_store_walk_generations(reader, take_generation, issuer, err);
        cm_store_reader_end(reader);
    }
    cm_store_reader_close(reader);
    if (status == CM_OK && issuer->number == 0)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "issuer: there is no \"%s\"",
                       cm_bytes_printable(cm_bytes_str(issuer->name), shown, sizeof shown));
    return status;
}

/* --- rows ---------------------------------------------------------------------------------------- */

static cm_status read_seconds(const json_t *object, const char *key, int64_t latest_s,
                              int64_t *ret_seconds, struct cm_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return CM_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s: expected Unix seconds", key);
    if (json_integer_value(value) > latest_s)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s: %s", key,
                       latest_s < CM_DER_TIME_MAX_S ? "in the future" : "after the year 9999");
    *ret_seconds = json_integer_value(value);
    return CM_OK;
}

static struct cm_bytes text_of(const json_t *value)
{
    return cm_bytes(json_string_value(value), json_string_length(value));
}

static cm_status read_serial(const json_t *object, struct cm_arena *arena,
                             struct cm_imported_row *row, struct cm_error *err)
{
    const json_t *serial = json_object_get(object, "serial");
    if (!json_is_string(serial) || !cm_order_read_serial(text_of(serial), arena, &row->serial))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "serial: expected a positive hexadecimal number of at most %d octets",
                       CM_SERIAL_SIZE);
    return CM_OK;
}

static cm_status read_reason(const json_t *object, struct cm_imported_row *row,
                             struct cm_error *err)
{
    const json_t *reason = json_object_get(object, "reason");
    bool is_revoked = row->revoked_s != 0;
    row->reason = CM_REASON_UNSPECIFIED;
    if (reason && (!json_is_string(reason) || !cm_reason_find(text_of(reason), &row->reason)))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "reason: expected a name of RFC 5280, such as keyCompromise");
    if (!is_revoked && (reason || row->invalidity_s != 0))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "expected reason and invalidity only with revoked");
    return CM_OK;
}

static bool is_one_sequence(struct cm_bytes der)
{
    struct cm_refusal ignored;
    struct cm_bytes whole;
    struct cm_der reader = cm_der_open(der, &ignored);
    return cm_der_read_sequence(&reader, "certificate", &whole) && cm_der_at_end(&reader);
}

static cm_status compare(const struct cm_certificate *certificate, const struct issuer *issuer,
                         struct cm_imported_row *row, struct cm_error *err)
{
    if (!cm_bytes_equal(certificate->issuer, issuer->subject))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0, "der: not issued by %.96s",
                       issuer->name);
    if (!cm_bytes_equal(certificate->serial, row->serial)
        || (row->not_after_s != 0 && certificate->not_after_s != row->not_after_s))
        return CM_FAIL(err, CM_MISMATCH, CM_ORIGIN_SELF, 0,
                       "der: it has another serial number or end");
    row->not_after_s = certificate->not_after_s;
    return CM_OK;
}

/*
 * What stands in it must be what is said of it. Our reader is as strict as our own certificates are: old
 * ones that it does not take stand there on the word of whoever imports, who has verified them.
 */
static cm_status read_der(const json_t *object, const struct issuer *issuer,
                          struct cm_imported_row *row, struct cm_error *err)
{
    const json_t *der = json_object_get(object, "der");
    struct cm_certificate certificate;
    struct cm_error ignored;
    if (!der)
        return CM_OK;
    if (!json_is_string(der) || !cm_base64_read(text_of(der), issuer->arena, &row->der)
        || !is_one_sequence(row->der))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "der: expected DER in base64");
    return cm_certificate_read(row->der, &certificate, &ignored) == CM_OK
               ? compare(&certificate, issuer, row, err)
               : CM_OK;
}

static cm_status read_row(const json_t *object, const struct issuer *issuer,
                          struct cm_imported_row *row, struct cm_error *err)
{
    static const char *const known[] = { "serial", "not_after", "der",
                                         "reason", "revoked",   "invalidity" };
    int64_t latest_s = cm_clock_wall_s() + CM_STORE_AHEAD_S;
    cm_status status = cm_request_check_keys(object, known, sizeof known / sizeof known[0], err);
    if (status == CM_OK)
        status = read_serial(object, issuer->arena, row, err);
    if (status == CM_OK)
        status = read_seconds(object, "not_after", CM_DER_TIME_MAX_S, &row->not_after_s, err);
    if (status == CM_OK)
        status = read_seconds(object, "revoked", latest_s, &row->revoked_s, err);
    if (status == CM_OK)
        status = read_seconds(object, "invalidity", CM_DER_TIME_MAX_S, &row->invalidity_s, err);
    if (status == CM_OK)
        status = read_reason(object, row, err);
    return status == CM_OK ? read_der(object, issuer, row, err) : status;
}

static cm_status read_rows(const json_t *certificates, const struct issuer *issuer,
                           struct cm_store_op *op, struct cm_error *err)
{
    size_t count = json_array_size(certificates);
    if (count == 0 || count > CM_CONTROL_CERTIFICATES_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "certificates: expected 1 to %d of them", CM_CONTROL_CERTIFICATES_MAX);
    op->imported = cm_arena_zalloc(issuer->arena, count * sizeof *op->imported);
    op->imported_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct cm_error why;
        op->imported[i].generation_number = issuer->number;
        cm_status status =
            read_row(json_array_get(certificates, i), issuer, &op->imported[i], &why);
        if (status != CM_OK)
            return CM_FAIL(err, status, CM_ORIGIN_SELF, 0, "certificates[%zu]: %.200s", i,
                           why.text);
    }
    return CM_OK;
}

/* --- the operation ------------------------------------------------------------------------------- */

static void on_imported(struct cm_store_op *op)
{
    struct cm_connection *connection = op->arg;
    const struct cm_control_env *env = &connection->control->env;
    if (op->status != CM_OK) {
        cm_request_answer_error(connection, &op->err);
        return;
    }
    if (env->on_revoked)
        env->on_revoked(env->arg);
    cm_connection_answer(connection,
                         json_pack("{s:I}", "changed", (json_int_t)op->imported_changed));
}

/* Over every serial, so that the audit log says what came in. */
static void describe(struct cm_connection *connection, const struct issuer *issuer)
{
    const struct cm_store_op *op = &connection->op;
    struct cm_bytes *parts = cm_arena_alloc(issuer->arena, 2 * op->imported_count * sizeof *parts);
    for (uint32_t i = 0; i < op->imported_count; i++) {
        parts[2 * i] = op->imported[i].serial;
        parts[2 * i + 1] = cm_bytes(&op->imported[i].revoked_s, sizeof op->imported[i].revoked_s);
    }
    cm_sha256(parts, 2 * op->imported_count, connection->audit.digest);
    connection->audit.kind = "ca-import";
    connection->audit.detail =
        cm_bytes_str(cm_arena_printf(issuer->arena, "{\"issuer\":\"%s\",\"certificates\":%u}",
                                     issuer->name, op->imported_count));
}

cm_status cm_import_run(struct cm_connection *connection, const json_t *request,
                        struct cm_error *err)
{
    struct cm_store *store = connection->control->env.store;
    struct issuer issuer = { .arena = &connection->arena,
                             .name = json_string_value(json_object_get(request, "issuer")) };
    if (!issuer.name)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "issuer: expected a name");
    connection->op = (struct cm_store_op){
        .kind = CM_STORE_IMPORT, .done = on_imported, .arg = connection, .audit = &connection->audit
    };
    connection->audit = (struct cm_audit_event){ 0 };
    cm_status status = cm_request_read_actor(request, issuer.arena, &connection->audit.actor, err);
    if (status == CM_OK)
        status = find_issuer(store, &issuer, err);
    if (status == CM_OK)
        status = read_rows(json_object_get(request, "certificates"), &issuer, &connection->op, err);
    if (status != CM_OK)
        return status;
    describe(connection, &issuer);
    cm_store_submit(store, &connection->op);
    return CM_OK;
}
