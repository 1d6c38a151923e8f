#include "tests/support/fake_pkcs11.h"

#include <stdio.h>
#include <string.h>

enum { SESSIONS_MAX = 128, FOUND_MAX = 2 * FAKE_KEYS_MAX };

#define PIN "1234"

struct session {
    CK_SESSION_HANDLE handle; /* 0: free */
    bool signing;
    CK_MECHANISM mechanism;
    CK_RSA_PKCS_PSS_PARAMS pss;
    CK_OBJECT_HANDLE key;
    bool searching;
    CK_OBJECT_HANDLE found[FOUND_MAX];
    CK_ULONG found_count, found_given;
};

struct fake_state fake = { .mutex = PTHREAD_MUTEX_INITIALIZER, .first_handle = 1000 };
static struct session sessions[SESSIONS_MAX];
static CK_SESSION_HANDLE last_handle;

/* ------------------------------------------------------------------ sessions -- */

static struct session *find_session(CK_SESSION_HANDLE handle)
{
    for (unsigned i = 0; i < SESSIONS_MAX; i++)
        if (handle != 0 && sessions[i].handle == handle)
            return &sessions[i];
    return NULL;
}

static unsigned count_sessions(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SESSIONS_MAX; i++)
        count += sessions[i].handle != 0;
    return count;
}

__attribute__((visibility("default"))) unsigned fake_pkcs11_sessions(void)
{
    pthread_mutex_lock(&fake.mutex);
    unsigned count = count_sessions();
    pthread_mutex_unlock(&fake.mutex);
    return count;
}

static void close_sessions(void)
{
    memset(sessions, 0, sizeof sessions);
    fake.logged_in = false;
}

void fake_on_event(const char *event)
{
    if (strcmp(event, "close-sessions") == 0)
        close_sessions();
    else if (strcmp(event, "log-out") == 0)
        fake.logged_in = false;
    else if (strcmp(event, "new-handles") == 0)
        fake.first_handle += 1000;
    else if (strcmp(event, "swap-keys") == 0)
        fake_keys_swap();
    else if (strcmp(event, "replace-keys") == 0)
        fake_keys_replace();
    else if (strcmp(event, "forget") == 0)
        fake.forgotten = true;
    else if (strcmp(event, "lose") == 0)
        fake.lost = true;
}

static bool is_absent(void)
{
    return fake.script.absent || fake.lost;
}

/* Begins a call that needs a session; on CKR_OK the mutex is held. */
static CK_RV begin_in(enum fake_function function, CK_SESSION_HANDLE handle,
                      struct session **ret_session)
{
    CK_RV code = fake_begin(function);
    if (code != CKR_OK)
        return code;
    pthread_mutex_lock(&fake.mutex); /* { */
    if (is_absent())
        close_sessions();
    *ret_session = find_session(handle);
    if (*ret_session)
        return CKR_OK;
    code = is_absent() ? CKR_DEVICE_REMOVED : CKR_SESSION_HANDLE_INVALID;
    pthread_mutex_unlock(&fake.mutex); /* } */
    return code;
}

static CK_RV end(CK_RV code)
{
    pthread_mutex_unlock(&fake.mutex); /* } of begin_in */
    return code;
}

/* ------------------------------------------------------------------ the module -- */

static CK_RV initialize(void *args)
{
    CK_C_INITIALIZE_ARGS *arguments = args;
    CK_RV code = fake_begin(FAKE_C_Initialize);
    if (code != CKR_OK)
        return code;
    if (!arguments || (arguments->flags & CKF_OS_LOCKING_OK) == 0)
        return CKR_CANT_LOCK;
    pthread_mutex_lock(&fake.mutex); /* { */
    bool was = fake.initialised && !fake.forgotten;
    fake.initialised = true;
    fake.forgotten = fake.lost = false;
    return end(was ? CKR_CRYPTOKI_ALREADY_INITIALIZED : CKR_OK);
}

static CK_RV finalize(void *reserved)
{
    (void)reserved;
    CK_RV code = fake_begin(FAKE_C_Finalize);
    if (code != CKR_OK)
        return code;
    pthread_mutex_lock(&fake.mutex); /* { */
    bool was = fake.initialised;
    fake.initialised = false;
    close_sessions();
    return end(was ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED);
}

