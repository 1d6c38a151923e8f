/*
 * Control: how the programs of an operator reach a running engine.
 *
 * One process writes the store. While an engine runs that is the engine, so whoever has devices for
 * the allow-list, or orders about certificates, hands them to it, through a Unix stream socket beside the store's file
 * (cm_control_path). Who may open the socket may write the store's file as well: its mode is 0600,
 * and the peer's user must be the engine's own or root.
 *
 * Requests and answers are one line of JSON each. A connection has one request at a time; what it
 * sends meanwhile waits. Every request has "v", the version of the protocol, and "op":
 *
 *     {"v":1,"op":"devices","actor":"operator:ann","devices":[
 *         {"id":"m-1","group":"default","state":"allowed","replace":false,"attributes":{"a":"b"}}]}
 *     {"changed":1}                       durable; state, replace and attributes may be left out. By
 *                                         replace a state only ever gets worse: "state_kept" stands
 *                                         beside "changed" where some of them were to be allowed, and
 *                                         stay quarantined or retired
 *
 *     {"v":1,"op":"check-devices",...}    the same without the change
 *     {"checked":1}
 *
 *     {"v":1,"op":"orders","actor":"operator:ann","orders":[
 *         {"kind":"revoke","serial":"0a1b","issuer":"issuing-1","reason":"keyCompromise",
 *          "invalidity":1700000000,"why":"stolen van 12"},
 *         {"kind":"quarantine","device":"m-1"},{"kind":"revoke","group":"pumps","plan":"0a1b..."}]}
 *     {"orders":[{"code":"","message":"","certificates":1,"devices":0},...]}
 *                                         one after the other, durable; code: why not, empty where it
 *                                         was carried out; changed: so many. The texts are those of
 *                                         engine/orders.h. Where the store fails in between, "error"
 *                                         stands beside the outcomes of those before
 * *                                         plan: of a whole group, where settings mark revoke-group: the
 *                                         id of the plan that this carries out (engine/dual_control.h)
 *
 *     {"v":1,"op":"plan-prepare","actor":"operator:ann","text":"{\"approvals\":2,...}"}
 *     {"v":1,"op":"plan-approve","actor":"operator:ann","text":"{\"digest\":...}"}
 *     {"v":1,"op":"plan-cancel","actor":"operator:ann","text":"<id>"}
 *     {"changed":true}                    plans and approvals: engine/authority/plan.h, approval.h
 *
 *     {"v":1,"op":"publish","issuer":"issuing-1"}
 *     {"published":16,"failed":0,"why":""}   CRLs, anew and at once; without issuer: of every one
 *
 *     {"v":1,"op":"import","actor":"operator:ann","issuer":"issuing-1","certificates":[
 *         {"serial":"0a1b","not_after":1767225600,"der":"MII...","reason":"superseded",
 *          "revoked":1700000000,"invalidity":1690000000}]}
 *     {"changed":1}                       certificates that another CA software has issued with this
 *                                         issuer's key; without revoked: it is good; not_after, der
 *                                         (base64), reason and invalidity may be left out; revoked is
 *                                         not in the future, no date after the year 9999. All of a
 *                                         request or nothing
 *
 *     {"v":1,"op":"ca-intent",...}, ca-generation, ca-cross, ca-transition
 *     {"recorded":"issuing-2"}            authorities: engine/authority/request.h. Those that are new, or
 *     {"changed":true,                    activated, are taken up before the answer; one that has no open key
 *      "stopped":"issuing-1"}             here is not activated
 *
 *     {"v":1,"op":"campaign-start","actor":"operator:ann","name":"autumn","generation":"issuing-1",
 *      "window":604800,"rate":100,"groups":["pumps"],"expected":2000}
 *     {"v":1,"op":"campaign-pause","actor":"operator:ann","name":"autumn"}
 *                                         and campaign-resume, campaign-cancel
 *     {"campaign":"autumn","state":"running","changed":true}   durable; engine/campaign/plan.h
 *
 *     {"v":1,"op":"campaign-list"}
 *     {"campaigns":[{"name":"autumn","state":"running","noticed":120,...,"trouble":""}]}
 *                                         those that run or are paused, as struct cm_sender knows them
 *
 *     {"v":1,"op":"status"}
 *     {"status":"running","pid":4711,"ready":true,"issued":12,...,
 *      "providers":[{"name":"hsm","up":true,"seconds":61,"restarts":0,"pid":4712,
 *                    "pace":{"rate_per_s":197,"in_flight":12,"waiting":400,"succeeded":9000,
 *                            "throttled":3,"failed":0,"median_ms":20,"p99_ms":81,
 *                            "circuits_open":0}}],
 *      "away":[],"set_aside":0,
 *      "issuers":[{"name":"issuing-1","waiting":0,"outstanding":256,"in_trouble":false,"seconds":0}]}
 *                                         pace: of a provider that asks a service, as of a second
 *                                         ago (struct cm_provider_pace); away: providers that are
 *                                         down, or have a circuit open; ready: none is away,
 *                                         and no request waits for a
 *                                         signature that its key was asked for in vain, or is set
 *                                         aside until a key of its authority signs; outstanding:
 *                                         requests that the key has to sign; in_trouble: for so many
 *                                         seconds it was only asked in vain
 *
 *     {"error":"..."}                     nothing was changed; with "busy":true it may be soon
 *
 * Bounds: cm_control_max below. A request has to arrive, and its answer to be taken, within the
 * deadline; who is later is cut off. The process must ignore SIGPIPE.
 *
 * Thread: the loop's, all of it.
 */
