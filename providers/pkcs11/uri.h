/*
 * URI: how a key in a token is named (RFC 7512).
 *
 *     pkcs11:token=Factory;object=issuing-1?pin-source=file:/run/pin
 *     pkcs11:serial=8c1f33d0;id=%A1%03;type=private
 *
 * Path attributes: token, manufacturer, model, serial and slot-id choose the token; object (the
 * label) and id choose the key; type may say "private". Query attributes: module-path (absolute)
 * and pin-source (file:/ABSOLUTE).
 *
 * Strict: an attribute that is unknown, repeated, empty or too long for what it names is refused,
 * because a criterion that is overlooked finds another key. pin-value is refused always: a PIN in
 * a URI stands in settings, in process listings and in logs. No message repeats a value.
 *
 * A pure function over bytes; any thread.
 */
#ifndef CM_PROVIDERS_PKCS11_URI_H
#define CM_PROVIDERS_PKCS11_URI_H

#include "engine/base/bytes.h"
#include "engine/base/status.h"

/* Longest URI that is read; bytes. */
#define CM_P11_URI_SIZE_MAX 2048

enum {
    CM_P11_TOKEN_SIZE = 32, /* CK_TOKEN_INFO.label and .manufacturerID; bytes */
    CM_P11_SHORT_SIZE = 16, /* .model and .serialNumber */
    CM_P11_LABEL_SIZE = 255,
    CM_P11_ID_SIZE = 128,
    CM_P11_PATH_SIZE = 1024,
    CM_P11_SHOWN_SIZE = 120
};

/* Texts are NUL-terminated, without the blanks that tokens pad with; "" where absent. */
struct cm_p11_uri {
    char token[CM_P11_TOKEN_SIZE + 1];
    char manufacturer[CM_P11_TOKEN_SIZE + 1];
    char model[CM_P11_SHORT_SIZE + 1];
    char serial[CM_P11_SHORT_SIZE + 1];
    bool has_slot_id;
    uint64_t slot_id;
    char object[CM_P11_LABEL_SIZE + 1];
    uint8_t id[CM_P11_ID_SIZE];
    uint32_t id_size; /* 0: absent */
    char module_path[CM_P11_PATH_SIZE + 1];
    char pin_source[CM_P11_PATH_SIZE + 1]; /* "file:/..." */
    char shown[CM_P11_SHOWN_SIZE];         /* the URI without its query, for messages */
};

/*
 * Does:       takes the URI apart.
 * Owns:       ret_uri is plain data.
 * Fails with: MALFORMED (not such a URI, no object or id), UNSUPPORTED (an attribute or a type that
 *             is none of ours), DENIED (pin-value).
 */
CM_MUST_USE cm_status cm_p11_uri_parse(struct cm_bytes text, struct cm_p11_uri *ret_uri,
                                       struct cm_error *err);

#endif
