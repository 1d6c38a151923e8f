/*
 * DESIGN. Locks are taken in this order: the token's mutex, a session's mutex, then the module is
 * entered; for a login the instance's (struct cm_p11_access) last. A worker gives its session back
 * before it connects, because whoever connects takes every session in turn to close it; that waits
 * for calls in progress, whose sessions would otherwise be pulled away under them.
 */
#include "providers/pkcs11/token.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"

/* Failures of single calls in a row before the login is doubted too. */
enum { STRIKES_MAX = 5 };

/* Between two tries to connect; also what bounds logins. */
static uint64_t try_again_ns = CM_NS_PER_S;

void cm_p11_token_set_pace(uint32_t pace_ms)
{
    try_again_ns = pace_ms * CM_NS_PER_MS;
}

/* ------------------------------------------------------------------ life -- */

cm_status cm_p11_token_new(struct cm_p11_access *access, struct cm_p11_module *module,
                           const struct cm_p11_uri *wanted, struct cm_p11_token **ret_token,
                           struct cm_error *err)
{
    uint32_t count = access->workers_count;
    struct cm_p11_token *token = calloc(1, sizeof *token + count * sizeof token->sessions[0]);
    if (!token)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a token");
    token->access = access;
    token->module = module;
    token->wanted = *wanted;
    atomic_store(&token->sessions_count, count);
    pthread_mutex_init(&token->mutex, NULL);
    for (uint32_t i = 0; i < count; i++)
        pthread_mutex_init(&token->sessions[i].mutex, NULL);
    *ret_token = token;
    return CM_OK;
}

/* Only our own: the slot may serve another instance too. */
static void close_session_locked(struct cm_p11_token *token, struct cm_p11_session *session)
{
    if (!session->is_open)
        return;
    session->is_open = session->is_ill = false;
    cm_p11_enter(token->module);
    /* A number of an older generation may be somebody else's session by now. */
    if (session->generation == atomic_load(&token->module->generation))
        (void)token->module->f->C_CloseSession(session->handle);
    cm_p11_leave(token->module);
}

static void close_sessions(struct cm_p11_token *token)
{
    for (uint32_t i = 0; i < token->access->workers_count; i++) {
        pthread_mutex_lock(&token->sessions[i].mutex); /* { */
        close_session_locked(token, &token->sessions[i]);
        pthread_mutex_unlock(&token->sessions[i].mutex); /* } */
    }
}

static void set_ready(struct cm_p11_token *token, bool ready)
{
    if (atomic_exchange(&token->ready, ready) == ready)
        return;
    if (ready)
        atomic_fetch_add(&token->module->tokens_ready, 1);
    else
        atomic_fetch_sub(&token->module->tokens_ready, 1);
}

void cm_p11_token_free(struct cm_p11_token *token)
{
    if (!token)
        return;
    close_sessions(token);
    for (uint32_t i = 0; i < token->access->workers_count; i++)
        pthread_mutex_destroy(&token->sessions[i].mutex);
    pthread_mutex_destroy(&token->mutex);
    set_ready(token, false);
    cm_p11_module_unref(token->module);
    free(token);
}

bool cm_p11_token_is(const struct cm_p11_token *token, const struct cm_p11_uri *uri)
{
    const struct cm_p11_uri *own = &token->wanted;
    return strcmp(own->token, uri->token) == 0 && strcmp(own->manufacturer, uri->manufacturer) == 0
           && strcmp(own->model, uri->model) == 0 && strcmp(own->serial, uri->serial) == 0
           && own->has_slot_id == uri->has_slot_id && own->slot_id == uri->slot_id
           && strcmp(own->pin_source, uri->pin_source) == 0;
}

/* The slot, too: where several tokens bear the same numbers, slot-id tells them apart. */
bool cm_p11_token_same(const struct cm_p11_token *token, const struct cm_p11_token *other)
{
    return token->module == other->module && token->known && other->known
           && strcmp(token->label, other->label) == 0 && strcmp(token->serial, other->serial) == 0
           && atomic_load(&token->slot) == atomic_load(&other->slot)
           && strcmp(token->wanted.pin_source, other->wanted.pin_source) == 0;
}