static CK_RV get_slot_list(CK_BBOOL present_only, CK_SLOT_ID *slots, CK_ULONG *count)
{
    CK_RV code = fake_begin(FAKE_C_GetSlotList);
    if (code != CKR_OK)
        return code;
    pthread_mutex_lock(&fake.mutex); /* { */
    CK_ULONG present = is_absent() && present_only ? 0 : fake.script.twins ? 2 : 1;
    if (slots && *count < present)
        code = CKR_BUFFER_TOO_SMALL;
    for (CK_ULONG i = 0; slots && code == CKR_OK && i < present; i++)
        slots[i] = i;
    *count = present;
    return end(code);
}

static CK_RV get_info(CK_INFO *info)
{
    *info = (CK_INFO){ .cryptokiVersion = { 2, 40 } };
    return CKR_OK;
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    (void)slot;
    *info = (CK_SLOT_INFO){ .flags = CKF_TOKEN_PRESENT | CKF_HW_SLOT };
    memset(info->slotDescription, ' ', sizeof info->slotDescription);
    memset(info->manufacturerID, ' ', sizeof info->manufacturerID);
    return CKR_OK;
}

static void pad(unsigned char *field, size_t size, const char *text)
{
    memset(field, ' ', size);
    memcpy(field, text, strlen(text));
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV code = fake_begin(FAKE_C_GetTokenInfo);
    if (code != CKR_OK)
        return code;
    pthread_mutex_lock(&fake.mutex); /* { */
    if (is_absent())
        return end(CKR_TOKEN_NOT_PRESENT);
    *info = (CK_TOKEN_INFO){
        .flags = CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED,
        .ulMaxSessionCount = fake.script.max_sessions,
        .ulSessionCount = count_sessions(),
    };
    if (fake.script.pin_locked)
        info->flags |= CKF_USER_PIN_LOCKED;
    if (fake.script.pin_final)
        info->flags |= CKF_USER_PIN_FINAL_TRY;
    pad(info->label, sizeof info->label, fake.script.label);
    pad(info->manufacturerID, sizeof info->manufacturerID, "certmill tests");
    pad(info->model, sizeof info->model, "fake");
    pad(info->serialNumber, sizeof info->serialNumber, slot == 0 ? "1" : "2");
    return end(CKR_OK);
}

static const CK_MECHANISM_TYPE mechanisms[] = {
    CKM_ECDSA,
    CKM_ECDSA_SHA256,
    CKM_ECDSA_SHA384,
    CKM_ECDSA_SHA512,
    CKM_RSA_PKCS,
    CKM_SHA256_RSA_PKCS,
    CKM_SHA384_RSA_PKCS,
    CKM_SHA512_RSA_PKCS,
    CKM_RSA_PKCS_PSS,
    CKM_SHA256_RSA_PKCS_PSS,
    CKM_SHA384_RSA_PKCS_PSS,
    CKM_SHA512_RSA_PKCS_PSS,
    CKM_EDDSA,
    CKM_EC_KEY_PAIR_GEN,
    CKM_EC_EDWARDS_KEY_PAIR_GEN,
    CKM_RSA_PKCS_KEY_PAIR_GEN,
};

static bool has_mechanism(CK_MECHANISM_TYPE type)
{
    for (unsigned i = 0; i < fake.script.without_count; i++)
        if (fake.script.without[i] == type)
            return false;
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++)
        if (mechanisms[i] == type)
            return true;
    return false;
}

static CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    (void)slot;
    pthread_mutex_lock(&fake.mutex); /* { */
    if (!has_mechanism(type))
        return end(CKR_MECHANISM_INVALID);
    bool is_rsa = type == CKM_RSA_PKCS_KEY_PAIR_GEN || (type < 0x100 && type != CKM_EDDSA);
    bool makes = type == CKM_EC_KEY_PAIR_GEN || type == CKM_EC_EDWARDS_KEY_PAIR_GEN
                 || type == CKM_RSA_PKCS_KEY_PAIR_GEN;
    *info = (CK_MECHANISM_INFO){ .ulMinKeySize = is_rsa ? 1024 : 255,
                                 .ulMaxKeySize = is_rsa ? 4096 : 521,
                                 .flags = CKF_HW | (makes ? CKF_GENERATE_KEY_PAIR : CKF_SIGN) };
    return end(CKR_OK);
}

/* ------------------------------------------------------------------ logging in -- */

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *ret_session)
{
    (void)application;
    (void)notify;
    CK_RV code = fake_begin(FAKE_C_OpenSession);
    if (code != CKR_OK)
        return code;
    if ((flags & CKF_SERIAL_SESSION) == 0)
        return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    pthread_mutex_lock(&fake.mutex); /* { */
    unsigned max = fake.script.max_sessions ? fake.script.max_sessions : SESSIONS_MAX;
    if (is_absent())
        return end(CKR_TOKEN_NOT_PRESENT);
    if (slot > (fake.script.twins ? 1u : 0u))
        return end(CKR_SLOT_ID_INVALID);
    if (count_sessions() >= max)
        return end(CKR_SESSION_COUNT);
    struct session *session = sessions;
    while (session->handle != 0)
        session++;
    *session = (struct session){ .handle = ++last_handle };
    *ret_session = session->handle;
    return end(CKR_OK);
}

