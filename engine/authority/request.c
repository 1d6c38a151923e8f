#include "engine/authority/request.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "engine/authority/reading.h"
#include "engine/base/hash.h"

/* --- intents ------------------------------------------------------------------------------------- */

static cm_status read_intent(struct cm_reading *reading)
{
    struct cm_authority_request *request = reading->request;
    const char *generation = NULL, *signer = NULL, *digest = NULL;
    const char *purpose = json_string_value(json_object_get(reading->object, "purpose"));
    if (purpose && strcmp(purpose, "cross-sign") == 0)
        return cm_reading_cross_intent(reading);
    cm_status status = cm_reading_kind(reading, "-intent");
    if (status == CM_OK)
        status = cm_reading_text(reading, reading->object, "generation", CM_READING_TEXT_MAX, true,
                                 &generation);
    if (status == CM_OK)
        status =
            cm_reading_text(reading, reading->object, "signer", CM_READING_TEXT_MAX, true, &signer);
    if (status == CM_OK)
        status =
            cm_reading_text(reading, reading->object, "digest", 2 * CM_HASH_SIZE, true, &digest);
    if (status != CM_OK)
        return status;
    if (!cm_hex_decode_exactly(digest, request->audit.digest, CM_HASH_SIZE))
        return CM_REFUSE(reading, CM_MALFORMED, "digest: expected a SHA-256 in hexadecimal");
    request->name = generation;
    request->audit.detail = cm_reading_dump(
        reading, json_pack("{s:s, s:s}", "generation", generation, "signer", signer));
    request->op = (struct cm_store_op){ .kind = CM_STORE_RECORD };
    return CM_OK;
}

/* --- transitions --------------------------------------------------------------------------------- */

static const char *const transition_kinds[CM_GENERATION_STATE_COUNT] = {
    [CM_GENERATION_ACTIVE] = "ca-activate",
    [CM_GENERATION_RETIRING] = "ca-stop",
    [CM_GENERATION_RETIRED] = "ca-retire",
    [CM_GENERATION_COMPROMISED] = "ca-compromise",
};

static cm_status read_target(struct cm_reading *reading)
{
    struct cm_transition *transition = &reading->request->transition;
    const char *to = json_string_value(json_object_get(reading->object, "to"));
    const char *fate = json_string_value(json_object_get(reading->object, "key_fate"));
    if (!to || !cm_generation_state_find(to, &transition->to)
        || transition->to == CM_GENERATION_PENDING)
        return CM_REFUSE(reading, CM_MALFORMED,
                         "to: expected active, retiring, retired or compromised");
    if (fate && !cm_key_fate_find(fate, &transition->key_fate))
        return CM_REFUSE(reading, CM_MALFORMED, "key_fate: expected kept, archived or destroyed");
    transition->may_be_last = json_is_true(json_object_get(reading->object, "may_be_last"));
    return CM_OK;
}

static cm_status read_transition(struct cm_reading *reading)
{
    struct cm_authority_request *request = reading->request;
    const char *name = NULL, *why = NULL;
    struct cm_generation found = { .number = 0 };
    cm_status status =
        cm_reading_text(reading, reading->object, "generation", CM_READING_TEXT_MAX, true, &name);
    if (status == CM_OK)
        status = cm_reading_text(reading, reading->object, "why", 255, false, &why);
    if (status == CM_OK)
        status = read_target(reading);
    if (status == CM_OK)
        status = cm_reading_find(reading, name, &found);
    if (status != CM_OK)
        return status;
    request->transition.number = found.number;
    request->name = name;
    request->audit.kind = transition_kinds[request->transition.to];
    json_t *detail = json_pack("{s:s, s:s, s:s}", "generation", name, "from",
                               cm_generation_state_name(found.state), "to",
                               cm_generation_state_name(request->transition.to));
    if (request->transition.to == CM_GENERATION_RETIRED)
        json_object_set_new(detail, "key",
                            json_string(cm_key_fate_name(request->transition.key_fate)));
    if (why)
        json_object_set_new(detail, "why", json_string(why));
    request->audit.detail = cm_reading_dump(reading, detail);
    cm_sha256(&found.certificate, 1, request->audit.digest);
    request->op =
        (struct cm_store_op){ .kind = CM_STORE_TRANSITION, .transition = &request->transition };
    return CM_OK;
}

/* --- all of them --------------------------------------------------------------------------------- */

static const struct {
    const char *op;
    cm_status (*read)(struct cm_reading *reading);
} kinds[] = {
    { "ca-intent", read_intent },
    { "ca-generation", cm_reading_generation },
    { "ca-cross", cm_reading_cross },
    { "ca-transition", read_transition },
};

cm_status cm_authority_request_read(const json_t *object, struct cm_store_reader *reader,
                                    struct cm_arena *arena,
                                    struct cm_authority_request *ret_request, struct cm_error *err)
{
    struct cm_reading reading = {
        .object = object, .reader = reader, .arena = arena, .request = ret_request, .err = err
    };
    const char *op = json_string_value(json_object_get(object, "op"));
    cm_status status = CM_REFUSE(&reading, CM_UNSUPPORTED, "op: it is about no authority");
    *ret_request = (struct cm_authority_request){ .name = NULL };
    for (size_t i = 0; op && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].op, op) == 0)
            status = cm_reading_actor(&reading) == CM_OK ? kinds[i].read(&reading) : CM_MALFORMED;
    ret_request->op.audit = &ret_request->audit;
    return status;
}

/* --- answers ------------------------------------------------------------------------------------- */

struct numbered {
    int64_t number;
    json_t *answer;
};

static bool name_stopped(const struct cm_generation *generation, void *arg)
{
    struct numbered *numbered = arg;
    char name[96];
    if (generation->number != numbered->number)
        return true;
    snprintf(name, sizeof name, "%.*s-%lld", (int)generation->authority.size,
             (const char *)generation->authority.data, (long long)generation->generation);
    json_object_set_new(numbered->answer, "stopped", json_string(name));
    return false;
}

json_t *cm_authority_request_answer(const struct cm_authority_request *request,
                                    struct cm_store_reader *reader)
{
    const struct cm_transition *transition = &request->transition;
    struct cm_error ignored;
    if (request->op.kind != CM_STORE_TRANSITION)
        return json_pack("{s:s}", "recorded", request->name);
    struct numbered numbered = { .number = transition->stopped_number,
                                 .answer = json_pack("{s:b}", "changed", transition->changed) };
    if (numbered.number != 0)
        (void)!cm_store_walk_generations(reader, name_stopped, &numbered, &ignored);
    return numbered.answer;
}