bool cm_p11_token_may_restart(const struct cm_p11_token *token)
{
    unsigned own = atomic_load(&token->ready) ? 1 : 0;
    return atomic_load(&token->module->tokens_ready) <= own;
}

/* ------------------------------------------------------------------ sessions -- */

/* Fewer sessions from now on: the token has no more for us. */
static void lower_sessions(struct cm_p11_token *token, uint32_t count)
{
    if (count > 0 && count < atomic_load(&token->sessions_count))
        atomic_store(&token->sessions_count, count);
}

static cm_status fail_session(struct cm_p11_token *token, CK_RV code, struct cm_error *err)
{
    char name[32];
    if (code == CKR_SESSION_COUNT)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_PKCS11, (int64_t)code,
                       "token %s has no session left: others use all that it allows", token->label);
    return CM_FAIL(err, cm_p11_status(code), CM_ORIGIN_PKCS11, (int64_t)code,
                   "token %s opens no session: %s", token->label, cm_p11_code_name(code, name));
}

/* Inside, the session's mutex held. */
static CK_RV open_session_locked(struct cm_p11_token *token, struct cm_p11_session *session,
                                 uint32_t epoch)
{
    CK_RV code = token->module->f->C_OpenSession(atomic_load(&token->slot), CKF_SERIAL_SESSION,
                                                 NULL, NULL, &session->handle);
    session->is_open = code == CKR_OK;
    session->epoch = epoch;
    session->generation = atomic_load(&token->module->generation);
    return code;
}

/*
 * For a session with an operation that may still be active. The new one is opened first: when the
 * last session closes, the token logs out (PKCS#11 v3.1 5.6.2).
 */
static CK_RV replace_session_locked(struct cm_p11_token *token, struct cm_p11_session *session,
                                    uint32_t epoch)
{
    CK_SESSION_HANDLE old = session->handle;
    CK_RV code = open_session_locked(token, session, epoch);
    if (code != CKR_OK && code != CKR_SESSION_COUNT) {
        session->handle = old;
        session->is_open = true; /* and ill: the next use tries again */
        return code;
    }
    (void)token->module->f->C_CloseSession(old);
    if (code == CKR_SESSION_COUNT)
        code = open_session_locked(token, session, epoch);
    session->is_ill = false;
    return code;
}

/* ------------------------------------------------------------------ connecting -- */

/* What the token allows, others' sessions aside; all that is not a number means no limit. */
static void heed_session_limit(struct cm_p11_token *token, const CK_TOKEN_INFO *info)
{
    if (info->ulMaxSessionCount != CK_EFFECTIVELY_INFINITE
        && info->ulMaxSessionCount != CK_UNAVAILABLE_INFORMATION
        && info->ulMaxSessionCount < token->access->workers_count)
        lower_sessions(token, (uint32_t)info->ulMaxSessionCount);
}

static void learn_token(struct cm_p11_token *token, CK_SLOT_ID slot, const CK_TOKEN_INFO *info)
{
    atomic_store(&token->slot, slot);
    if (token->known)
        return;
    cm_p11_unpad(info->label, sizeof info->label, token->label);
    cm_p11_unpad(info->serialNumber, sizeof info->serialNumber, token->serial);
    token->known = true;
    heed_session_limit(token, info);
}

static cm_status log_in_locked(struct cm_p11_token *token, const CK_TOKEN_INFO *info,
                               struct cm_error *err)
{
    struct cm_p11_session *first = &token->sessions[0];
    uint32_t epoch = atomic_load(&token->epoch) + 1;
    pthread_mutex_lock(&first->mutex); /* { */
    cm_p11_enter(token->module);
    CK_RV code = open_session_locked(token, first, epoch);
    cm_status status = code == CKR_OK ? cm_p11_login(token, first->handle, info, err)
                                      : fail_session(token, code, err);
    if (cm_p11_meaning(code) == CM_P11_BROKEN)
        atomic_store(&token->restart_wanted, true);
    cm_p11_leave(token->module);
    if (status == CM_OK)
        atomic_store(&token->epoch, epoch);
    else
        close_session_locked(token, first);
    pthread_mutex_unlock(&first->mutex); /* } */
    return status;
}

