#include "tools/ca_record.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/faultpoint.h"
#include "engine/base/hash.h"
#include "engine/control/control.h"
#include "engine/dual_control.h"
#include "tools/operator.h"

cm_status cm_ca_record_open(struct cm_ca_record *record, const struct cm_call *call,
                            struct cm_error *err)
{
    struct cm_deployment *deployment = &record->deployment;
    struct cm_error busy;
    *record =
        (struct cm_ca_record){ .plan = cm_call_flag(call, "plan") ? cm_call_value(call, "plan")
                                                                  : NULL };
    cm_status status = cm_deployment_open(deployment, call, CM_DEPLOYMENT_SETTINGS, err);
    if (status != CM_OK)
        return status;
    status = cm_deployment_open_store(deployment, CM_DEPLOYMENT_WRITE, err);
    if (status != CM_BUSY)
        return status;
    busy = *err;
    status = cm_control_client_open_busy(deployment->settings->store_path, &record->client, &busy);
    if (status != CM_OK) {
        *err = busy;
        return status;
    }
    return cm_deployment_open_store(deployment, CM_DEPLOYMENT_READ, err);
}

void cm_ca_record_close(struct cm_ca_record *record)
{
    cm_control_client_close(record->client);
    cm_deployment_close(&record->deployment);
    if (record->lock > 0)
        close(record->lock - 1);
    record->lock = 0;
}

enum { TRIES_MAX = 100 }; /* ten seconds */

static void pause_between(void)
{
    static const struct timespec pause = { .tv_nsec = 100000000 };
    nanosleep(&pause, NULL);
}

/* Who has the store to itself is alone anyway; beside an engine the settings file is what all have in common. */
cm_status cm_ca_record_lock(struct cm_ca_record *record, struct cm_error *err)
{
    const char *path = record->deployment.settings->path;
    if (record->lock > 0)
        return CM_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC), code = 0;
    if (fd < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "open %s", path);
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        code = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (code != EWOULDBLOCK)
            break;
        pause_between();
    }
    if (code == 0) {
        record->lock = fd + 1;
        return CM_OK;
    }
    close(fd);
    if (code == EWOULDBLOCK)
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0,
                       "another command is making a key; when it has ended, run this again");
    return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "lock %s", path);
}

static cm_status apply_here(struct cm_ca_record *record, const json_t *request, json_t **ret_answer,
                            struct cm_error *err)
{
    struct cm_deployment *deployment = &record->deployment;
    struct cm_authority_request *read = cm_arena_zalloc(&deployment->arena, sizeof *read);
    struct cm_store_reader *reader;
    cm_status status = cm_store_reader_open(deployment->store, &reader, err);
    if (status != CM_OK)
        return status;
    status = cm_authority_request_read(request, reader, &deployment->arena, read, err);
    if (status == CM_OK)
        status = cm_dual_control_check_request(deployment->settings, deployment->store, request,
                                               &deployment->arena, read, err);
    if (status == CM_OK)
        status = cm_store_apply(deployment->store, &read->op, err);
    CM_FAULT_POINT("ca-moved");
    if (status == CM_OK && ret_answer)
        *ret_answer = cm_authority_request_answer(read, reader);
    cm_store_reader_close(reader);
    return status;
}

static cm_status apply_there(struct cm_ca_record *record, const json_t *request,
                             json_t **ret_answer, struct cm_error *err)
{
    json_t *answer = NULL;
    cm_status status = cm_control_client_call(record->client, request, &answer, err);
    if (status == CM_OK && ret_answer)
        *ret_answer = answer;
    else
        json_decref(answer);
    return status;
}

cm_status cm_ca_record_apply(struct cm_ca_record *record, json_t *request, json_t **ret_answer,
                             struct cm_error *err)
{
    if (!request)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a request");
    json_object_set_new(request, "v", json_integer(CM_CONTROL_VERSION));
    json_object_set_new(request, "actor", json_string(cm_operator_name(&record->deployment.arena)));
    if (record->plan)
        json_object_set_new(request, "plan", json_string(record->plan));
    cm_status status = record->client ? apply_there(record, request, ret_answer, err)
                                      : apply_here(record, request, ret_answer, err);
    json_decref(request);
    return status;
}

cm_status cm_ca_record_intent(struct cm_ca_record *record, const char *purpose,
                              const char *generation, const char *signer, struct cm_bytes message,
                              struct cm_error *err)
{
    uint8_t hash[CM_HASH_SIZE];
    char digest[2 * CM_HASH_SIZE + 1];
    cm_sha256(&message, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), digest);
    return cm_ca_record_apply(record,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", "ca-intent", "purpose",
                                        purpose, "generation", generation, "signer", signer,
                                        "digest", digest),
                              NULL, err);
}

static json_t *make_transition(const char *generation, enum cm_generation_state to,
                               enum cm_key_fate fate, bool may_be_last, const char *why)
{
    json_t *request = json_pack("{s:s, s:s, s:s, s:s, s:b}", "op", "ca-transition", "generation",
                                generation, "to", cm_generation_state_name(to), "key_fate",
                                cm_key_fate_name(fate), "may_be_last", may_be_last);
    if (request && why)
        json_object_set_new(request, "why", json_string(why));
    return request;
}

cm_status cm_ca_record_move(struct cm_ca_record *record, const char *generation,
                            enum cm_generation_state to, enum cm_key_fate fate, bool may_be_last,
                            const char *why, json_t **ret_answer, struct cm_error *err)
{
    cm_status status = CM_BUSY;
    for (unsigned tries = 0; status == CM_BUSY && tries < TRIES_MAX; tries++) {
        if (tries > 0)
            pause_between();
        status = cm_ca_record_apply(record, make_transition(generation, to, fate, may_be_last, why),
                                    ret_answer, err);
        if (to != CM_GENERATION_ACTIVE)
            break;
    }
    return status;
}