#ifndef CM_ENGINE_CONTROL_CONTROL_H
#define CM_ENGINE_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/loop.h"
#include "engine/settings/settings.h"
#include "engine/store/store.h"

struct json_t;
struct cm_control;

#define CM_CONTROL_VERSION 1

enum cm_control_max {
    CM_CONTROL_CONNECTIONS_MAX = 16,
    CM_CONTROL_MESSAGE_SIZE_MAX = 1024 * 1024, /* bytes, the newline left out */
    CM_CONTROL_DEVICES_MAX = 1000,             /* in one request: requests for certificates go on */
    CM_CONTROL_ORDERS_MAX = 1000,              /* the same, */
    CM_CONTROL_CERTIFICATES_MAX = 1000,        /* and the same */
    CM_CONTROL_DEADLINE_MS = 30000
};

/* What came of making CRLs anew; why says of a failure why, and is empty without one. */
typedef void cm_control_published_fn(uint32_t published_count, uint32_t failed_count,
                                     const char *why, void *arg);

struct cm_control_env {
    struct cm_loop *loop;
    const struct cm_settings *settings; /* outlives the control */
    struct cm_store *store;             /* so does this, open for writing */
    /* the engine's, called on the loop */
    void (*fill_status)(struct json_t *ret_object, void *arg);
    /* The store has new revocations; NULL: nobody wants to know. */
    void (*on_revoked)(void *arg);
    /* A campaign was started, or has become another state (engine/campaign/plan.h), and it is durable; those
     * that are not over as JSON. NULL: this engine carries none on. */
    void (*on_campaign)(const struct cm_campaign *campaign, void *arg);
    struct json_t *(*describe_campaigns)(void *arg);
    /*
     * Makes the CRLs of an issuer ("issuing-1"), or of all (NULL), anew. OK: done is called once, on the
     * loop, never inside the call; until then the control is busy. NULL: there are no CRLs.
     */
    cm_status (*publish)(const char *issuer, cm_control_published_fn *done, void *done_arg,
                         struct cm_error *err, void *arg);
    /* Generations of authorities are new, or have other states; NULL: nobody wants to know. */
    void (*on_authorities)(void *arg);
    /* Whether the engine is ready for it; NULL: always. */
    cm_status (*check_transition)(const struct cm_transition *transition, struct cm_error *err,
                                  void *arg);
    void (*on_notice)(const char *text, void *arg);
    void (*on_idle)(void *arg); /* after cm_control_stop, never inside it: not busy any more */
    void *arg;
};

/* The socket's path: control.sock in the folder of the store's file. False when space is short. */
bool cm_control_path(const char *store_path, char *ret_path, size_t space);

/*
 * Does:       listens. The writer's lock of the store is held, so a socket that is there belongs to
 *             an engine that is dead, and is replaced.
 * Fails with: UNSUPPORTED (the path is too long for a socket), EXISTS (something else has the
 *             name), IO.
 */
CM_MUST_USE cm_status cm_control_open(const struct cm_control_env *env,
                                      struct cm_control **ret_control, struct cm_error *err);

/* Removes the socket; takes no more requests. Those under way are finished. Takes NULL. */
void cm_control_stop(struct cm_control *control);

/* Stopped, and an answer is still to come or to be taken. Takes NULL: false. */
bool cm_control_is_busy(const struct cm_control *control);

/* Nothing is in the store. Takes NULL. */
void cm_control_close(struct cm_control *control);

#endif
