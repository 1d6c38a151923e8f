/*
 * Orders: whether one may be carried out, its certificates by serial, and what is said of it. Those of
 * devices and groups are in order_devices.c. An order is refused before anything of it is changed.
 */
#include "engine/store/sqlite/order.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#include "engine/base/clock.h"

/* ------------------------------------------------------------------ refusing -- */

cm_status cm_sqlite_refuse_order(struct cm_order *order, enum cm_refusal_code code,
                                 const char *format, ...)
{
    char text[CM_REFUSAL_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    order->code = code;
    memcpy(order->message, text, sizeof text);
    return CM_OK;
}

static bool stands_among(struct cm_bytes group, const char *const *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (cm_bytes_is(group, names[i]))
            return true;
    return false;
}

bool cm_sqlite_order_reaches(const struct cm_order *order, struct cm_bytes group)
{
    return !order->groups || stands_among(group, order->groups, order->groups_count);
}

bool cm_sqlite_order_is_fresh(const struct cm_order *order, struct cm_bytes group)
{
    return order->kind == CM_ORDER_REINSTATE
           && stands_among(group, order->fresh_groups, order->fresh_groups_count);
}

static cm_status check_contract(const struct cm_order *order, struct cm_error *err)
{
    struct cm_serial ignored;
    int targets = (order->serial.size > 0) + (order->device.size > 0) + (order->group.size > 0);
    bool is_revoke = order->kind == CM_ORDER_REVOKE;
    bool may_have_serial = is_revoke || order->kind == CM_ORDER_REINSTATE;
    bool good = targets == 1 && order->kind < CM_ORDER_COUNT && order->invalidity_s >= 0;
    if (is_revoke)
        good = good && order->reason != CM_REASON_REMOVE_FROM_CRL && cm_reason_name(order->reason);
    if (order->serial.size > 0)
        good = good && may_have_serial && cm_serial_from_content(order->serial, &ignored);
    return good ? CM_OK
                : CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "store: not an order: its %s",
                          targets == 1 ? "values are outside the contract" : "object");
}

/*
 * Nothing is held against the certificates' own beginning: a clock may have gone back since, and a key
 * may have been lost before its certificate was made (RFC 5280, 5.3.2).
 */
static bool has_good_dates(const struct cm_sqlite_ordering *ordering)
{
    struct cm_order *order = ordering->order;
    int64_t latest_s = ordering->now_s + CM_STORE_AHEAD_S;
    if (order->time_s <= 0 || order->time_s > latest_s)
        cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_DATE_INVALID,
                               "the date of the revocation is in the future, or missing");
    else if (order->invalidity_s > latest_s)
        cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_DATE_INVALID,
                               "the date of the invalidity is in the future");
    return order->code == CM_REFUSAL_NONE;
}

/* -------------------------------------------------------------- certificates -- */

static enum cm_reason reason_of(const struct cm_sqlite_ordering *ordering)
{
    const struct cm_order *order = ordering->order;
    switch (order->kind) {
    case CM_ORDER_REVOKE:
        return order->reason;
    case CM_ORDER_QUARANTINE:
        return CM_REASON_CERTIFICATE_HOLD;
    case CM_ORDER_REINSTATE:
        return ordering->is_fresh ? CM_REASON_SUPERSEDED : CM_REASON_REMOVE_FROM_CRL;
    case CM_ORDER_RETIRE:
    case CM_ORDER_COUNT:
        break;
    }
    return CM_REASON_CESSATION_OF_OPERATION;
}

static bool hash_serial(EVP_MD_CTX *hash, struct cm_bytes serial)
{
    uint8_t size = (uint8_t)serial.size;
    return EVP_DigestUpdate(hash, &size, 1) == 1
           && EVP_DigestUpdate(hash, serial.data, serial.size) == 1;
}