static CK_RV close_session(CK_SESSION_HANDLE handle)
{
    struct session *session;
    CK_RV code = begin_in(FAKE_C_CloseSession, handle, &session);
    if (code != CKR_OK)
        return code;
    session->handle = 0;
    if (count_sessions() == 0)
        fake.logged_in = false;
    return end(CKR_OK);
}

static CK_RV get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info)
{
    struct session *session;
    CK_RV code = begin_in(FAKE_C_GetSessionInfo, handle, &session);
    if (code != CKR_OK)
        return code;
    *info =
        (CK_SESSION_INFO){ .state = fake.logged_in ? CKS_RO_USER_FUNCTIONS : CKS_RO_PUBLIC_SESSION,
                           .flags = CKF_SERIAL_SESSION };
    return end(CKR_OK);
}

static CK_RV close_all_sessions(CK_SLOT_ID slot)
{
    (void)slot;
    pthread_mutex_lock(&fake.mutex); /* { */
    close_sessions();
    return end(CKR_OK);
}

static CK_RV login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, unsigned char *pin,
                   CK_ULONG pin_size)
{
    struct session *session;
    CK_RV code = begin_in(FAKE_C_Login, handle, &session);
    if (code != CKR_OK)
        return code;
    if (user != CKU_USER)
        return end(CKR_USER_TYPE_INVALID);
    if (fake.script.pin_locked)
        return end(CKR_PIN_LOCKED);
    if (fake.logged_in)
        return end(CKR_USER_ALREADY_LOGGED_IN);
    if (pin_size != strlen(PIN) || memcmp(pin, PIN, pin_size) != 0)
        return end(CKR_PIN_INCORRECT);
    fake.logged_in = true;
    return end(CKR_OK);
}

/* ------------------------------------------------------------------ objects -- */

static CK_RV get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object,
                                 CK_ATTRIBUTE *attributes, CK_ULONG count)
{
    struct session *session;
    CK_RV code = begin_in(FAKE_C_GetAttributeValue, handle, &session);
    if (code != CKR_OK)
        return code;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_RV each = fake_object_read(object, &attributes[i]);
        code = code == CKR_OK ? each : code;
    }
    return end(code);
}

static CK_RV find_objects_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
    struct session *session;
    CK_RV code = begin_in(FAKE_C_FindObjectsInit, handle, &session);
    if (code != CKR_OK)
        return code;
    if (session->searching)
        return end(CKR_OPERATION_ACTIVE);
    session->searching = true;
    session->found_count = session->found_given = 0;
    CK_OBJECT_HANDLE behind = fake.first_handle + 2 * fake.keys_count;
    for (CK_OBJECT_HANDLE object = fake.first_handle; object < behind; object++)
        if (fake_object_matches(object, attributes, count))
            session->found[session->found_count++] = object;
    return end(CKR_OK);
}

static CK_RV find_objects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *objects, CK_ULONG space,
                          CK_ULONG *ret_count)
{
    pthread_mutex_lock(&fake.mutex); /* { */
    struct session *session = find_session(handle);
    if (!session || !session->searching)
        return end(session ? CKR_OPERATION_NOT_INITIALIZED : CKR_SESSION_HANDLE_INVALID);
    *ret_count = 0;
    while (*ret_count < space && session->found_given < session->found_count)
        objects[(*ret_count)++] = session->found[session->found_given++];
    return end(CKR_OK);
}

static CK_RV find_objects_final(CK_SESSION_HANDLE handle)
{
    pthread_mutex_lock(&fake.mutex); /* { */
    struct session *session = find_session(handle);
    if (!session || !session->searching)
        return end(session ? CKR_OPERATION_NOT_INITIALIZED : CKR_SESSION_HANDLE_INVALID);
    session->searching = false;
    return end(CKR_OK);
}

