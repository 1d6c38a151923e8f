/*
 * Revocation: what becomes of certificates: rows of it, orders to change it, the CRLs that show it, and what another
 * CA software has brought of it.
 *
 * Plain data, borrowed by whoever carries it out (engine/store/store.h).
 */
#ifndef CM_ENGINE_STORE_REVOCATION_H
#define CM_ENGINE_STORE_REVOCATION_H

#include "engine/base/refusal.h"
#include "engine/store/identity.h"
#include "engine/x509/reason.h"

struct cm_plan_use;

/*
 * What has become of one certificate: revoked, on hold, or off hold again. One row a certificate;
 * abandoned serials have one, too. Each change gives the row a new revision, higher than any before in
 * the store: who has seen all up to a revision asks for what is later.
 */
struct cm_revocation {
    int64_t revision;
    int64_t generation_number;
    struct cm_bytes serial; /* content of the INTEGER: 1 to 20 octets, positive, minimal */
    enum cm_reason
        reason;        /* CERTIFICATE_HOLD: on hold. REMOVE_FROM_CRL: off hold, it is good again */
    int64_t revoked_s; /* Unix seconds */
    int64_t invalidity_s; /* 0: not known */
    int64_t not_after_s;  /* of the certificate: when the entry may leave the CRLs */
};

/* The clocks of those who order, or who have revoked what is imported, may be ahead of ours by so much. */
enum { CM_STORE_AHEAD_S = 60 };

/* What an order does. X(SYMBOL, name): the name is the op of the queue and the kind of the audit row. */
#define CM_ORDER_MAP(X)                                                                            \
    X(REVOKE, "revoke")         /* certificates, for good */                                       \
    X(QUARANTINE, "quarantine") /* a device: its certificates on hold, and no new ones */          \
    X(REINSTATE, "reinstate")   /* what is on hold, a device or one certificate: undone */         \
    X(RETIRE, "retire")         /* a device, for good: cessationOfOperation, and no new ones */

enum cm_order_kind {
#define X(symbol, name) CM_ORDER_##symbol,
    CM_ORDER_MAP(X)
#undef X
        CM_ORDER_COUNT
};

const char *cm_order_name(enum cm_order_kind kind);

/*
 * An order to change what certificates are worth. Exactly one of serial, device and group is there;
 * QUARANTINE and RETIRE have no serial. Carried out inside the writer's transaction, whole or
 * (group) from one device on, up to a bound; an order that asks for what is already so changes nothing
 * and succeeds. A revoked certificate keeps its first date and reason, but may go from any reason to
 * keyCompromise; one on hold may be revoked, and keeps the date of the hold. Certificates that have ended
 * are left alone. What is not on hold is not reinstated, nor, by serial, what its device is in quarantine
 * with. No date of a certificate is before it: by serial that is refused, else it is moved. Of a
 * group, devices that the order is against (retired ones) are passed over.
 */
struct cm_order {
    enum cm_order_kind kind;
    struct cm_bytes serial; /* content of the INTEGER */
    struct cm_bytes device; /* id */
    struct cm_bytes group;  /* name: every device of it */
    struct cm_bytes issuer; /* with serial: "issuing-1"; empty: whichever has issued it */
    /* Groups that whoever orders has a right to, NUL-terminated names; NULL: every one. */
    const char *const *groups;
    uint32_t groups_count;
    /* Groups, NUL-terminated names, whose devices are reinstated without their certificates: what is on
     * hold is revoked (superseded), and the device is to ask for a fresh one. */
    const char *const *fresh_groups;
    uint32_t fresh_groups_count;
    enum cm_reason reason; /* REVOKE; never REMOVE_FROM_CRL; CERTIFICATE_HOLD is one */
    int64_t time_s;        /* revocationDate, Unix seconds; at most a minute ahead of our clock */
    int64_t invalidity_s;  /* 0: none */
    struct cm_bytes actor; /* for the audit row: who */
    struct cm_bytes why;   /* and why; one line, may be empty */
    /* Of the queue: the answer is remembered under this key. key NULL: nobody asks again. */
    const struct cm_request_key *key;
    const struct cm_request_digest *digest;
    int64_t after_device; /* with group: go on behind this device's number; 0: from the first */
    uint32_t devices_max; /* with group: of one operation; 0: a default */
    const struct cm_plan_use
        *plan; /* with group: that it carries out; NULL: none. It has run with the
                                       last of its devices, and until then may go on */
    /* written by the store */
    enum cm_refusal_code code; /* NONE: carried out; else nothing of this order was changed */
    char message[CM_REFUSAL_MESSAGE_SIZE];
    uint32_t certificates_changed;
    uint32_t devices_changed; /* of a device or a group: those of which anything was */
    int64_t last_device;      /* with group: go on behind it; 0: there are no more */
};

/* One number of a CRL, taken before it is signed. */
struct cm_crl_row {
    int64_t generation_number;
    uint32_t shard;
    bool is_delta;
    uint64_t number;      /* higher than any of this shard before, complete or delta, or, of a delta
                             that goes with a complete one, the same */
    uint64_t base_number; /* of a delta */
    int64_t this_update_s, next_update_s;
    int64_t revision;               /* it shows every revocation up to here */
    uint8_t tbs_hash[CM_HASH_SIZE]; /* SHA-256 of the TBSCertList */
};

/* A certificate that another CA software has issued with a key that is ours now. */
struct cm_imported_row {
    int64_t generation_number;
    struct cm_bytes serial; /* content of the INTEGER */
    int64_t not_after_s;    /* 0: not known */
    struct cm_bytes der;    /* empty: only the serial is known */
    /* What the old CA says of it; reason UNSPECIFIED with revoked_s 0: it is good. */
    enum cm_reason reason;
    int64_t revoked_s;    /* at most CM_STORE_AHEAD_S ahead of our clock */
    int64_t invalidity_s; /* 0: none; no date is after 9999-12-31T23:59:59Z */
};

#endif