cm_status cm_sqlite_order_certificate(struct cm_sqlite_ordering *ordering,
                                      const struct cm_sqlite_issued *issued, struct cm_error *err)
{
    struct cm_order *order = ordering->order;
    if (issued->not_after_s < ordering->now_s)
        return CM_OK;
    const struct cm_revocation wanted = {
        .generation_number = issued->generation_number,
        .serial = cm_serial_content(&issued->serial),
        .reason = reason_of(ordering),
        .revoked_s = cm_sqlite_max(order->time_s, issued->issued_s),
        .invalidity_s = order->invalidity_s,
        .not_after_s = issued->not_after_s,
    };
    bool changed = false;
    cm_status status =
        cm_sqlite_revoke(ordering->store, &wanted, ordering->is_fresh, &changed, err);
    if (status != CM_OK || !changed)
        return status;
    order->certificates_changed++;
    return hash_serial(ordering->changed, wanted.serial)
               ? CM_OK
               : CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "hashing failed");
}

/* ------------------------------------------------------------------ by serial -- */

/* -1: the order names an issuer that there is not; 0: it names none. */
static cm_status find_issuer(struct cm_sqlite_ordering *ordering, int64_t *ret_generation,
                             struct cm_error *err)
{
    struct cm_sqlite_store *store = ordering->store;
    struct cm_bytes issuer = ordering->order->issuer;
    int64_t values[2];
    bool found = false;
    *ret_generation = 0;
    if (issuer.size == 0)
        return CM_OK;
    cm_sqlite_bind_text(store->statements[CM_SQLITE_FIND_ISSUER], 1, issuer);
    cm_status status = cm_sqlite_look_up(store, CM_SQLITE_FIND_ISSUER, &found, values, err);
    *ret_generation = found ? values[0] : -1;
    return status;
}

/* The first that is found; *ret_several says that another generation has issued this serial, too. */
static cm_status find_serial(struct cm_sqlite_ordering *ordering, int64_t generation,
                             struct cm_sqlite_issued *ret_issued, bool *ret_several,
                             struct cm_error *err)
{
    sqlite3_stmt *row = ordering->store->statements[CM_SQLITE_FIND_SERIAL];
    struct cm_sqlite_issued issued = { .generation_number = 0 };
    int code;
    *ret_several = false;
    if (!cm_serial_from_content(ordering->order->serial, &issued.serial))
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "store: not a serial number");
    sqlite3_bind_int64(row, 1, cm_serial_number(&issued.serial));
    cm_sqlite_bind_blob(row, 2, issued.serial.octets + 8, CM_SERIAL_SIZE - 8);
    cm_sqlite_bind_bytes(row, 3, ordering->order->serial);
    sqlite3_bind_int64(row, 4, generation);
    while ((code = sqlite3_step(row)) == SQLITE_ROW) {
        if (issued.generation_number != 0)
            *ret_several |= sqlite3_column_int64(row, 0) != issued.generation_number;
        else {
            issued.generation_number = sqlite3_column_int64(row, 0);
            issued.device = sqlite3_column_int64(row, 1);
            issued.not_after_s = sqlite3_column_int64(row, 2);
        }
    }
    cm_status status = CM_OK;
    if (code != SQLITE_DONE)
        status = cm_sqlite_fail(ordering->store->db, code, "look up a serial", err);
    sqlite3_reset(row);
    if (issued.device != 0)
        issued.issued_s = cm_sqlite_issued_s(cm_serial_number(&issued.serial));
    *ret_issued = issued;
    return status;
}

/* What an order about a certificate wants to know of its device. */
struct holder {
    bool is_reached; /* whoever orders has a right to its group */
    bool is_quarantined;
};

/* What belongs to no device is for those who may order everything. */
static cm_status find_holder(struct cm_sqlite_ordering *ordering, int64_t device,
                             struct holder *ret_holder, struct cm_error *err)
{
    sqlite3_stmt *row = ordering->store->statements[CM_SQLITE_FIND_HOLDER];
    struct holder holder = { .is_reached = !ordering->order->groups };
    cm_status status = CM_OK;
    sqlite3_bind_int64(row, 1, device);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        struct cm_bytes group = cm_sqlite_column_text(row, 0);
        holder.is_reached = cm_sqlite_order_reaches(ordering->order, group);
        holder.is_quarantined = sqlite3_column_int(row, 1);
        ordering->is_fresh = cm_sqlite_order_is_fresh(ordering->order, group);
    } else if (code != SQLITE_DONE)
        status = cm_sqlite_fail(ordering->store->db, code, "look up a certificate's device", err);
    sqlite3_reset(row);
    *ret_holder = holder;
    return status;
}

