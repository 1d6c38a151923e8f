#include "providers/pkcs11/module.h"

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
