/*
 * The fake token: a PKCS#11 module for tests (a shared library, libfake_pkcs11.so) that signs with
 * real keys in memory and misbehaves as a control file says.
 *
 * The file is named by the environment variable FAKE_PKCS11 and may change at any time: it is looked
 * at before every call. Without it all is well. Its lines:
 *
 *     absent                the token is not there; what was open is gone
 *     twins                 a second token with the same label, serial number 2
 *     label WORD            of the token ("fake"; its serial number is 1, its PIN 1234)
 *     pin locked|final      the flags say so
 *     max-sessions N
 *     full                  no room for another key
 *     lost-pair             C_GenerateKeyPair makes a pair, and answers CKR_DEVICE_ERROR
 *     slow MS               C_Sign takes so long
 *     far MS                each call in a session takes so long, as over a network
 *     hang FUNCTION         calls do not come back until the line is gone
 *     fail FUNCTION CODE N  the next N calls answer CODE (a number as strtoul reads it); N 0: all
 *     wrong-signature       C_Sign signs something else
 *     short-signature       C_Sign gives one octet less
 *     bare-point            CKA_EC_POINT without its OCTET STRING
 *     no-names              CKA_ID and CKA_LABEL can be searched for, and not be read
 *     no-public             there are no public key objects
 *     no-private            there are no private key objects
 *     without TYPE          this mechanism (a number) is not there
 *     once ID EVENT         happens when ID is first seen: close-sessions, log-out, new-handles,
 *                           swap-keys (handles name other keys), replace-keys (other keys of the
 *                           same names), forget (C_Initialize is needed again), lose (absent until
 *                           the module is started anew)
 *
 * Where the variable FAKE_PKCS11_TRACE names a file, each call of them adds a line with its name.
 *
 * Keys come to be through C_GenerateKeyPair only; they outlive C_Finalize, as a token's do.
 */
#ifndef CM_TESTS_SUPPORT_FAKE_PKCS11_H
#define CM_TESTS_SUPPORT_FAKE_PKCS11_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <p11-kit/pkcs11.h>

/* The functions that scripts can name, and that are counted. */
#define FAKE_FUNCTIONS(X)                                                                          \
    X(C_Initialize)                                                                                \
    X(C_Finalize)                                                                                  \
    X(C_GetSlotList)                                                                               \
    X(C_GetTokenInfo)                                                                              \
    X(C_OpenSession)                                                                               \
    X(C_CloseSession)                                                                              \
    X(C_GetSessionInfo)                                                                            \
    X(C_Login)                                                                                     \
    X(C_FindObjectsInit)                                                                           \
    X(C_GetAttributeValue)                                                                         \
    X(C_SignInit)                                                                                  \
    X(C_Sign)                                                                                      \
    X(C_GenerateKeyPair)                                                                           \
    X(C_DestroyObject)

enum fake_function {
#define X(name) FAKE_##name,
    FAKE_FUNCTIONS(X)
#undef X
        FAKE_FUNCTION_COUNT
};

/* How often a function was called. Exported: tests find it with dlsym. */
unsigned fake_pkcs11_calls(const char *function);

/* How many sessions are open. Exported too. */
unsigned fake_pkcs11_sessions(void);

/* ------------------------------------------------------------------ inside the module -- */

enum { FAKE_WITHOUT_MAX = 16, FAKE_KEYS_MAX = 64 };

struct fake_script {
    bool absent, twins, pin_locked, pin_final, full;
    bool wrong_signature, short_signature, bare_point, no_public, no_private, no_names, lost_pair;
    char label[32];
    unsigned max_sessions, slow_ms, far_ms;
    bool hang[FAKE_FUNCTION_COUNT];
    CK_RV fail_code[FAKE_FUNCTION_COUNT];
    int fail_count[FAKE_FUNCTION_COUNT]; /* 0: none left; -1: for ever */
    CK_MECHANISM_TYPE without[FAKE_WITHOUT_MAX];
    unsigned without_count;
};

struct fake_key {
    EVP_PKEY *pkey;
    CK_KEY_TYPE type;
    uint8_t id[64];
    size_t id_size;
    char label[64];
    uint8_t params[32]; /* CKA_EC_PARAMS */
    size_t params_size;
};

/* Everything; under the mutex. */
struct fake_state {
    pthread_mutex_t mutex;
    struct fake_script script;
    bool initialised, forgotten, lost, logged_in;
    CK_OBJECT_HANDLE first_handle;
    struct fake_key keys[FAKE_KEYS_MAX];
    unsigned keys_count;
};
extern struct fake_state fake;

/*
 * control.c: counts the call, reads the script anew, waits where it says so, and tells what it has
 * the function answer. on_event is called under the mutex.
 */
CK_RV fake_begin(enum fake_function function);
void fake_on_event(const char *event);

/* objects.c; under the mutex. Handles: a private key's is even, its public key's the next. */
CK_RV fake_keys_add(CK_MECHANISM_TYPE how, const CK_ATTRIBUTE *public, CK_ULONG public_count,
                    const CK_ATTRIBUTE *private, CK_ULONG private_count,
                    CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private);
CK_RV fake_keys_remove(CK_OBJECT_HANDLE handle);
void fake_keys_swap(void);
void fake_keys_replace(void);
struct fake_key *fake_key_of(CK_OBJECT_HANDLE handle, bool *ret_public);
bool fake_object_matches(CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *wanted, CK_ULONG count);
CK_RV fake_object_read(CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *attribute);

/* crypto.c: not under the mutex; the key is the caller's reference. */
CK_RV fake_crypto_sign(EVP_PKEY *pkey, const CK_MECHANISM *mechanism, const uint8_t *data,
                       size_t size, uint8_t *signature, CK_ULONG *size_io);
EVP_PKEY *fake_crypto_generate(CK_MECHANISM_TYPE how, const uint8_t *params, size_t params_size,
                               unsigned bits);

#endif
