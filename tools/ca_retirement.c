#include "tools/ca_retirement.h"

#include <inttypes.h>

#include "engine/base/clock.h"
#include "tools/ca_signer.h"
#include "tools/generations.h"
#include "tools/time_text.h"

#define S_OR_NOT(count) ((count) == 1 ? "" : "s")

/* What is retired, and where that is recorded. */
struct retirement {
    struct cm_ca_record *record;
    const struct cm_generation *generation;
    const char *name;
};

/* As long as one of its certificates may be asked about, its key is needed. */
static cm_status check_ended(struct retirement *retirement, struct cm_error *err)
{
    struct cm_generation_use use;
    struct cm_store_reader *reader;
    char until[CM_TIME_TEXT_SIZE];
    cm_status status = cm_store_reader_open(retirement->record->deployment.store, &reader, err);
    if (status != CM_OK)
        return status;
    status =
        cm_store_find_use(reader, retirement->generation->number, cm_clock_wall_s(), &use, err);
    cm_store_reader_close(reader);
    if (status == CM_OK && use.certificates > 0)
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0,
                       "%.80s has %" PRId64
                       " certificate%s out, the last of them until %s: it goes "
                       "on telling what becomes of them until then",
                       retirement->name, use.certificates, S_OR_NOT(use.certificates),
                       cm_time_write(use.last_end_s, until));
    return status;
}

/* Recorded first: a key that is gone, and not said to be, would be asked for. */
static cm_status destroy_key(struct retirement *retirement, struct cm_error *err)
{
    struct cm_ca_signer signer = { 0 };
    struct cm_deployment *deployment = &retirement->record->deployment;
    cm_status status = cm_ca_signer_open(&signer, deployment->settings, retirement->generation,
                                         &deployment->arena, err);
    if (status == CM_NO_KEY)
        status = CM_OK; /* by an earlier run */
    else if (status == CM_OK) {
        status = cm_provider_session_destroy_key(&signer.session, signer.key, err);
        signer.key = NULL;
    }
    cm_ca_signer_close(&signer);
    if (status != CM_OK) {
        const struct cm_error why = *err;
        (void)CM_FAIL(err, status, CM_ORIGIN_SELF, 0,
                      "%.80s is retired, but its key is still there: %.250s; run it again",
                      retirement->name, why.text);
    }
    return status;
}

static cm_status end_it(struct retirement *retirement, enum cm_key_fate fate,
                        struct json_t **ret_answer, struct cm_error *err)
{
    bool is_over = retirement->generation->state == CM_GENERATION_RETIRED;
    if (is_over && retirement->generation->key_fate != CM_KEY_DESTROYED && fate == CM_KEY_DESTROYED)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "%.80s is retired with its key archived: destroy it where it is",
                       retirement->name);
    cm_status status = is_over ? CM_OK : check_ended(retirement, err);
    if (status == CM_OK)
        status = cm_ca_record_move(retirement->record, retirement->name, CM_GENERATION_RETIRED,
                                   fate, false, NULL, ret_answer, err);
    return status == CM_OK && fate == CM_KEY_DESTROYED ? destroy_key(retirement, err) : status;
}

cm_status cm_ca_retire(struct cm_ca_record *record, const struct cm_generation *generation,
                       enum cm_key_fate fate, struct json_t **ret_answer, struct cm_error *err)
{
    struct retirement retirement = { record, generation,
                                     cm_generation_name(&record->deployment.arena, generation) };
    return end_it(&retirement, fate, ret_answer, err);
}
