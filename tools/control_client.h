/*
 * Control client: a command's way to the engine that writes the store, engine/control/control.h.
 *
 *     if (cm_control_client_open(settings->store_path, &client, &err) == CM_OK)
 *         status = cm_control_client_import(client, actor, rows, count, &progress, &changed, &err);
 *     cm_control_client_close(client);
 *
 * The socket and what goes over it are control_client.c; control_devices.c and control_revocation.c
 * make the requests.
 *
 * Calls wait for the engine, within bounds. One thread.
 */
#ifndef CM_TOOLS_CONTROL_CLIENT_H
#define CM_TOOLS_CONTROL_CLIENT_H

#include "engine/store/store.h"
#include "tools/progress.h"

struct cm_control_client;
struct json_t;

/*
 * Owns:       *ret_client is the caller's, until cm_control_client_close.
 * Fails with: UNAVAILABLE: no engine listens beside this store; the text says why.
 */
CM_MUST_USE cm_status cm_control_client_open(const char *store_path,
                                             struct cm_control_client **ret_client,
                                             struct cm_error *err);

/*
 * The same where the store could not be opened, since another process writes it: busy says which, and
 * gets why that one could not be asked, too. Fails with: BUSY; *ret_client is then NULL.
 */
CM_MUST_USE cm_status cm_control_client_open_busy(const char *store_path,
                                                  struct cm_control_client **ret_client,
                                                  struct cm_error *busy);

/* Takes NULL. */
void cm_control_client_close(struct cm_control_client *client);

/*
 * Does:       asks the engine how it is: engine/control/control.h says what is in the answer.
 * Owns:       *ret_status is a JSON object, the caller's.
 * Fails with: as cm_control_client_import.
 */
CM_MUST_USE cm_status cm_control_client_status(struct cm_control_client *client,
                                               struct json_t **ret_status, struct cm_error *err);

/*
 * Does:       sends a request and waits for its answer.
 * Owns:       *ret_answer is a JSON object, the caller's; request stays the caller's.
 * Fails with: DENIED (the engine's words), BUSY (the same, and it may be otherwise soon), UNCERTAIN (no
 *             answer), MALFORMED (an answer that is none).
 */
CM_MUST_USE cm_status cm_control_client_call(struct cm_control_client *client,
                                             const struct json_t *request,
                                             struct json_t **ret_answer, struct cm_error *err);

/* What an import has come to. */
struct cm_imported_devices {
    uint32_t changed;    /* new or replaced */
    uint32_t state_kept; /* among these: stay quarantined or retired */
};

/*
 * Does:       has the engine check all rows, then put them on the allow-list, a thousand at a time.
 * Fails with: DENIED (the engine's words), UNCERTAIN (no answer), MALFORMED (an answer that is
 *             none). When some are on the list the text says how many.
 */
CM_MUST_USE cm_status cm_control_client_import(struct cm_control_client *client, const char *actor,
                                               const struct cm_device_row *rows, uint32_t count,
                                               struct cm_progress *progress,
                                               struct cm_imported_devices *ret_imported,
                                               struct cm_error *err);

/*
 * Does:       has the engine carry out orders, at most a thousand, all by one actor; what came of each
 *             stands in it, as the store would have written it.
 * Fails with: as cm_control_client_call.
 */
CM_MUST_USE cm_status cm_control_client_orders(struct cm_control_client *client,
                                               struct cm_order *orders, uint32_t count,
                                               struct cm_error *err);

struct cm_control_published {
    uint32_t published, failed;
    char why[200]; /* the first failure's; "": none */
};

/* Has the engine make CRLs anew, of one generation ("issuing-1") or of all (NULL), and waits for them. */
CM_MUST_USE cm_status cm_control_client_publish(struct cm_control_client *client,
                                                const char *issuer,
                                                struct cm_control_published *ret_published,
                                                struct cm_error *err);

/* Has the engine take over certificates that were issued elsewhere with the key of issuer. */
CM_MUST_USE cm_status cm_control_client_take_over(struct cm_control_client *client,
                                                  const char *actor, const char *issuer,
                                                  const struct cm_imported_row *rows,
                                                  uint32_t count, struct cm_progress *progress,
                                                  uint32_t *ret_changed, struct cm_error *err);

/* DER as it stands in requests: a JSON text in base64, the caller's. */
struct json_t *cm_control_base64(struct cm_bytes der);

#endif
