/*
 * Decode: what stands in an entry, before anyone is believed.
 *
 * Envelopes first: the fields of the wire format, orders as a whole, and the digest that tells "the same
 * content" from other content. A CSR is read only when recall has found the request to be new, so that a
 * repeated request costs no more than a look-up.
 */
#include "engine/internal.h"

#include "engine/base/hash.h"
#include "engine/orders.h"
#include "engine/x509/pem.h"

enum { ID_SIZE_MAX = 128 };

/* The fields that the answer depends on, in the order of the digest. */
static const enum cm_field digested[] = { CM_FIELD_OP,         CM_FIELD_DEVICE, CM_FIELD_CSR,
                                          CM_FIELD_PROFILE,    CM_FIELD_SERIAL, CM_FIELD_REASON,
                                          CM_FIELD_INVALIDITY, CM_FIELD_WHY };

/* These have come later: where neither stands there, a digest is what it has always been. */
enum { DIGESTED_FIRST = 6, DIGESTED_ALL = sizeof digested / sizeof digested[0] };

static size_t count_digested(const struct cm_entry *entry)
{
    return entry->fields[CM_FIELD_INVALIDITY].data || entry->fields[CM_FIELD_WHY].data
               ? DIGESTED_ALL
               : DIGESTED_FIRST;
}

/* Each field is preceded by its size, so that no two contents look alike. */
static void digest(struct cm_request *request)
{
    struct cm_bytes parts[2 * DIGESTED_ALL];
    uint64_t sizes[DIGESTED_ALL];
    uint8_t hash[CM_SHA256_SIZE];
    size_t count = count_digested(request->entry);
    for (size_t i = 0; i < count; i++) {
        struct cm_bytes field = request->entry->fields[digested[i]];
        sizes[i] = field.size;
        parts[2 * i] = cm_bytes(&sizes[i], sizeof sizes[i]);
        parts[2 * i + 1] = field;
    }
    cm_sha256(parts, 2 * count, hash);
    memcpy(request->digest.octets, hash, sizeof request->digest.octets);
}

static bool check_id(struct cm_request *request, struct cm_bytes id)
{
    if (id.size < 1 || id.size > ID_SIZE_MAX)
        return cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_ID_INVALID, CM_REFUSAL_NO_OFFSET,
                         "the id has %zu octets, expected 1 to 128", id.size);
    for (size_t i = 0; i < id.size; i++)
        if (id.data[i] < 0x21 || id.data[i] > 0x7e)
            return cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_ID_INVALID, i,
                             "the id holds an octet that is not visible ASCII");
    return true;
}

static bool check_present(struct cm_request *request, enum cm_field field)
{
    return request->entry->fields[field].data
           || cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_FIELD_MISSING, CM_REFUSAL_NO_OFFSET,
                        "field %s is missing", cm_field_name(field));
}

/* Intake has looked the requester up already; here the reason is told when it is unknown. */
static bool check_identity(struct cm_request *request)
{
    struct cm_bytes requester = request->entry->fields[CM_FIELD_REQUESTER];
    char name[64];
    if (!check_present(request, CM_FIELD_ID) || !check_present(request, CM_FIELD_REQUESTER)
        || !check_id(request, request->entry->fields[CM_FIELD_ID]))
        return false;
    return request->requester
           || cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_REQUESTER_UNKNOWN,
                        CM_REFUSAL_NO_OFFSET, "requester %s is not in the settings",
                        cm_bytes_printable(requester, name, sizeof name));
}

/* A closed list: anything else is refused at once. */
static bool check_op(struct cm_request *request)
{
    struct cm_bytes op = request->entry->fields[CM_FIELD_OP];
    char name[40];
    request->operation = CM_OPERATION_ISSUE;
    if (!op.data || cm_operation_find(op, &request->operation))
        return true;
    return cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_OP_UNKNOWN, CM_REFUSAL_NO_OFFSET,
                     "op %s is not one of issue, renew, revoke, quarantine, reinstate, retire",
                     cm_bytes_printable(op, name, sizeof name));
}

static bool check_priority(struct cm_request *request)
{
    struct cm_bytes priority = request->entry->fields[CM_FIELD_PRIORITY];
    if (!priority.data || cm_bytes_is(priority, "high") || cm_bytes_is(priority, "normal")
        || cm_bytes_is(priority, "bulk"))
        return true;
    return cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_FIELD_INVALID, CM_REFUSAL_NO_OFFSET,
                     "field priority is not one of high, normal, bulk");
}