/* Of a device in quarantine nothing is lifted by itself: device and certificates are in one state. */
static cm_status order_found(struct cm_sqlite_ordering *ordering,
                             const struct cm_sqlite_issued *issued, struct cm_error *err)
{
    struct cm_order *order = ordering->order;
    struct holder holder;
    cm_status status = find_holder(ordering, issued->device, &holder, err);
    if (status != CM_OK)
        return status;
    if (!holder.is_reached)
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_GROUP_NOT_ALLOWED,
                                      "the certificate is of a device of another group");
    if (order->kind == CM_ORDER_REINSTATE && holder.is_quarantined)
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_NOT_ON_HOLD,
                                      "its device is in quarantine: reinstate the device");
    status = cm_sqlite_order_certificate(ordering, issued, err);
    if (status == CM_OK && order->kind == CM_ORDER_REINSTATE && order->certificates_changed == 0)
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_NOT_ON_HOLD,
                                      "the certificate is not on hold, or has ended");
    return status;
}

static cm_status order_serial(struct cm_sqlite_ordering *ordering, struct cm_error *err)
{
    struct cm_order *order = ordering->order;
    struct cm_sqlite_issued issued;
    int64_t generation;
    bool several = false;
    cm_status status = find_issuer(ordering, &generation, err);
    if (status == CM_OK)
        status = find_serial(ordering, generation, &issued, &several, err);
    if (status != CM_OK)
        return status;
    if (issued.generation_number == 0)
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_SERIAL_UNKNOWN,
                                      "no certificate with this serial number is ours");
    if (several)
        return cm_sqlite_refuse_order(order, CM_REFUSAL_REVOKE_ISSUER_MISSING,
                                      "several issuers have issued this serial number: name one");
    return order_found(ordering, &issued, err);
}

/* ------------------------------------------------------------------ the record -- */

static void set(json_t *detail, const char *name, json_t *value)
{
    /* Memory that is not there shows when the whole is written. */
    if (value)
        json_object_set_new(detail, name, value);
}

static void set_text(json_t *detail, const char *name, struct cm_bytes text)
{
    char shown[256];
    json_t *value = json_stringn((const char *)text.data, text.size);
    if (text.size > 0 && !value) /* no UTF-8 */
        value = json_string(cm_bytes_printable(text, shown, sizeof shown));
    if (text.size > 0)
        set(detail, name, value);
    else
        json_decref(value);
}

static void set_time(json_t *detail, const char *name, int64_t time_s)
{
    char text[32];
    struct tm tm;
    time_t time = (time_t)time_s;
    if (time_s != 0 && gmtime_r(&time, &tm) && strftime(text, sizeof text, "%FT%TZ", &tm) > 0)
        set(detail, name, json_string(text));
}

static void set_plan(json_t *detail, const struct cm_plan_use *plan)
{
    char hex[2 * CM_PLAN_ID_SIZE + 1];
    cm_hex_encode(cm_bytes(plan->id, sizeof plan->id), hex);
    set(detail, "plan", json_string(hex));
}

