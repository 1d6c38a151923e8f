/*
 * Request: one entry of the queue on its way to an answer.
 *
 * Life: made by intake when an entry arrives, carried by exactly one batch through the stations,
 * finished by reply. Each station reads what those before it wrote and writes its own part; the
 * parts stand here in the order of the stations. A refusal may be set by any station up to compose;
 * from then on the others pass the request by.
 *
 * Everything a request points at lives in its entry, in its batch's arena, or in the settings.
 * Thread: whoever holds the batch.
 */
#ifndef CM_ENGINE_REQUEST_H
#define CM_ENGINE_REQUEST_H

#include "engine/settings/settings.h"
#include "engine/store/store.h"
#include "engine/x509/csr.h"
#include "engine/x509/template.h"
#include "providers/provider.h"
#include "queue/queue.h"

struct cm_issuer_key;
struct cm_lot;
struct cm_promise;
struct cm_waiting;

/* How far it has come. Anything before ISSUED that is not refused is still on its way. */
enum cm_request_outcome {
    CM_OUTCOME_OPEN,       /* on its way */
    CM_OUTCOME_REFUSED,    /* refusal says why */
    CM_OUTCOME_REPEATED,   /* answered before: recall says what */
    CM_OUTCOME_ISSUED,     /* certificate and serial are there */
    CM_OUTCOME_ORDERED,    /* its order is admitted, and carried out as it is recorded */
    CM_OUTCOME_FAILED,     /* our side's fault; refusal says what; the serial is abandoned */
    CM_OUTCOME_GIVEN_BACK, /* not answered: the entry comes again from the queue */
    CM_OUTCOME_SET_ASIDE,  /* not answered: waits in the engine for a key; promises stand */
    CM_OUTCOME_MOVED /* not answered: comes again at once for another key; the serial is abandoned */
};

struct cm_request {
    struct cm_entry *entry; /* the queue's, ours until answered */
    enum cm_request_outcome outcome;
    struct cm_refusal refusal;

    /* intake */
    bool has_key;               /* id and requester are readable: the request can be remembered */
    struct cm_request_key key;  /* (requester, id) */
    struct cm_waiting *waiting; /* entries of the same key that arrived meanwhile: they go after */
    struct cm_promise
        *promise; /* an open intent of an earlier batch, or of an engine before this one,
                                   names this key; held until the request is released */
    const struct cm_issuer_key *kept_issuer; /* of the promise, where that key should keep it */
    const struct cm_settings_requester *requester;

    /* decode */
    enum cm_operation operation;
    struct cm_request_digest digest;
    struct cm_bytes device_id;
    struct cm_order *order; /* in the arena; NULL: it asks for a certificate */
    struct cm_bytes renews; /* serial, the content of its INTEGER; empty: none is named */
    struct cm_csr csr;

    /* admit */
    struct cm_recall recall;
    struct cm_device device;
    bool enrolls; /* unknown, and registered in entry->group with its first certificate */
    const struct cm_settings_group *group;
    const struct cm_profile *profile;
    const struct cm_issuer_key *issuer;
    bool has_quota; /* one certificate is reserved with requester and group */

    /* prove */
    uint64_t key_fingerprint;
    bool has_claim; /* the key is claimed for this device among those in flight */

    /* compose */
    struct cm_serial serial;
    struct cm_tbs tbs;
    uint8_t tbs_hash[CM_HASH_SIZE];
    bool keeps_promise;  /* serial and bytes are those of the promise */
    bool breaks_promise; /* the promise's serial is abandoned, a new one was drawn */

    /* dispatch */
    struct cm_lot *lot;
    struct cm_sign_item *sign_item;

    /* seal */
    struct cm_bytes certificate;     /* DER */
    uint8_t leaf_hash[CM_HASH_SIZE]; /* of it, in the tree of its audit row */

    /* record */
    bool is_denied; /* its device lost its right meanwhile: refused, the serial is abandoned */
};

/* It stays in the engine, without an answer. */
static inline bool cm_request_stays(const struct cm_request *request)
{
    return request->outcome == CM_OUTCOME_SET_ASIDE || request->outcome == CM_OUTCOME_MOVED;
}

static inline bool cm_request_is_open(const struct cm_request *request)
{
    return request->outcome == CM_OUTCOME_OPEN;
}

/* Refuses with the list's own sentence, or with the refusal already filled in request->refusal. */
static inline void cm_request_refuse(struct cm_request *request)
{
    request->outcome = CM_OUTCOME_REFUSED;
}

#endif
