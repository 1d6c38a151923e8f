/*
 * The wire between engine and signer: whatever comes, frames and messages are read within their
 * bytes or refused; and a message that was read says of its parts what they are.
 */
#include <stdlib.h>

#include "providers/host/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every byte, so that a sanitizer sees one that is not there. */
static unsigned touch(struct cm_bytes bytes)
{
    unsigned sum = 0;
    for (size_t i = 0; i < bytes.size; i++)
        sum += bytes.data[i];
    return sum;
}

static unsigned touch_text(const char *text)
{
    return text ? touch(cm_bytes_str(text)) : 0;
}

static unsigned touch_line(const char *text)
{
    for (const char *at = text; at && *at; at++)
        if (*at < ' ' || *at > '~')
            abort();
    return touch_text(text);
}

static unsigned read_sign(struct cm_bytes body)
{
    struct cm_wire_sign sign;
    struct cm_bytes message;
    const uint8_t *intent;
    unsigned sum = 0;
    if (!cm_wire_read_sign(body, &sign))
        return 0;
    for (uint32_t i = 0; i < sign.items_count; i++) {
        cm_wire_next_item(&sign, &message, &intent);
        sum += touch(message) + (intent ? touch(cm_bytes(intent, CM_WIRE_INTENT_SIZE)) : 0);
    }
    if (sign.rows.size > 0 || sign.messages.size > 0)
        abort();
    return sum;
}

static unsigned read_signed(struct cm_bytes body)
{
    struct cm_wire_signed signed_;
    struct cm_bytes signature;
    cm_status status;
    unsigned sum = 0;
    if (!cm_wire_read_signed(body, &signed_))
        return 0;
    sum += touch_line(signed_.text);
    for (uint32_t i = 0; i < signed_.items_count; i++) {
        cm_wire_next_signature(&signed_, &status, &signature);
        if (status >= CM_INVALID || (status == CM_OK) != (signature.size > 0))
            abort();
        sum += touch(signature);
    }
    if (signed_.rows.size > 0 || signed_.signatures.size > 0)
        abort();
    return sum;
}

static unsigned read_keys(struct cm_bytes body)
{
    struct cm_wire_open_key open_key;
    struct cm_wire_key_opened opened;
    unsigned sum = 0;
    if (cm_wire_read_open_key(body, &open_key)) {
        sum += touch_text(open_key.reference) + touch(open_key.spec.transfer_blob);
        if (open_key.spec.transfer_blob.size > CM_WIRE_BLOB_SIZE_MAX)
            abort();
        if (open_key.has_floor) {
            sum += touch(open_key.floor.issuer_name);
            if (open_key.floor.past_s_max < 0 || open_key.floor.validity_s_max < 0)
                abort();
        }
    }
    if (cm_wire_read_key_opened(body, &opened))
        sum += touch_line(opened.text) + touch(opened.key.spki) + touch_line(opened.key.reference);
    return sum;
}

static unsigned read_unasked(struct cm_bytes body)
{
    struct cm_provider_pace pace;
    const char *text;
    unsigned sum = 0;
    if (cm_wire_read_notice(body, &text))
        sum += touch_line(text);
    if (cm_wire_read_pace(body, &pace) && (int64_t)pace.succeeded_count < 0)
        abort();
    return sum;
}

static unsigned read_life(struct cm_bytes body)
{
    struct cm_wire_hello hello;
    struct cm_wire_ready ready;
    unsigned sum = 0;
    if (cm_wire_read_hello(body, &hello))
        sum += touch_text(hello.kind) + touch_text(hello.settings.name)
               + touch_text(hello.settings.folder) + touch_text(hello.settings.passphrase_ref)
               + touch_text(hello.settings.module) + touch_text(hello.settings.options);
    if (cm_wire_read_ready(body, &ready))
        sum += touch_line(ready.text);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned sum = 0;
    struct cm_bytes bytes = cm_bytes(data, size);
    struct cm_wire_frame frame;
    size_t frame_size;
    while (cm_wire_next(bytes, &frame, &frame_size) == CM_WIRE_WHOLE) {
        if (frame_size > bytes.size)
            abort();
        /* Every reader, whatever the frame says it is. */
        sum += read_life(frame.body) + read_keys(frame.body) + read_sign(frame.body)
               + read_signed(frame.body) + read_unasked(frame.body);
        bytes = cm_bytes_from(bytes, frame_size);
    }
    /* The sum is looked at, so that no compiler leaves the touching out. */
    return sum == 1 && size == 0;
}
