/*
 * Decode: what stands in an entry, before anyone is believed.
 *
 * Envelopes first: the fields of the wire format and the digest that tells "the same content" from
 * other content. The CSR itself is read only when recall has found the request to be new, so that
 * a repeated request costs no more than a look-up.
 */
#include "engine/internal.h"

#include "engine/base/hash.h"
#include "engine/x509/pem.h"

enum { ID_SIZE_MAX = 128, DEVICE_SIZE_MAX = 255 };

/* The fields that the answer depends on, in the order of the digest. */
static const enum cm_field digested[] = { CM_FIELD_OP,      CM_FIELD_DEVICE, CM_FIELD_CSR,
                                          CM_FIELD_PROFILE, CM_FIELD_SERIAL, CM_FIELD_REASON };

/* Each field is preceded by its size, so that no two contents look alike. */
static void digest(struct cm_request *request)
{
    enum { FIELDS_COUNT = sizeof digested / sizeof digested[0] };
    struct cm_bytes parts[2 * FIELDS_COUNT];
    uint64_t sizes[FIELDS_COUNT];
    uint8_t hash[CM_SHA256_SIZE];
    for (size_t i = 0; i < FIELDS_COUNT; i++) {
        struct cm_bytes field = request->entry->fields[digested[i]];
        sizes[i] = field.size;
        parts[2 * i] = cm_bytes(&sizes[i], sizeof sizes[i]);
        parts[2 * i + 1] = field;
    }
    cm_sha256(parts, 2 * FIELDS_COUNT, hash);
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
    static const char *const later[] = { "renew", "revoke", "quarantine", "reinstate" };
    struct cm_bytes op = request->entry->fields[CM_FIELD_OP];
    char name[40];
    if (!op.data || cm_bytes_is(op, "issue"))
        return true;
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (cm_bytes_is(op, later[i]))
            return cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_OP_UNSUPPORTED,
                             CM_REFUSAL_NO_OFFSET, "this version does not perform op %s", later[i]);
    return cm_refuse(&request->refusal, CM_REFUSAL_REQUEST_OP_UNKNOWN, CM_REFUSAL_NO_OFFSET,
                     "op %s is not one of issue, renew, revoke, quarantine, reinstate",
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

/*
 * One multi-octet UTF-8 sequence (RFC 3629): its size, or 0 when it is none. C1 controls
 * (U+0080 to U+009F) count as none, because a device id has no control characters.
 */
static size_t utf8_sequence_size(const uint8_t *at, size_t left)
{
    size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    uint32_t code = at[0] & (0x7fu >> size);
    static const uint32_t lowest[] = { 0, 0, 0xa0, 0x800, 0x10000 };
    if (at[0] < 0xc2 || at[0] > 0xf4 || left < size)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < lowest[size] || code > 0x10ffff || is_surrogate ? 0 : size;
}

static bool check_device_id(struct cm_request *request)
{
    struct cm_bytes id = request->device_id;
    if (id.size < 1 || id.size > DEVICE_SIZE_MAX)
        return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_DEVICE_INVALID, CM_REFUSAL_NO_OFFSET,
                         "the device id has %zu octets, expected 1 to 255", id.size);
    for (size_t i = 0; i < id.size;) {
        size_t size = id.data[i] >= 0x80 ? utf8_sequence_size(id.data + i, id.size - i)
                      : id.data[i] >= 0x20 && id.data[i] != 0x7f ? 1
                                                                 : 0;
        if (size == 0)
            return cm_refuse(&request->refusal, CM_REFUSAL_POLICY_DEVICE_INVALID, i,
                             "the device id holds a control character or is not UTF-8");
        i += size;
    }
    return true;
}

static bool decode_envelope(struct cm_request *request)
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
    if (!check_present(request, CM_FIELD_CSR))
        return false;
    if (entry->device_from != CM_DEVICE_FROM_FIELD)
        return true; /* the CSR's subject will say */
    request->device_id = entry->fields[CM_FIELD_DEVICE];
    return check_present(request, CM_FIELD_DEVICE) && check_device_id(request);
}

void cm_decode_envelopes(struct cm_batch *batch)
{
    for (uint32_t i = 0; i < batch->requests_count; i++) {
        struct cm_request *request = &batch->requests[i];
        if (request->has_key)
            digest(request);
        if (cm_request_is_open(request) && !decode_envelope(request))
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
    return check_device_id(request);
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
        if (cm_request_is_open(request) && !decode_request(request, &batch->arena))
            cm_request_refuse(request);
    }
}