/*
 * A module that said so itself, and one whose token does not come back. The latter not while another
 * token of it is well.
 */
static cm_status restart_where_needed(struct cm_p11_token *token, struct cm_error *err)
{
    bool stays_away = token->tries_failed % 2 == 1 && token->failure.status != CM_DENIED
                      && cm_p11_token_may_restart(token);
    if (!atomic_exchange(&token->restart_wanted, false) && !(token->known && stays_away))
        return CM_OK;
    cm_status status = cm_p11_module_restart(token->module, err);
    if (status == CM_UNAVAILABLE)
        atomic_store(&token->restart_wanted, true);
    return status == CM_BUSY ? CM_OK : status;
}

static cm_status find_locked(struct cm_p11_token *token, CK_TOKEN_INFO *ret_info,
                             struct cm_error *err)
{
    CK_SLOT_ID slot;
    cm_status status = restart_where_needed(token, err);
    if (status != CM_OK)
        return status;
    cm_p11_enter(token->module);
    status = cm_p11_slot_find(token, &slot, ret_info, err);
    cm_p11_leave(token->module);
    if (status == CM_OK)
        learn_token(token, slot, ret_info);
    return status;
}

cm_status cm_p11_token_learn(struct cm_p11_token *token, struct cm_error *err)
{
    CK_TOKEN_INFO info;
    pthread_mutex_lock(&token->mutex); /* { */
    cm_status status = token->known ? CM_OK : find_locked(token, &info, err);
    pthread_mutex_unlock(&token->mutex); /* } */
    return status;
}

static cm_status connect_locked(struct cm_p11_token *token, struct cm_error *err)
{
    CK_TOKEN_INFO info;
    close_sessions(token);
    cm_status status = find_locked(token, &info, err);
    return status == CM_OK ? log_in_locked(token, &info, err) : status;
}

/* The first try is free; a token that was well for a second may be tried at once too. */
static cm_status connect(struct cm_p11_token *token, struct cm_error *err)
{
    cm_status status = CM_OK;
    pthread_mutex_lock(&token->mutex); /* { */
    if (!atomic_load(&token->ready)) {
        if (cm_clock_monotonic_ns() >= token->next_try_ns) {
            status = connect_locked(token, &token->failure);
            token->next_try_ns = cm_clock_monotonic_ns() + try_again_ns;
            token->tries_failed = status == CM_OK ? 0 : token->tries_failed + 1;
            atomic_store(&token->strikes, 0);
            set_ready(token, status == CM_OK);
        } else {
            status = token->tries_failed > 0
                         ? token->failure.status
                         : CM_FAIL(&token->failure, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0,
                                   "token %s failed right after a login; it is tried again after "
                                   "a second",
                                   token->label);
        }
        if (status != CM_OK && err)
            *err = token->failure;
    }
    pthread_mutex_unlock(&token->mutex); /* } */
    return status;
}

/* ------------------------------------------------------------------ using -- */

static cm_status check_denied(struct cm_p11_access *access, struct cm_error *err)
{
    if (!atomic_load_explicit(&access->denied, memory_order_acquire))
        return CM_OK;
    pthread_mutex_lock(&access->mutex); /* { */
    if (err)
        *err = access->refusal;
    pthread_mutex_unlock(&access->mutex); /* } */
    return CM_DENIED;
}

/*
 * Takes the worker's session and opens it where needed. On OK its mutex is held and we are inside.
 * The epoch may have ended while we waited for the session: what is opened then is not logged in, and
 * to a search in it private keys are not there. Whoever connects waits for us, not we for him.
 */
