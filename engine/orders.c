#include "engine/orders.h"

#include "engine/store/device.h"
#include "engine/x509/name_text.h"

enum { DEVICE_SIZE_MAX = 255, SERIAL_DIGITS_MAX = 2 * CM_SERIAL_SIZE, SECONDS_DIGITS_MAX = 12 };

static const char *const kind_names[CM_ORDER_COUNT] = {
#define X(symbol, name) [CM_ORDER_##symbol] = name,
    CM_ORDER_MAP(X)
#undef X
};

bool cm_order_kind_find(struct cm_bytes name, enum cm_order_kind *ret_kind)
{
    for (unsigned kind = 0; kind < CM_ORDER_COUNT; kind++) {
        if (cm_bytes_is(name, kind_names[kind])) {
            *ret_kind = (enum cm_order_kind)kind;
            return true;
        }
    }
    return false;
}

static bool is_there(struct cm_bytes text)
{
    return text.data != NULL;
}

/* ------------------------------------------------------------------------------ one text each -- */

bool cm_order_read_serial(struct cm_bytes text, struct cm_arena *arena, struct cm_bytes *ret_serial)
{
    char digits[SERIAL_DIGITS_MAX + 2] = "0";   /* in front, where an octet has one digit only */
    uint8_t octets[CM_SERIAL_SIZE + 1] = { 0 }; /* the first of them for the sign */
    size_t size;
    while (text.size > 0 && text.data[0] == '0')
        text = cm_bytes_from(text, 1);
    if (text.size < 1 || text.size > SERIAL_DIGITS_MAX)
        return false;
    size_t front = text.size % 2;
    memcpy(digits + front, text.data, text.size);
    if (!cm_hex_decode(digits, front + text.size, octets + 1, CM_SERIAL_SIZE, &size))
        return false;
    bool is_signed = octets[1] >= 0x80;
    if (is_signed && size == CM_SERIAL_SIZE)
        return false;
    *ret_serial = cm_arena_copy(arena, cm_bytes(octets + !is_signed, size + is_signed));
    return true;
}

bool cm_order_check_serial(struct cm_bytes text, struct cm_arena *arena,
                           struct cm_bytes *ret_serial, struct cm_refusal *refusal)
{
    char shown[64];
    return cm_order_read_serial(text, arena, ret_serial)
           || cm_refuse(refusal, CM_REFUSAL_REQUEST_SERIAL_INVALID, CM_REFUSAL_NO_OFFSET,
                        "serial %s is not a positive hexadecimal number of at most %d octets",
                        cm_bytes_printable(text, shown, sizeof shown), CM_SERIAL_SIZE);
}

static bool read_device(struct cm_bytes text, struct cm_bytes *ret_device,
                        struct cm_refusal *refusal)
{
    *ret_device = text;
    return cm_order_check_device(text, refusal);
}

bool cm_order_check_device(struct cm_bytes id, struct cm_refusal *refusal)
{
    size_t offset = 0;
    if (id.size < 1 || id.size > DEVICE_SIZE_MAX)
        return cm_refuse(refusal, CM_REFUSAL_POLICY_DEVICE_INVALID, CM_REFUSAL_NO_OFFSET,
                         "the device id has %zu octets, expected 1 to %d", id.size,
                         DEVICE_SIZE_MAX);
    if (!cm_utf8_is_line(id, &offset))
        return cm_refuse(refusal, CM_REFUSAL_POLICY_DEVICE_INVALID, offset,
                         "the device id holds a control character or is not UTF-8");
    return !cm_device_is_reserved(id)
           || cm_refuse(refusal, CM_REFUSAL_POLICY_DEVICE_INVALID, 0,
                        "device ids that begin with " CM_DEVICE_RESERVED_PREFIX
                        " are the engine's own");
}

static bool read_reason(struct cm_bytes text, enum cm_reason *ret_reason,
                        struct cm_refusal *refusal)
{
    char shown[64];
    return cm_reason_find(text, ret_reason)
           || cm_refuse(refusal, CM_REFUSAL_REQUEST_REASON_INVALID, CM_REFUSAL_NO_OFFSET,
                        "%s is not a reason to revoke of RFC 5280, such as keyCompromise",
                        cm_bytes_printable(text, shown, sizeof shown));
}

static bool parse_seconds(struct cm_bytes text, int64_t *ret_seconds)
{
    int64_t seconds = 0;
    if (text.size < 1 || text.size > SECONDS_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        seconds = seconds * 10 + (text.data[i] - '0');
    }
    *ret_seconds = seconds;
    return seconds > 0;
}

static bool read_invalidity(struct cm_bytes text, int64_t *ret_seconds, struct cm_refusal *refusal)
{
    char shown[64];
    return parse_seconds(text, ret_seconds)
           || cm_refuse(refusal, CM_REFUSAL_REQUEST_FIELD_INVALID, CM_REFUSAL_NO_OFFSET,
                        "invalidity %s is not a number of Unix seconds",
                        cm_bytes_printable(text, shown, sizeof shown));
}

