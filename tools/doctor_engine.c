/* What a running engine says of itself: its signer processes, and requests that wait for them. */
#include "tools/doctor.h"

#include <inttypes.h>

#include "tools/control_client.h"
#include "tools/time_text.h"

static int64_t number(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name));
}

/* Of a provider that asks a service. */
static void look_at_pace(struct cm_doctor *doctor, const char *name, const json_t *pace)
{
    int64_t open = number(pace, "circuits_open");
    cm_doctor_say(doctor, CM_VERDICT_OK, "engine", NULL,
                  "provider %s may make %" PRId64 " signatures a second, %" PRId64
                  " in flight, %" PRId64 " waiting",
                  name, number(pace, "rate_per_s"), number(pace, "in_flight"),
                  number(pace, "waiting"));
    cm_doctor_say(doctor, CM_VERDICT_OK, "engine", NULL,
                  "provider %s was answered %" PRId64 " times, median %" PRId64
                  " ms, 99 %% within %" PRId64 " ms; throttled %" PRId64 ", failed %" PRId64
                  " times",
                  name, number(pace, "succeeded"), number(pace, "median_ms"),
                  number(pace, "p99_ms"), number(pace, "throttled"), number(pace, "failed"));
    if (open > 0)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "engine",
                      "requests wait, or go to other keys; what serve prints says why",
                      "provider %s does not ask %" PRId64 " of its services, which do not answer",
                      name, open);
}

static void look_at_provider(struct cm_doctor *doctor, const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "name"));
    const json_t *pace = json_object_get(row, "pace");
    if (pace)
        look_at_pace(doctor, name, pace);
    if (json_is_true(json_object_get(row, "up")))
        cm_doctor_say(doctor, CM_VERDICT_OK, "engine", NULL,
                      "provider %s is up for %" PRId64 " s, started again %" PRId64 " times", name,
                      number(row, "seconds"), number(row, "restarts"));
    else
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "engine",
                      "requests wait meanwhile; what serve prints says why",
                      "provider %s is down for %" PRId64 " s", name, number(row, "seconds"));
}

/* In trouble with nothing waiting: the authority's other keys have its work. */
static void look_at_issuer(struct cm_doctor *doctor, const json_t *row)
{
    int64_t waiting = number(row, "waiting");
    const char *name = json_string_value(json_object_get(row, "name"));
    if (json_is_true(json_object_get(row, "in_trouble")))
        cm_doctor_say(doctor, CM_VERDICT_WARN, "engine",
                      "is its provider there? other keys of the authority take its work meanwhile",
                      "%s has signed nothing for %" PRId64 " s, of %" PRId64 " outstanding", name,
                      number(row, "seconds"), number(row, "outstanding"));
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, "engine", NULL, "%s signs, %" PRId64 " outstanding",
                      name, number(row, "outstanding"));
    if (waiting > 0)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "engine",
                      "is its token there? what serve prints says why; nothing is lost meanwhile",
                      "%" PRId64 " requests wait for a signature of %s", waiting, name);
}

/* An engine from before revocation says nothing of CRLs. */
static void look_at_crls(struct cm_doctor *doctor, const json_t *crls)
{
    char end[CM_TIME_TEXT_SIZE];
    if (!crls)
        return;
    if (number(crls, "overdue") > 0)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "engine",
                      "are the keys there, and is the clock right? what serve prints says why",
                      "%" PRId64 " of %" PRId64 " CRLs have ended: relying parties refuse every "
                      "certificate",
                      number(crls, "overdue"), number(crls, "shards"));
    else if (number(crls, "next_expiry") > 0)
        cm_doctor_say(doctor, CM_VERDICT_OK, "engine", NULL,
                      "%" PRId64 " CRL%s, the first ends on %s", number(crls, "shards"),
                      number(crls, "shards") == 1 ? "" : "s",
                      cm_time_write(number(crls, "next_expiry"), end));
}

/* An engine from before multi-buffer says nothing of it. */
static void look_at_verification(struct cm_doctor *doctor, const json_t *verification)
{
    if (verification)
        cm_doctor_say(doctor, CM_VERDICT_OK, "engine", NULL,
                      "%" PRId64 " signatures verified in lanes, %" PRId64 " one by one",
                      number(verification, "in_lanes"), number(verification, "one_by_one"));
}

static void look_at(struct cm_doctor *doctor, const json_t *status)
{
    size_t i;
    const json_t *row;
    cm_doctor_say(doctor, CM_VERDICT_OK, "engine", NULL,
                  "process %" PRId64 " serves: %" PRId64 " issued, %" PRId64 " in flight",
                  number(status, "pid"), number(status, "issued"), number(status, "in_flight"));
    json_array_foreach(json_object_get(status, "providers"), i, row) look_at_provider(doctor, row);
    json_array_foreach(json_object_get(status, "issuers"), i, row) look_at_issuer(doctor, row);
    look_at_crls(doctor, json_object_get(status, "crls"));
    look_at_verification(doctor, json_object_get(status, "verification"));
    if (number(status, "set_aside") > 0)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "engine",
                      "nothing is lost meanwhile; their keys are named above",
                      "%" PRId64 " requests wait until a key of their authority signs",
                      number(status, "set_aside"));
}

void cm_doctor_check_engine(struct cm_doctor *doctor)
{
    struct cm_control_client *client = NULL;
    struct cm_error err;
    json_t *status = NULL;
    if (cm_control_client_open(doctor->settings->store_path, &client, &err) != CM_OK)
        return;
    if (cm_control_client_status(client, &status, &err) == CM_OK)
        look_at(doctor, status);
    else
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "engine", "look at what serve prints", "%s",
                      err.text);
    json_decref(status);
    cm_control_client_close(client);
}
