/*
 * Floor: what a key will not sign, whoever asks.
 *
 * The engine has linted what it sends. The signer looks once more, with other code and without
 * trust: whoever makes the engine ask for the wrong thing gets no CA certificate out of the leaf
 * lane, nor one of another issuer, nor one for ever, nor bytes that no intent stands for. What cannot
 * be read is refused. Pure functions; any thread. Its limits are in docs/adr/0007.
 *
 * Every lane: the key is for it; an intent's hash, where one came along, is that of the message.
 *
 *   leaf      an intent's hash; a TBSCertificate (below) without cA, keyCertSign, cRLSign or a
 *             Netscape certificate type, and without OCSPSigning among its purposes
 *   ceremony  an intent's hash; a TBSCertificate
 *   ocsp      a ResponseData (below); or, where the key gives responders certificates at all, an
 *             intent's hash and a TBSCertificate as in leaf, but with OCSPSigning as its only purpose,
 *             and with a validity of its own bound that always ends
 *   crl       a TBSCertList, version 2, of the key's own name; thisUpdate is no later than tomorrow,
 *             nextUpdate after it, and not too long; its extensions are some
 *   audit     a checkpoint of the audit log: its context, and the size of one
 *
 * A TBSCertificate is strict DER, version 3; the serial has 1 to 20 octets and is greater than zero;
 * the issuer is the key's own name, octet for octet; the validity is no longer than allowed and begins
 * neither too long ago nor later than tomorrow; no extension stands twice.
 *
 * A ResponseData names its responder by the hash of the very key that is to sign it. Each of its
 * responses is read to its end, extensions too; producedAt and thisUpdate are not in the future (clocks differ by five
 * minutes at most), nextUpdate is there, and not too late.
 */
#ifndef CM_PROVIDERS_HOST_FLOOR_H
#define CM_PROVIDERS_HOST_FLOOR_H

#include "engine/base/hash.h"
#include "providers/host.h"

#define CM_FLOOR_TEXT_SIZE 160

/* One message, and what is said of it. */
struct cm_floor_question {
    enum cm_lane lane;
    struct cm_bytes message;
    const uint8_t *intent_hash; /* SHA-256; may be NULL */
    const uint8_t *key_hash;    /* of the key that is asked: cm_floor_hash_key */
    int64_t now_s;              /* Unix */
};

/* What a responder is named by: SHA-1 of the public key's bits. False: the SPKI is none. */
CM_MUST_USE bool cm_floor_hash_key(struct cm_bytes spki, uint8_t ret_hash[CM_SHA1_SIZE]);

/* False: it is not signed; text (CM_FLOOR_TEXT_SIZE) says why, in the engine's words, not the
 * message's. */
CM_MUST_USE bool cm_floor_allows(const struct cm_floor *floor,
                                 const struct cm_floor_question *question, char *text);

/* The ceiling of the rate: a bucket that fills by itself. */
struct cm_floor_bucket {
    uint64_t filled_ns; /* when it was looked at last; 0: never, it is full */
    double tokens;
};

/* Takes one; false: too fast. */
CM_MUST_USE bool cm_floor_take(const struct cm_floor *floor, struct cm_floor_bucket *bucket,
                               uint64_t now_ns);

#endif
