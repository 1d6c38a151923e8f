#include "providers/pkcs11/token.h"

static bool refuses_pin(CK_RV code)
{
    return code == CKR_PIN_INCORRECT || code == CKR_PIN_INVALID || code == CKR_PIN_LEN_RANGE
           || code == CKR_PIN_EXPIRED || code == CKR_PIN_LOCKED;
}

/*
 * Codes that cannot come from a wrong PIN, and may be gone a second later: the token or the session
 * was away, memory was short, or the module was not started (PKCS#11 v3.1 5.1). Of
 * CKR_FUNCTION_FAILED the standard says that the very same call may succeed when it is repeated; of
 * CKR_GENERAL_ERROR, that it is beyond recovery and that the token's state is unknown. That one, and
 * every code that is not here, a vendor's above all, may have cost the token a try.
 */
static bool is_transient(CK_RV code)
{
    switch (code) {
    case CKR_DEVICE_ERROR:
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_HOST_MEMORY:
    case CKR_DEVICE_MEMORY:
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_FUNCTION_FAILED:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
        return true;
    default:
        return false;
    }
}

/* From now on nobody of the instance logs in: another wrong PIN could lock the token. */
static cm_status deny_instance_locked(struct cm_p11_token *token, CK_RV code, struct cm_error *err)
{
    struct cm_p11_access *access = token->access;
    struct cm_error *refusal = &access->refusal;
    const char *label = token->label;
    char text[32];
    const char *name = cm_p11_code_name(code, text);
    if (code == CKR_USER_PIN_NOT_INITIALIZED)
        CM_FAIL(refusal, CM_DENIED, CM_ORIGIN_PKCS11, (int64_t)code,
                "token %s has no user PIN yet; its security officer can set one, then start again",
                label);
    else if (refuses_pin(code))
        CM_FAIL(refusal, CM_DENIED, CM_ORIGIN_PKCS11, (int64_t)code,
                "token %s refused the PIN (%s); it is not tried again, so that it is not locked: "
                "put the PIN right, then start again",
                label, name);
    else
        CM_FAIL(refusal, CM_DENIED, CM_ORIGIN_PKCS11, (int64_t)code,
                "token %s: login answers %s; that may have counted as a wrong PIN, so it is not "
                "tried again: find out why, then start again",
                label, name);
    atomic_store_explicit(&access->denied, true, memory_order_release);
    if (err)
        *err = *refusal;
    return CM_DENIED;
}

/* The token tells beforehand when a try could cost it. */
static cm_status check_flags(const struct cm_p11_token *token, const CK_TOKEN_INFO *info,
                             struct cm_error *err)
{
    const char *complaint = NULL;
    if (info->flags & CKF_USER_PIN_LOCKED)
        complaint = "has locked the user PIN; its security officer can set a new one";
    else if (info->flags & CKF_USER_PIN_FINAL_TRY)
        complaint = "would lock the user PIN at the next wrong one; it is not tried: log in once "
                    "by hand with the right PIN, then start again";
    else if ((info->flags & CKF_USER_PIN_INITIALIZED) == 0)
        complaint = "has no user PIN yet; its security officer can set one";
    if (complaint)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "token %s %s", token->label, complaint);
    return CM_OK;
}

static cm_status judge_login_locked(struct cm_p11_token *token, CK_RV code, struct cm_error *err)
{
    char name[32];
    if (code == CKR_OK || code == CKR_USER_ALREADY_LOGGED_IN)
        return CM_OK;
    if (!is_transient(code))
        return deny_instance_locked(token, code, err);
    if (cm_p11_meaning(code) == CM_P11_BROKEN)
        atomic_store(&token->restart_wanted, true);
    return CM_FAIL(err, cm_p11_meaning(code) == CM_P11_REMOVED ? CM_TOKEN_REMOVED : CM_UNAVAILABLE,
                   CM_ORIGIN_PKCS11, (int64_t)code, "token %s: login answers %s", token->label,
                   cm_p11_code_name(code, name));
}

/*
 * One at a time in the whole instance, from the question whether a login was refused to its answer:
 * two workers that both try a wrong PIN cost the token two tries. pin: NULL where the token asks.
 */
static cm_status log_in_once(struct cm_p11_token *token, CK_SESSION_HANDLE session,
                             const struct cm_secret *pin, struct cm_error *err)
{
    struct cm_p11_access *access = token->access;
    cm_status status = CM_DENIED;
    pthread_mutex_lock(&access->mutex); /* { */
    if (atomic_load(&access->denied)) {
        if (err)
            *err = access->refusal;
    } else {
        CK_RV code = token->module->f->C_Login(
            session, CKU_USER, pin ? (CK_UTF8CHAR_PTR)pin->text : NULL, pin ? pin->size : 0);
        status = judge_login_locked(token, code, err);
    }
    pthread_mutex_unlock(&access->mutex); /* } */
    return status;
}

static cm_status log_in_with_pin(struct cm_p11_token *token, CK_SESSION_HANDLE session,
                                 struct cm_error *err)
{
    const char *source = token->wanted.pin_source; /* an absolute path */
    struct cm_secret pin;
    struct cm_error cause;
    cm_status status = source[0] ? cm_secret_read(source, NULL, &pin, &cause)
                                 : cm_passphrase_read(&token->access->passphrase, &pin, &cause);
    if (status != CM_OK)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "PIN of token %s: %s", token->label,
                       cause.text);
    status = log_in_once(token, session, &pin, err);
    cm_secret_done(&pin);
    return status;
}

cm_status cm_p11_login(struct cm_p11_token *token, CK_SESSION_HANDLE session,
                       const CK_TOKEN_INFO *info, struct cm_error *err)
{
    if ((info->flags & CKF_LOGIN_REQUIRED) == 0)
        return CM_OK;
    cm_status status = check_flags(token, info, err);
    if (status != CM_OK)
        return status;
    if (token->wanted.pin_source[0] || token->access->passphrase.reference)
        return log_in_with_pin(token, session, err);
    if (info->flags & CKF_PROTECTED_AUTHENTICATION_PATH) /* a PIN pad: the token asks by itself */
        return log_in_once(token, session, NULL, err);
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                   "token %s needs a PIN and settings name no passphrase (passphrase: file:PATH)",
                   token->label);
}