/* Fields that say nothing for the operation were meant for another one. */
static bool check_none(struct cm_request *request, const enum cm_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (request->entry->fields[fields[i]].data)
            return cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_FIELD_INVALID,
                             CM_REFUSAL_NO_OFFSET, "field %s does not go with op %s",
                             cm_field_name(fields[i]), cm_operation_name(request->operation));
    return true;
}

/* Which certificate is renewed; nobody has to say it. */
static bool decode_renewal(struct cm_request *request, struct cm_batch *batch)
{
    struct cm_bytes serial = request->entry->fields[CM_FIELD_SERIAL];
    return !serial.data
           || cm_order_check_serial(serial, &batch->arena, &request->renews, &request->refusal);
}

static bool decode_certificate(struct cm_request *request, struct cm_batch *batch)
{
    static const enum cm_field others[] = { CM_FIELD_SERIAL, CM_FIELD_REASON, CM_FIELD_INVALIDITY,
                                            CM_FIELD_WHY };
    size_t allowed = request->operation == CM_OPERATION_RENEW; /* the first */
    if (!check_none(request, others + allowed, sizeof others / sizeof others[0] - allowed)
        || !check_present(request, CM_FIELD_CSR) || !decode_renewal(request, batch))
        return false;
    if (request->entry->device_from != CM_DEVICE_FROM_FIELD)
        return true; /* the CSR's subject will say */
    request->device_id = request->entry->fields[CM_FIELD_DEVICE];
    return check_present(request, CM_FIELD_DEVICE)
           && cm_order_check_device(request->device_id, &request->refusal);
}

static bool decode_order(struct cm_request *request, struct cm_batch *batch)
{
    static const enum cm_field others[] = { CM_FIELD_CSR, CM_FIELD_PROFILE };
    const struct cm_bytes *fields = request->entry->fields;
    const struct cm_order_texts texts = {
        .kind = fields[CM_FIELD_OP],
        .serial = fields[CM_FIELD_SERIAL],
        .device = fields[CM_FIELD_DEVICE],
        .reason = fields[CM_FIELD_REASON],
        .invalidity = fields[CM_FIELD_INVALIDITY],
        .why = fields[CM_FIELD_WHY],
    };
    request->order = cm_arena_zalloc(&batch->arena, sizeof *request->order);
    return check_none(request, others, sizeof others / sizeof others[0])
           && cm_order_read(&texts, batch->time_ms / 1000, &batch->arena, request->order,
                            &request->refusal);
}

static bool decode_envelope(struct cm_request *request, struct cm_batch *batch)
{
    const struct cm_entry *entry = request->entry;
    if (!check_identity(request))
        return false;
    if (entry->refusal.code != CM_REFUSAL_NONE) {
        request->refusal = entry->refusal;
        return false;
    }
    if (!check_op(request) || !check_priority(request))
        return false;
    return cm_operation_is_order(request->operation) ? decode_order(request, batch)
                                                     : decode_certificate(request, batch);
}

void cm_decode_envelopes(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (request->has_key)
            digest(request);
        if (cm_request_is_open(request) && !decode_envelope(request, batch))
            cm_request_refuse(request);
    }
}

/* Files may leave it to the CSR's subject to say whose it is. */
static bool take_device_from_subject(struct cm_request *request)
{
    bool is_cn = request->entry->device_from == CM_DEVICE_FROM_CN;
    request->device_id =
        cm_name_find(request->csr.name, is_cn ? CM_OID_COMMON_NAME : CM_OID_SERIAL_NUMBER);
    if (request->device_id.size == 0)
        return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_DEVICE_INVALID, CM_REFUSAL_NO_OFFSET,
                         "the CSR's subject has no %s to take the device id from",
                         is_cn ? "commonName" : "serialNumber");
    return cm_order_check_device(request->device_id, &request->refusal);
}

static bool decode_request(struct cm_request *request, struct cm_arena *arena)
{
    struct cm_bytes der;
    if (!cm_pem_read_csr(request->entry->fields[CM_FIELD_CSR], arena, &der, &request->refusal)
        || !cm_csr_read(der, arena, &request->csr, &request->refusal))
        return false;
    return request->entry->device_from == CM_DEVICE_FROM_FIELD || take_device_from_subject(request);
}

void cm_decode_requests(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (cm_request_is_open(request) && !request->order
            && !decode_request(request, &batch->arena))
            cm_request_refuse(request);
    }
}
