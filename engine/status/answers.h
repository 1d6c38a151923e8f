/*
 * Answers: OCSP answers that are kept because they may be given again.
 *
 * An answer never changes and has many holders. Two tables find it: the answers of the service, by
 * certificate, so that what becomes outdated can be found; and a thread's recent ones, by the octets
 * that were asked, so that a request that came before costs one look. Whoever finds an answer checks
 * whether it is outdated; nothing has to be taken out of the recent ones.
 *
 *     answer = cm_recent_find(recent, octets)             its thread only; borrowed
 *     answer = cm_answers_find(answers, generation, id)   any thread; the caller is a holder
 *     cm_answers_put(answers, answer, id)                 any thread
 *     cm_answers_forget(answers, generation, serial)      any thread
 *
 * Bounds: both have room for a number of answers; a new one takes the place of one that was not asked
 * for lately.
 */
#ifndef CM_STATUS_ANSWERS_H
#define CM_STATUS_ANSWERS_H

#include "engine/base/bytes.h"
#include "engine/revocation/shelf.h"
#include "engine/x509/ocsp_request.h"

struct cm_ocsp_answer {
    _Atomic uint32_t holders_count;
    _Atomic bool is_outdated;
    _Atomic bool is_renewing; /* somebody makes the next one */
    int64_t generation_number;
    int64_t this_update_s, next_update_s;
    char etag[CM_ETAG_SIZE];
    char modified[32], expires[32]; /* HTTP dates */
    size_t size;
    uint8_t der[]; /* OCSPResponse */
};

/* Copies the response. One holder: the caller. Ends the process without memory. */
struct cm_ocsp_answer *cm_ocsp_answer_new(struct cm_bytes der, int64_t generation_number,
                                          int64_t this_update_s, int64_t next_update_s);
void cm_ocsp_answer_hold(struct cm_ocsp_answer *answer);
void cm_ocsp_answer_let_go(struct cm_ocsp_answer *answer); /* takes NULL */

/* It is still true, and its time is not over. now_s negative: the clock is not to be trusted; what is true
 * is given then, and whoever asked sees by a clock of their own until when it counts. */
bool cm_ocsp_answer_is_valid(const struct cm_ocsp_answer *answer, int64_t now_s);

/* Half of its time is over: the next one should be made. */
bool cm_ocsp_answer_is_old(const struct cm_ocsp_answer *answer, int64_t now_s);

/* ------------------------------------------------------------------ of the service -- */

struct cm_answers;

struct cm_answers *cm_answers_new(uint32_t answers_max);
void cm_answers_free(struct cm_answers *answers); /* takes NULL */

/* NULL: there is none that is not outdated. */
struct cm_ocsp_answer *cm_answers_find(struct cm_answers *answers, int64_t generation_number,
                                       const struct cm_ocsp_cert_id *id);

/* What was there for this id is outdated. False: it has no room for such an id, and the answer must not
 * be remembered elsewhere. */
bool cm_answers_put(struct cm_answers *answers, const struct cm_ocsp_cert_id *id,
                    struct cm_ocsp_answer *answer);

/* Outdates every answer about the certificate; an empty serial: about all of the generation. */
void cm_answers_forget(struct cm_answers *answers, int64_t generation_number,
                       struct cm_bytes serial);
uint32_t cm_answers_count(struct cm_answers *answers); /* places that are taken */

/* -------------------------------------------------------------------- of a thread -- */

struct cm_recent;

#define CM_RECENT_SIZE_MAX 512 /* octets of a request that is remembered */

struct cm_recent *cm_recent_new(uint32_t answers_max);
void cm_recent_free(struct cm_recent *recent); /* takes NULL */

/* NULL: none that is not outdated. */
struct cm_ocsp_answer *cm_recent_find(struct cm_recent *recent, struct cm_bytes octets);

/* A holder of its own. Longer octets are not remembered. */
void cm_recent_put(struct cm_recent *recent, struct cm_bytes octets, struct cm_ocsp_answer *answer);

#endif
