#include "providers/pkcs11/token.h"

#include <string.h>

#include "engine/base/secret.h"

/* From now on nobody of the instance logs in: another wrong PIN could lock the token. */
static cm_status deny_instance(struct cm_p11_token *token, CK_RV code, struct cm_error *err)
{
    struct cm_p11_access *access = token->access;
    struct cm_error refusal;
    char name[32];
    CM_FAIL(&refusal, CM_DENIED, CM_ORIGIN_PKCS11, (int64_t)code,
            "token %s refused the PIN (%s); it is not tried again, so that it is not locked: put "
            "the PIN right, then start again",
            token->label, cm_p11_code_name(code, name));
    pthread_mutex_lock(&access->mutex); /* { */
    if (!atomic_load(&access->denied))
        access->refusal = refusal;
    atomic_store(&access->denied, true);
    pthread_mutex_unlock(&access->mutex); /* } */
    if (err)
        *err = refusal;
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

static cm_status judge_login(struct cm_p11_token *token, CK_RV code, struct cm_error *err)
{
    char name[32];
    switch (code) {
    case CKR_OK:
    case CKR_USER_ALREADY_LOGGED_IN:
        return CM_OK;
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
    case CKR_PIN_EXPIRED:
    case CKR_PIN_LOCKED:
        return deny_instance(token, code, err);
    case CKR_USER_PIN_NOT_INITIALIZED:
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_PKCS11, (int64_t)code,
                       "token %s has no user PIN yet; its security officer can set one",
                       token->label);
    default:
        if (cm_p11_meaning(code) == CM_P11_BROKEN)
            atomic_store(&token->restart_wanted, true);
        return CM_FAIL(err,
                       cm_p11_meaning(code) == CM_P11_REMOVED ? CM_TOKEN_REMOVED : CM_UNAVAILABLE,
                       CM_ORIGIN_PKCS11, (int64_t)code, "token %s: login answers %s", token->label,
                       cm_p11_code_name(code, name));
    }
}

static cm_status login_with_pin(struct cm_p11_token *token, CK_SESSION_HANDLE session,
                                const char *reference, struct cm_error *err)
{
    struct cm_secret pin;
    struct cm_error cause;
    cm_status status = cm_secret_read(reference, token->access->folder, &pin, &cause);
    if (status != CM_OK)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "PIN of token %s: %s", token->label,
                       cause.text);
    CK_RV code = token->module->f->C_Login(session, CKU_USER, (CK_UTF8CHAR_PTR)pin.text, pin.size);
    cm_secret_done(&pin);
    return judge_login(token, code, err);
}

cm_status cm_p11_login(struct cm_p11_token *token, CK_SESSION_HANDLE session,
                       const CK_TOKEN_INFO *info, struct cm_error *err)
{
    const char *reference =
        token->wanted.pin_source[0] ? token->wanted.pin_source : token->access->passphrase_ref;
    if ((info->flags & CKF_LOGIN_REQUIRED) == 0)
        return CM_OK;
    cm_status status = check_flags(token, info, err);
    if (status != CM_OK)
        return status;
    if (reference)
        return login_with_pin(token, session, reference, err);
    if (info->flags & CKF_PROTECTED_AUTHENTICATION_PATH) /* a PIN pad: the token asks by itself */
        return judge_login(token, token->module->f->C_Login(session, CKU_USER, NULL, 0), err);
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                   "token %s needs a PIN and settings name no passphrase (passphrase: file:PATH)",
                   token->label);
}
