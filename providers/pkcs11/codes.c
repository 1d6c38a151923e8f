#include "providers/pkcs11/token.h"

#include <stdio.h>

#define CODES(X)                                                                                   \
    X(OK)                                                                                          \
    X(CANCEL)                                                                                      \
    X(HOST_MEMORY)                                                                                 \
    X(SLOT_ID_INVALID)                                                                             \
    X(GENERAL_ERROR)                                                                               \
    X(FUNCTION_FAILED)                                                                             \
    X(ARGUMENTS_BAD)                                                                               \
    X(CANT_LOCK)                                                                                   \
    X(ATTRIBUTE_READ_ONLY)                                                                         \
    X(ATTRIBUTE_SENSITIVE)                                                                         \
    X(ATTRIBUTE_TYPE_INVALID)                                                                      \
    X(ATTRIBUTE_VALUE_INVALID)                                                                     \
    X(ACTION_PROHIBITED)                                                                           \
    X(DATA_INVALID)                                                                                \
    X(DATA_LEN_RANGE)                                                                              \
    X(DEVICE_ERROR)                                                                                \
    X(DEVICE_MEMORY)                                                                               \
    X(DEVICE_REMOVED)                                                                              \
    X(FUNCTION_CANCELED)                                                                           \
    X(FUNCTION_NOT_SUPPORTED)                                                                      \
    X(KEY_HANDLE_INVALID)                                                                          \
    X(KEY_SIZE_RANGE)                                                                              \
    X(KEY_TYPE_INCONSISTENT)                                                                       \
    X(KEY_FUNCTION_NOT_PERMITTED)                                                                  \
    X(MECHANISM_INVALID)                                                                           \
    X(MECHANISM_PARAM_INVALID)                                                                     \
    X(OBJECT_HANDLE_INVALID)                                                                       \
    X(OPERATION_ACTIVE)                                                                            \
    X(OPERATION_NOT_INITIALIZED)                                                                   \
    X(PIN_INCORRECT)                                                                               \
    X(PIN_INVALID)                                                                                 \
    X(PIN_LEN_RANGE)                                                                               \
    X(PIN_EXPIRED)                                                                                 \
    X(PIN_LOCKED)                                                                                  \
    X(SESSION_CLOSED)                                                                              \
    X(SESSION_COUNT)                                                                               \
    X(SESSION_HANDLE_INVALID)                                                                      \
    X(SESSION_READ_ONLY)                                                                           \
    X(SESSION_READ_ONLY_EXISTS)                                                                    \
    X(SESSION_READ_WRITE_SO_EXISTS)                                                                \
    X(TEMPLATE_INCOMPLETE)                                                                         \
    X(TEMPLATE_INCONSISTENT)                                                                       \
    X(TOKEN_NOT_PRESENT)                                                                           \
    X(TOKEN_NOT_RECOGNIZED)                                                                        \
    X(TOKEN_WRITE_PROTECTED)                                                                       \
    X(USER_ALREADY_LOGGED_IN)                                                                      \
    X(USER_NOT_LOGGED_IN)                                                                          \
    X(USER_PIN_NOT_INITIALIZED)                                                                    \
    X(USER_TYPE_INVALID)                                                                           \
    X(USER_ANOTHER_ALREADY_LOGGED_IN)                                                              \
    X(USER_TOO_MANY_TYPES)                                                                         \
    X(CURVE_NOT_SUPPORTED)                                                                         \
    X(BUFFER_TOO_SMALL)                                                                            \
    X(CRYPTOKI_NOT_INITIALIZED)                                                                    \
    X(CRYPTOKI_ALREADY_INITIALIZED)

const char *cm_p11_code_name(CK_RV code, char *text)
{
    switch (code) {
#define X(name)                                                                                    \
    case CKR_##name:                                                                               \
        return "CKR_" #name;
        CODES(X)
#undef X
    default:
        break;
    }
    snprintf(text, 32, code & CKR_VENDOR_DEFINED ? "vendor's code 0x%lX" : "code 0x%lX", code);
    return text;
}

/* ------------------------------------------------------------------ meaning -- */

enum cm_p11_meaning cm_p11_meaning(CK_RV code)
{
    switch (code) {
    case CKR_OK:
        return CM_P11_FINE;
    case CKR_MECHANISM_INVALID:
    case CKR_MECHANISM_PARAM_INVALID:
    case CKR_KEY_TYPE_INCONSISTENT:
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
    case CKR_KEY_SIZE_RANGE:
    case CKR_DATA_LEN_RANGE:
    case CKR_DATA_INVALID:
    case CKR_ACTION_PROHIBITED:
    case CKR_ATTRIBUTE_READ_ONLY:
    case CKR_ATTRIBUTE_SENSITIVE:
    case CKR_ATTRIBUTE_TYPE_INVALID:
    case CKR_ATTRIBUTE_VALUE_INVALID:
    case CKR_TEMPLATE_INCOMPLETE:
    case CKR_TEMPLATE_INCONSISTENT:
    case CKR_CURVE_NOT_SUPPORTED:
    case CKR_FUNCTION_NOT_SUPPORTED:
    case CKR_TOKEN_WRITE_PROTECTED:
    case CKR_BUFFER_TOO_SMALL:
        return CM_P11_REFUSED;
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_KEY_HANDLE_INVALID:
        return CM_P11_LOST;
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_TOKEN_NOT_RECOGNIZED:
    case CKR_SLOT_ID_INVALID:
        return CM_P11_REMOVED;
    case CKR_GENERAL_ERROR:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
        return CM_P11_BROKEN;
    default: /* DEVICE_ERROR, FUNCTION_FAILED, memory, and all that nobody has heard of */
        return CM_P11_STRIKE;
    }
}

cm_status cm_p11_status(CK_RV code)
{
    switch (cm_p11_meaning(code)) {
    case CM_P11_REFUSED:
        return CM_UNSUPPORTED;
    case CM_P11_REMOVED:
        return CM_TOKEN_REMOVED;
    case CM_P11_FINE:
    case CM_P11_STRIKE:
    case CM_P11_LOST:
    case CM_P11_BROKEN:
        break;
    }
    return CM_UNAVAILABLE;
}