/* On the heap; NULL when out of memory. */
static char *write_detail(const struct cm_sqlite_ordering *ordering)
{
    const struct cm_order *order = ordering->order;
    char hex[2 * CM_SERIAL_SIZE + 1] = "";
    json_t *detail = json_object();
    if (order->serial.size > 0)
        cm_hex_encode(order->serial, hex);
    set_text(detail, "serial", cm_bytes_str(hex));
    set_text(detail, "issuer", order->issuer);
    set_text(detail, "device", order->device);
    set_text(detail, "group", order->group);
    if (order->after_device > 0)
        set(detail, "after", json_integer(order->after_device));
    set_text(detail, "reason", cm_bytes_str(cm_reason_name(reason_of(ordering))));
    set_time(detail, "time", order->time_s);
    set_time(detail, "invalidity", order->invalidity_s);
    set_text(detail, "why", order->why);
    if (order->plan)
        set_plan(detail, order->plan);
    set(detail, "certificates", json_integer(order->certificates_changed));
    set(detail, "devices", json_integer(order->devices_changed));
    char *text = json_dumps(detail, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(detail);
    return text;
}

static cm_status audit_order(struct cm_sqlite_ordering *ordering, struct cm_error *err)
{
    const struct cm_order *order = ordering->order;
    struct cm_audit_event event = { .kind = cm_order_name(order->kind), .actor = order->actor };
    char *detail = write_detail(ordering);
    if (!detail || EVP_DigestFinal_ex(ordering->changed, event.digest, NULL) != 1) {
        free(detail);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for an audit row");
    }
    event.detail = cm_bytes_str(detail);
    cm_status status = cm_sqlite_append_audit(ordering->store, &event, err);
    free(detail);
    return status;
}

static cm_status remember_order(struct cm_sqlite_ordering *ordering, struct cm_error *err)
{
    const struct cm_order *order = ordering->order;
    if (!order->key)
        return CM_OK;
    cm_status status = cm_sqlite_record_answer(ordering->store, order->key, order->digest,
                                               CM_SQLITE_CARRIED_OUT, "", err);
    if (status == CM_OK)
        ordering->store->tally.orders++;
    return status;
}

/* ---------------------------------------------------------------------- whole -- */

/* A plan that may not run refuses its order, not those beside it. */
static bool may_run(struct cm_sqlite_ordering *ordering, cm_status *ret_status,
                    struct cm_error *err)
{
    struct cm_order *order = ordering->order;
    cm_status status = cm_sqlite_plan_begin(ordering->store, order->plan, err);
    if (status == CM_DENIED)
        status = cm_sqlite_refuse_order(order, CM_REFUSAL_POLICY_DUAL_CONTROL, "%s", err->text);
    *ret_status = status;
    return status == CM_OK && order->code == CM_REFUSAL_NONE;
}

static cm_status carry_out(struct cm_sqlite_ordering *ordering, struct cm_error *err)
{
    struct cm_order *order = ordering->order;
    cm_status status = CM_OK;
    if (!has_good_dates(ordering) || !may_run(ordering, &status, err))
        return status;
    if (order->serial.size > 0)
        status = order_serial(ordering, err);
    else
        status = cm_sqlite_order_devices(ordering, err);
    if (status != CM_OK || order->code != CM_REFUSAL_NONE)
        return status;
    status = remember_order(ordering, err);
    if (status == CM_OK)
        status = audit_order(ordering, err);
    if (status == CM_OK)
        status = cm_sqlite_plan_end(ordering->store, order->plan, order->last_device == 0,
                                    order->actor, err);
    return status;
}

cm_status cm_sqlite_carry_out_order(struct cm_sqlite_store *store, struct cm_order *order,
                                    struct cm_error *err)
{
    struct cm_sqlite_ordering ordering = { .store = store,
                                           .order = order,
                                           .now_s = cm_clock_wall_s() };
    order->code = CM_REFUSAL_NONE; /* this may be the second attempt */
    order->message[0] = '\0';
    order->certificates_changed = order->devices_changed = 0;
    order->last_device = 0;
    cm_status status = check_contract(order, err);
    if (status != CM_OK)
        return status;
    ordering.changed = EVP_MD_CTX_new();
    if (ordering.changed && EVP_DigestInit_ex(ordering.changed, EVP_sha256(), NULL) == 1)
        status = carry_out(&ordering, err);
    else
        status = CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for an order");
    EVP_MD_CTX_free(ordering.changed);
    return status;
}
