/*
 * Sender: renewal campaigns of the store, carried on while the engine runs.
 *
 * A worker of its own reads the next devices of a running campaign; the loop publishes their notices, at
 * the campaign's pace, and has the cursor recorded behind what was written. So after a crash the notices
 * of one step come twice, and none is missing. Issuance waits for none of it. Where the queue is away, or
 * the store full, it waits and goes on from there.
 *
 *     cm_sender_open(&env, &sender, &err);          what is running in the store is carried on
 *     cm_sender_change(sender, &campaign);          after each change that is durable
 *     cm_sender_stop(sender);
 *     cm_sender_close(sender);                      when it is idle, and the queue closed
 *
 * Thread: the loop's, all of it.
 */
#ifndef CM_ENGINE_CAMPAIGN_SENDER_H
#define CM_ENGINE_CAMPAIGN_SENDER_H

#include "engine/base/loop.h"
#include "engine/store/campaign.h"
#include "queue/queue.h"

struct cm_sender;
struct json_t;

struct cm_sender_env {
    struct cm_loop *loop;
    struct cm_store *store; /* outlives the sender */
    struct cm_queue *queue; /* is closed before it */
    void (*on_notice)(const char *text, void *arg);
    void (*on_idle)(void *arg); /* after cm_sender_stop, never inside it */
    void *arg;
};

/* Fails with: what opening a reader of the store fails with. */
CM_MUST_USE cm_status cm_sender_open(const struct cm_sender_env *env, struct cm_sender **ret_sender,
                                     struct cm_error *err);

/* A campaign was started or has become another state: name and state are read. One that runs no more has
 * no notice published from here on, but for those that the queue has been given. Takes NULL. */
void cm_sender_change(struct cm_sender *sender, const struct cm_campaign *campaign);

/* Nothing new is begun; notices that the queue does not take are waited for a little. Takes NULL. */
void cm_sender_stop(struct cm_sender *sender);
bool cm_sender_is_idle(const struct cm_sender *sender); /* NULL: it is */

/* After stop, when idle; or before anything ran. Takes NULL. */
void cm_sender_close(struct cm_sender *sender);

/*
 * Campaigns that run or are paused, as the sender knows them: each as cm_campaign_to_json has it, with
 * running (1 or 0), in_trouble (1 or 0) and trouble: why notices wait, "" where they do not. Owns: the
 * caller. Takes NULL.
 */
struct json_t *cm_sender_describe(const struct cm_sender *sender);

#endif
