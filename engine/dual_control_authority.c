/* What is asked of authorities, as plans have it. */
#include "engine/dual_control.h"

#include <jansson.h>

#include "engine/authority/request.h"
#include "engine/x509/certificate.h"

enum { PARAMETERS_MAX = 2 };

static void add(struct cm_deed *deed, struct cm_plan_parameter *rows, const char *name,
                const char *value)
{
    rows[deed->parameters_count++] = (struct cm_plan_parameter){ name, value };
    deed->parameters = rows;
}

/* "issuing/2" is "issuing-2" as well. */
static const char *plain_name(const char *name, struct cm_arena *arena)
{
    const char *slash = strrchr(name, '/');
    return slash ? cm_arena_printf(arena, "%.*s-%s", (int)(slash - name), name, slash + 1) : name;
}

/* Parameters in the order of their names. False: it is no ceremony. */
static bool read_transition(const json_t *object, const struct cm_authority_request *request,
                            struct cm_arena *arena, struct cm_deed *deed)
{
    const struct cm_transition *transition = &request->transition;
    const char *why = json_string_value(json_object_get(object, "why"));
    struct cm_plan_parameter *rows = cm_arena_zalloc(arena, PARAMETERS_MAX * sizeof *rows);
    deed->subject = plain_name(request->name, arena);
    switch (transition->to) {
    case CM_GENERATION_ACTIVE:
        deed->operation = CM_CEREMONY_ACTIVATE;
        return true;
    case CM_GENERATION_RETIRING:
        deed->operation = CM_CEREMONY_RETIRE;
        if (transition->may_be_last)
            add(deed, rows, "last", "yes");
        add(deed, rows, "to", "retiring");
        return true;
    case CM_GENERATION_RETIRED:
        deed->operation = CM_CEREMONY_RETIRE;
        add(deed, rows, "key", cm_key_fate_name(transition->key_fate));
        return true;
    case CM_GENERATION_COMPROMISED:
        deed->operation = CM_CEREMONY_COMPROMISE;
        if (why)
            add(deed, rows, "why", cm_arena_printf(arena, "%s", why));
        return true;
    case CM_GENERATION_PENDING:
    case CM_GENERATION_STATE_COUNT:
        break;
    }
    return false;
}

static bool signs_itself(struct cm_bytes der)
{
    struct cm_certificate certificate;
    struct cm_error ignored;
    return cm_certificate_read(der, &certificate, &ignored) == CM_OK
           && cm_bytes_equal(certificate.subject, certificate.issuer);
}

/* A certificate for a generation that waits for it is no new key. */
static bool read_generation(const struct cm_authority_request *request, struct cm_arena *arena,
                            struct cm_deed *deed)
{
    const struct cm_generation *generation = &request->generation;
    if (generation->number != 0)
        return false;
    deed->subject = cm_arena_printf(arena, "%.*s", (int)generation->authority.size,
                                    (const char *)generation->authority.data);
    deed->operation = generation->replaces != 0               ? CM_CEREMONY_ROTATE
                      : signs_itself(generation->certificate) ? CM_CEREMONY_ROOT_KEY
                                                              : CM_CEREMONY_CREATE;
    return true;
}

/* Before it is signed, and when it is recorded: its terms are read off the certificate both times. */
static bool read_cross(const struct cm_authority_request *request, struct cm_arena *arena,
                       struct cm_deed *deed)
{
    deed->operation = CM_CEREMONY_CROSS_SIGN;
    deed->subject = plain_name(request->name, arena);
    deed->parameters = request->terms.rows;
    deed->parameters_count = request->terms.count;
    return true;
}

/* What a key is about to sign. The record of it comes later, and is asked about again. */
static bool read_intent(const json_t *object, const struct cm_authority_request *request,
                        struct cm_arena *arena, struct cm_deed *deed)
{
    const char *purpose = json_string_value(json_object_get(object, "purpose"));
    const char *signer = json_string_value(json_object_get(object, "signer"));
    const char *name = plain_name(request->name, arena), *dash = strrchr(name, '-');
    bool is_request = purpose && strcmp(purpose, "request") == 0; /* signed by the new key itself */
    bool is_create = is_request || (purpose && strcmp(purpose, "create") == 0);
    bool is_import = purpose && strcmp(purpose, "import") == 0;
    if (is_import || !dash)
        return false;
    deed->subject = cm_arena_printf(arena, "%.*s", (int)(dash - name), name);
    bool is_root = !is_request && signer && strcmp(signer, name) == 0;
    deed->operation = !is_create ? CM_CEREMONY_ROTATE
                      : is_root  ? CM_CEREMONY_ROOT_KEY
                                 : CM_CEREMONY_CREATE;
    return true;
}

static bool read_deed(const json_t *object, const struct cm_authority_request *request,
                      struct cm_arena *arena, struct cm_deed *deed)
{
    if (request->is_cross)
        return read_cross(request, arena, deed);
    if (request->op.kind == CM_STORE_TRANSITION)
        return read_transition(object, request, arena, deed);
    if (request->op.kind == CM_STORE_GENERATION)
        return read_generation(request, arena, deed);
    return read_intent(object, request, arena, deed);
}

struct look {
    const struct cm_transition *transition;
    bool is_so;
};

static bool look_at(const struct cm_generation *generation, void *arg)
{
    struct look *look = arg;
    look->is_so |=
        generation->number == look->transition->number && generation->state == look->transition->to;
    return true;
}

/*
 * What is so already is no change, and no state comes back: whoever goes on with a command that was cut off needs
 * no second plan.
 */
static cm_status find_whether_so(struct cm_store *store, const struct cm_authority_request *request,
                                 bool *ret_is_so, struct cm_error *err)
{
    struct look look = { .transition = &request->transition };
    struct cm_store_reader *reader = NULL;
    cm_status status = CM_OK;
    if (request->op.kind == CM_STORE_TRANSITION) {
        status = cm_store_reader_open(store, &reader, err);
        if (status == CM_OK)
            status = cm_store_walk_generations(reader, look_at, &look, err);
        cm_store_reader_close(reader);
    }
    *ret_is_so = look.is_so;
    return status;
}

cm_status cm_dual_control_check_request(const struct cm_settings *settings, struct cm_store *store,
                                        const json_t *object, struct cm_arena *arena,
                                        struct cm_authority_request *request, struct cm_error *err)
{
    const json_t *plan = json_object_get(object, "plan");
    struct cm_deed deed = { .parameters_count = 0 };
    const struct cm_plan_use *use = NULL;
    bool is_so = false;
    if (plan && !json_is_string(plan))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "plan: expected a text");
    if (!read_deed(object, request, arena, &deed))
        return CM_OK;
    cm_status status = plan ? CM_OK : find_whether_so(store, request, &is_so, err);
    if (status == CM_OK && !is_so)
        status = cm_dual_control_check(settings, store, &deed, json_string_value(plan), arena, &use,
                                       err);
    if (status == CM_OK && request->op.kind != CM_STORE_RECORD)
        request->op.plan = use;
    return status;
}
