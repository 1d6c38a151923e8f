/*
 * Campaigns: devices that hold certificates of a generation, asked to come for new ones.
 *
 *     running <---> paused
 *        |  \          |
 *        v   +---------+--> cancelled
 *      done
 *
 * A campaign walks the certificates of its generation in the order of their numbers, up to the last
 * that could have been issued when it was started; its cursor is the last that it is done with. The
 * engine publishes a notice for each device that has not come by itself (engine/campaign/), then moves
 * the cursor: after a crash some notices come twice, and none is missing.
 */
#ifndef CM_ENGINE_STORE_CAMPAIGN_H
#define CM_ENGINE_STORE_CAMPAIGN_H

#include "engine/store/store.h"

/* X(SYMBOL, name) */
#define CM_CAMPAIGN_STATE_MAP(X)                                                                   \
    X(RUNNING, "running")                                                                          \
    X(PAUSED, "paused")                                                                            \
    X(DONE, "done") /* every device has its notice */                                              \
    X(CANCELLED, "cancelled")

enum cm_campaign_state {
#define X(symbol, name) CM_CAMPAIGN_##symbol,
    CM_CAMPAIGN_STATE_MAP(X)
#undef X
        CM_CAMPAIGN_STATE_COUNT
};

const char *cm_campaign_state_name(enum cm_campaign_state state);
bool cm_campaign_state_find(const char *name, enum cm_campaign_state *ret_state);

/* Whether there is an arrow in the picture above. */
bool cm_campaign_may_become(enum cm_campaign_state from, enum cm_campaign_state to);

#define CM_CAMPAIGN_NAME_MAX   64    /* octets */
#define CM_CAMPAIGN_GROUPS_MAX 65536 /* octets of all names */

struct cm_campaign {
    int64_t number;                  /* row */
    struct cm_bytes name;            /* never used twice */
    struct cm_bytes actor;           /* who has started it */
    int64_t generation_number;       /* START: 0: the one of this name */
    struct cm_bytes generation_name; /* "issuing-1" */
    struct cm_bytes groups;          /* names, a NUL behind each; empty: every group */
    int64_t window_s;                /* notices ask to come within so long of created_ms */
    uint32_t rate_per_s;             /* notices, at most */
    int64_t expected; /* devices that there were to notice, as whoever started it has counted */
    enum cm_campaign_state state;
    int64_t created_ms;
    int64_t ended_ms;            /* DONE, CANCELLED; else 0 */
    cm_certificate_number until; /* the last certificate that it is about */
    /* moved by CM_CAMPAIGN_MOVE */
    cm_certificate_number cursor; /* everything up to here is done with */
    int64_t noticed, renewed;     /* devices: noticed; had come before their turn */
};

/*
 * A change. Where the campaign is what it is to become already, nothing is changed, and it succeeds.
 *
 * START  makes it: name, actor, the generation, groups, window_s, rate_per_s and expected are read,
 *        the others are written by the store. EXISTS: the name was used. NOT_FOUND: no such generation.
 * BECOME to another state. NOT_FOUND; INVALID: no such arrow; then *campaign is what it is.
 * MOVE   number, cursor, noticed, renewed: what the last two have grown by. Forwards only: INVALID
 *        backwards. In any state, and without an audit event.
 */
enum cm_campaign_change_kind { CM_CAMPAIGN_START, CM_CAMPAIGN_BECOME, CM_CAMPAIGN_MOVE };

struct cm_campaign_change {
    enum cm_campaign_change_kind kind;
    struct cm_campaign
        *campaign;             /* BECOME: name is read; number, state and times are written back */
    enum cm_campaign_state to; /* BECOME */
    bool changed;              /* written by the store */
};

/* -------------------------------------------------------------------- readers -- */

/* In the order of their starts. Spans are valid during the call only. */
typedef bool cm_campaign_walk_fn(const struct cm_campaign *campaign, void *arg);
CM_MUST_USE cm_status cm_store_walk_campaigns(struct cm_store_reader *reader,
                                              cm_campaign_walk_fn *walk, void *arg,
                                              struct cm_error *err);

/* A device and the certificate of a generation that it may renew: its last one that has neither ended nor
 * been revoked (or put on hold), but for the reasons that speak against the key of its authority alone or ask
 * for a fresh one: cACompromise and superseded. */
struct cm_holder {
    cm_certificate_number number;
    struct cm_serial serial;
    int64_t not_after_s;
    bool is_revoked;         /* for one of these reasons */
    struct cm_device device; /* without attributes */
    /* A later certificate, good too, that an active key of the same authority has issued: another
     * generation's, or one behind `until`. 0: it has not come yet. */
    cm_certificate_number renewed;
};

/* A stretch of the certificates, in the order of their numbers. */
struct cm_holder_stretch {
    int64_t generation_number;
    cm_certificate_number after;
    cm_certificate_number until;   /* the last one that it is about; those behind it are renewals */
    cm_certificate_number settled; /* those behind it may be on their way: not yet; 0: no bound */
    int64_t now_s;
    uint32_t rows_max;    /* certificates looked at, of whichever generation; 0: a default */
    uint32_t holders_max; /* 0: a default */
    /* written by the store */
    cm_certificate_number last; /* looked at up to here; the next stretch begins behind it */
    bool is_end;                /* there are no more up to until, and none is on its way */
};

/*
 * Does:       reads a stretch, in a snapshot of its own, which it lets go: however many certificates
 *             there are, the store's log can be moved between stretches. What is promised and not recorded
 *             yet ends a stretch: last stays in front of it.
 * Fails with: what readers fail with. Not inside begin and end.
 */
typedef bool cm_holder_walk_fn(const struct cm_holder *holder, void *arg);
CM_MUST_USE cm_status cm_store_walk_holders(struct cm_store_reader *reader,
                                            struct cm_holder_stretch *stretch,
                                            cm_holder_walk_fn *walk, void *arg,
                                            struct cm_error *err);

#endif