static bool read_why(struct cm_bytes text, struct cm_bytes *ret_why, struct cm_refusal *refusal)
{
    size_t offset = 0;
    *ret_why = text;
    if (text.size > CM_ORDER_WHY_SIZE_MAX)
        return cm_refuse(refusal, CM_REFUSAL_REQUEST_FIELD_INVALID, CM_REFUSAL_NO_OFFSET,
                         "why has %zu octets, expected at most %d", text.size,
                         CM_ORDER_WHY_SIZE_MAX);
    return cm_utf8_is_line(text, &offset)
           || cm_refuse(refusal, CM_REFUSAL_REQUEST_FIELD_INVALID, offset,
                        "why holds a control character or is not UTF-8");
}

/* ----------------------------------------------------------------------------------- together -- */

static bool read_kind(struct cm_bytes text, enum cm_order_kind *ret_kind,
                      struct cm_refusal *refusal)
{
    char shown[40];
    return cm_order_kind_find(text, ret_kind)
           || cm_refuse(refusal, CM_REFUSAL_REQUEST_OP_UNKNOWN, CM_REFUSAL_NO_OFFSET,
                        "%s is not one of revoke, quarantine, reinstate, retire",
                        cm_bytes_printable(text, shown, sizeof shown));
}

static bool refuse_text(const char *name, const char *why, struct cm_refusal *refusal)
{
    return cm_refuse(refusal, CM_REFUSAL_REQUEST_FIELD_INVALID, CM_REFUSAL_NO_OFFSET, "%s %s", name,
                     why);
}

static bool takes_serial(enum cm_order_kind kind)
{
    return kind == CM_ORDER_REVOKE || kind == CM_ORDER_REINSTATE;
}

/* What says nothing for this kind was meant for another one. */
static bool check_fitting(const struct cm_order_texts *texts, enum cm_order_kind kind,
                          struct cm_refusal *refusal)
{
    const struct {
        const char *name;
        struct cm_bytes text;
    } of_revoke[] = { { "reason", texts->reason }, { "invalidity", texts->invalidity } };
    for (size_t i = 0; i < sizeof of_revoke / sizeof of_revoke[0]; i++)
        if (kind != CM_ORDER_REVOKE && is_there(of_revoke[i].text))
            return refuse_text(of_revoke[i].name, "goes with revoke only", refusal);
    if (is_there(texts->serial) && !takes_serial(kind))
        return refuse_text("serial", "goes with revoke and reinstate only", refusal);
    if (is_there(texts->issuer) && !is_there(texts->serial))
        return refuse_text("issuer", "goes with serial only", refusal);
    return true;
}

static bool check_target(const struct cm_order_texts *texts, enum cm_order_kind kind,
                         struct cm_refusal *refusal)
{
    int count = is_there(texts->serial) + is_there(texts->device) + is_there(texts->group);
    if (count == 1)
        return true;
    if (count > 1)
        return cm_refuse(refusal, CM_REFUSAL_REQUEST_FIELD_INVALID, CM_REFUSAL_NO_OFFSET,
                         "expected one of serial, device and group, found %d of them", count);
    return cm_refuse(refusal, CM_REFUSAL_REQUEST_FIELD_MISSING, CM_REFUSAL_NO_OFFSET,
                     "%s needs a %sdevice", cm_order_name(kind),
                     takes_serial(kind) ? "serial or a " : "");
}

static bool read_target(const struct cm_order_texts *texts, struct cm_arena *arena,
                        struct cm_order *order, struct cm_refusal *refusal)
{
    order->group = texts->group;
    order->issuer = texts->issuer;
    if (is_there(texts->serial))
        return cm_order_check_serial(texts->serial, arena, &order->serial, refusal);
    return !is_there(texts->device) || read_device(texts->device, &order->device, refusal);
}

bool cm_order_read(const struct cm_order_texts *texts, int64_t time_s, struct cm_arena *arena,
                   struct cm_order *ret_order, struct cm_refusal *refusal)
{
    struct cm_order order = { .reason = CM_REASON_UNSPECIFIED, .time_s = time_s };
    if (!read_kind(texts->kind, &order.kind, refusal) || !check_fitting(texts, order.kind, refusal)
        || !check_target(texts, order.kind, refusal) || !read_target(texts, arena, &order, refusal))
        return false;
    if (is_there(texts->reason) && !read_reason(texts->reason, &order.reason, refusal))
        return false;
    if (is_there(texts->invalidity)
        && !read_invalidity(texts->invalidity, &order.invalidity_s, refusal))
        return false;
    if (is_there(texts->why) && !read_why(texts->why, &order.why, refusal))
        return false;
    *ret_order = order;
    return true;
}