static CK_RV take_session(struct cm_p11_token *token, uint32_t worker_index, struct cm_p11_use *use)
{
    uint32_t index = worker_index % atomic_load(&token->sessions_count);
    struct cm_p11_session *session = &token->sessions[index];
    CK_RV code = CKR_OK;
    pthread_mutex_lock(&session->mutex); /* { */
    if (!atomic_load(&token->ready)) {
        pthread_mutex_unlock(&session->mutex); /* } */
        return CKR_SESSION_HANDLE_INVALID;
    }
    uint32_t epoch = atomic_load(&token->epoch);
    if (session->is_open && session->epoch != epoch)
        close_session_locked(token, session);
    cm_p11_enter(token->module);
    if (!session->is_open)
        code = open_session_locked(token, session, epoch);
    else if (session->generation != atomic_load(&token->module->generation))
        code = CKR_SESSION_HANDLE_INVALID;
    else if (session->is_ill)
        code = replace_session_locked(token, session, epoch);
    *use = (struct cm_p11_use){ .token = token,
                                .module = token->module,
                                .of = session,
                                .session = session->handle,
                                .slot = atomic_load(&token->slot),
                                .epoch = epoch };
    if (code == CKR_OK)
        return CKR_OK;
    if (code == CKR_SESSION_COUNT)
        lower_sessions(token, index);
    cm_p11_leave(token->module);
    pthread_mutex_unlock(&session->mutex); /* } */
    return code;
}

static bool too_many_strikes(struct cm_p11_token *token, enum cm_p11_meaning meaning)
{
    if (meaning == CM_P11_STRIKE)
        return atomic_fetch_add(&token->strikes, 1) + 1 >= STRIKES_MAX;
    if (atomic_load_explicit(&token->strikes, memory_order_relaxed) != 0)
        atomic_store(&token->strikes, 0);
    return false;
}

/* A single failure is the call's; what tells of a loss, and many in a row, are the token's. */
static void judge(struct cm_p11_token *token, uint32_t epoch, CK_RV code)
{
    enum cm_p11_meaning meaning = cm_p11_meaning(code);
    bool lost = meaning == CM_P11_LOST || meaning == CM_P11_REMOVED || meaning == CM_P11_BROKEN;
    if (too_many_strikes(token, meaning) || lost)
        cm_p11_token_doubt(token, epoch, meaning == CM_P11_BROKEN);
}

cm_status cm_p11_token_use(struct cm_p11_token *token, uint32_t worker_index,
                           struct cm_p11_use *ret_use, struct cm_error *err)
{
    cm_status status = check_denied(token->access, err);
    CK_RV code = CKR_OK;
    /* Again where the session turned out to be void, or where there are fewer than thought. */
    for (unsigned i = 0; status == CM_OK && i < 3; i++) {
        if (!atomic_load(&token->ready))
            status = connect(token, err);
        if (status != CM_OK)
            return status;
        uint32_t epoch = atomic_load(&token->epoch);
        code = take_session(token, worker_index, ret_use);
        if (code == CKR_OK)
            return CM_OK;
        if (code != CKR_SESSION_COUNT)
            judge(token, epoch, code);
    }
    return status != CM_OK ? status : fail_session(token, code, err);
}

void cm_p11_token_trim(struct cm_p11_token *token, uint32_t count)
{
    lower_sessions(token, count);
    for (uint32_t i = count; i < token->access->workers_count; i++) {
        pthread_mutex_lock(&token->sessions[i].mutex); /* { */
        close_session_locked(token, &token->sessions[i]);
        pthread_mutex_unlock(&token->sessions[i].mutex); /* } */
    }
}

void cm_p11_token_doubt(struct cm_p11_token *token, uint32_t epoch, bool restart)
{
    if (atomic_load(&token->epoch) != epoch)
        return; /* somebody has connected anew since */
    if (restart)
        atomic_store(&token->restart_wanted, true);
    set_ready(token, false);
}

void cm_p11_token_give(struct cm_p11_use *use, CK_RV code)
{
    enum cm_p11_meaning meaning = cm_p11_meaning(code);
    struct cm_p11_token *token = use->token;
    cm_p11_leave(token->module);
    if (meaning == CM_P11_STRIKE)
        use->of->is_ill = true;
    pthread_mutex_unlock(&use->of->mutex); /* } of take_session */
    judge(token, use->epoch, code);
}