static CK_RV generate_key_pair(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism,
                               CK_ATTRIBUTE *public, CK_ULONG public_count, CK_ATTRIBUTE *private,
                               CK_ULONG private_count, CK_OBJECT_HANDLE *ret_public,
                               CK_OBJECT_HANDLE *ret_private)
{
    struct session *session;
    CK_RV code = begin_in(FAKE_C_GenerateKeyPair, handle, &session);
    if (code != CKR_OK)
        return code;
    if (!fake.logged_in)
        return end(CKR_USER_NOT_LOGGED_IN);
    code = fake_keys_add(mechanism->mechanism, public, public_count, private, private_count,
                         ret_public, ret_private);
    return end(code == CKR_OK && fake.script.lost_pair ? CKR_DEVICE_ERROR : code);
}

static CK_RV destroy_object(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
    struct session *session;
    CK_RV code = begin_in(FAKE_C_DestroyObject, handle, &session);
    return code != CKR_OK ? code : end(fake_keys_remove(object));
}

/* ------------------------------------------------------------------ signing -- */

static CK_RV sign_init(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE object)
{
    struct session *session;
    bool is_public;
    CK_RV code = begin_in(FAKE_C_SignInit, handle, &session);
    if (code != CKR_OK)
        return code;
    if (session->signing)
        return end(CKR_OPERATION_ACTIVE);
    if (!fake.logged_in)
        return end(CKR_USER_NOT_LOGGED_IN);
    if (!fake_key_of(object, &is_public) || is_public)
        return end(CKR_KEY_HANDLE_INVALID);
    if (!has_mechanism(mechanism->mechanism))
        return end(CKR_MECHANISM_INVALID);
    session->signing = true;
    session->mechanism = *mechanism;
    session->key = object;
    if (mechanism->ulParameterLen == sizeof session->pss) {
        memcpy(&session->pss, mechanism->pParameter, sizeof session->pss);
        session->mechanism.pParameter = &session->pss;
    }
    return end(CKR_OK);
}

/* What leaves the mutex: a copy of the operation, and a reference to the key. */
static CK_RV take_operation(CK_SESSION_HANDLE handle, struct session *ret_copy, EVP_PKEY **ret_pkey,
                            struct fake_script *ret_script)
{
    struct session *session;
    bool is_public;
    CK_RV code = begin_in(FAKE_C_Sign, handle, &session);
    if (code != CKR_OK)
        return code;
    if (!session->signing)
        return end(CKR_OPERATION_NOT_INITIALIZED);
    session->signing = false;
    struct fake_key *key = fake_key_of(session->key, &is_public);
    if (!key)
        return end(CKR_KEY_HANDLE_INVALID);
    EVP_PKEY_up_ref(key->pkey);
    *ret_pkey = key->pkey;
    *ret_copy = *session;
    if (session->mechanism.pParameter)
        ret_copy->mechanism.pParameter = &ret_copy->pss;
    *ret_script = fake.script;
    return end(CKR_OK);
}

static CK_RV sign(CK_SESSION_HANDLE handle, unsigned char *data, CK_ULONG size,
                  unsigned char *signature, CK_ULONG *size_io)
{
    struct session operation;
    struct fake_script script;
    EVP_PKEY *pkey;
    uint8_t other[1024];
    CK_RV code = take_operation(handle, &operation, &pkey, &script);
    if (code != CKR_OK)
        return code;
    if (script.wrong_signature && size > 0 && size <= sizeof other) {
        memcpy(other, data, size);
        other[size - 1] ^= 1;
        data = other;
    }
    code = fake_crypto_sign(pkey, &operation.mechanism, data, size, signature, size_io);
    EVP_PKEY_free(pkey);
    if (script.short_signature)
        --*size_io;
    return code;
}

static CK_FUNCTION_LIST list = {
    .version = { 2, 40 },
    .C_Initialize = initialize,
    .C_Finalize = finalize,
    .C_GetInfo = get_info,
    .C_GetFunctionList = C_GetFunctionList,
    .C_GetSlotList = get_slot_list,
    .C_GetSlotInfo = get_slot_info,
    .C_GetTokenInfo = get_token_info,
    .C_GetMechanismInfo = get_mechanism_info,
    .C_OpenSession = open_session,
    .C_CloseSession = close_session,
    .C_CloseAllSessions = close_all_sessions,
    .C_GetSessionInfo = get_session_info,
    .C_Login = login,
    .C_GetAttributeValue = get_attribute_value,
    .C_FindObjectsInit = find_objects_init,
    .C_FindObjects = find_objects,
    .C_FindObjectsFinal = find_objects_final,
    .C_GenerateKeyPair = generate_key_pair,
    .C_DestroyObject = destroy_object,
    .C_SignInit = sign_init,
    .C_Sign = sign,
};

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR ret_list)
{
    *ret_list = &list;
    return CKR_OK;
}
