#include "engine/dual_control.h"

#include <inttypes.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "engine/authority/cross.h"
#include "engine/base/clock.h"
#include "engine/base/hash.h"

enum { ID_DIGITS_MIN = 4 };

/* --------------------------------------------------------------------------- plans of the store -- */

struct search {
    const char *id;
    size_t id_size;
    struct cm_arena *arena;
    struct cm_plan_row row; /* the last that fits */
    unsigned count;
};

static void keep_row(struct search *search, const struct cm_plan_row *row)
{
    search->row = *row;
    search->row.text = cm_arena_copy(search->arena, row->text);
    search->count++;
}

static bool look_at_plan(const struct cm_plan_row *row, void *arg)
{
    struct search *search = arg;
    char hex[2 * CM_PLAN_ID_SIZE + 1];
    cm_hex_encode(cm_bytes(row->id, sizeof row->id), hex);
    if (search->id_size < sizeof hex && strncmp(hex, search->id, search->id_size) == 0)
        keep_row(search, row);
    return true;
}

struct collection {
    struct cm_arena *arena;
    struct cm_plan_approval *all;
    uint32_t count, space;
};

static bool collect(const struct cm_plan_approval *approval, void *arg)
{
    struct collection *collection = arg;
    if (collection->count == collection->space)
        return false;
    struct cm_plan_approval *kept = &collection->all[collection->count++];
    *kept = *approval;
    kept->operator= cm_arena_copy(collection->arena, approval->operator);
    kept->key = cm_arena_copy(collection->arena, approval->key);
    kept->signature = cm_arena_copy(collection->arena, approval->signature);
    return true;
}

static cm_status read_record(struct cm_store_reader *reader, struct search *search,
                             struct cm_plan_record *ret_record, struct cm_error *err)
{
    enum { APPROVALS_MAX = 400 }; /* 100 operators, two purposes, and some that are gone */
    struct cm_error why;
    struct cm_plan_record record = { .row = search->row };
    struct collection collection = { .arena = search->arena, .space = APPROVALS_MAX };
    uint8_t digest[CM_PLAN_DIGEST_SIZE];
    collection.all = cm_arena_zalloc(search->arena, APPROVALS_MAX * sizeof *collection.all);
    cm_plan_digest(record.row.text, digest);
    cm_status status = cm_plan_read(record.row.text, search->arena, &record.plan, &why);
    if (status != CM_OK || memcmp(digest, record.row.digest, sizeof digest) != 0
        || memcmp(record.plan.id, record.row.id, sizeof record.plan.id) != 0)
        return CM_FAIL(err, CM_CORRUPT, CM_ORIGIN_SELF, 0,
                       "the store is damaged: a plan is not what was prepared");
    status = cm_store_walk_approvals(reader, record.row.number, collect, &collection, err);
    record.approvals = collection.all;
    record.approvals_count = collection.count;
    if (status == CM_OK)
        *ret_record = record;
    return status;
}

cm_status cm_plan_find(struct cm_store_reader *reader, const char *id, struct cm_arena *arena,
                       struct cm_plan_record *ret_record, struct cm_error *err)
{
    struct search search = { .id = id, .id_size = strlen(id), .arena = arena };
    char shown[40];
    if (search.id_size < ID_DIGITS_MIN)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "a plan is called by at least %d digits of its id", ID_DIGITS_MIN);
    cm_status status = cm_store_walk_plans(reader, look_at_plan, &search, err);
    if (status != CM_OK)
        return status;
    if (search.count != 1)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "there %s whose id begins with %s",
                       search.count == 0 ? "is no plan" : "are several plans",
                       cm_bytes_printable(cm_bytes_str(id), shown, sizeof shown));
    return read_record(reader, &search, ret_record, err);
}

/* ------------------------------------------------------------------------------------ approvals -- */

bool cm_plan_approval_counts(const struct cm_settings *settings,
                             const struct cm_plan_record *record,
                             const struct cm_plan_approval *approval)
{
    const struct cm_settings_operator *operator= cm_settings_operator(settings, approval->operator);
    const struct cm_settings_dual_control *control =
        cm_settings_dual_control(settings, record->plan.operation);
    const char *role = record->plan.role[0] ? record->plan.role : NULL;
    struct cm_error ignored;
    return operator&& cm_settings_operator_counts(operator, role)
           && cm_settings_operator_counts(operator, control ? control->role : NULL)
           && cm_bytes_equal(operator->key, approval->key)
           && cm_approval_verify(approval->purpose, record->row.digest, approval->key,
                                 approval->signature, &ignored)
                  == CM_OK;
}

/* The store has one row of an operator for each purpose, and no two operators have one key. */
uint32_t cm_plan_count_approvals(const struct cm_settings *settings,
                                 const struct cm_plan_record *record,
                                 enum cm_approval_purpose purpose)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < record->approvals_count; i++)
        count += record->approvals[i].purpose == purpose
                 && cm_plan_approval_counts(settings, record, &record->approvals[i]);
    return count;
}

uint32_t cm_plan_wants_approvals(const struct cm_settings *settings,
                                 const struct cm_plan_record *record)
{
    const struct cm_settings_dual_control *control =
        cm_settings_dual_control(settings, record->plan.operation);
    uint32_t wanted = control ? control->approvals : 0;
    return wanted > record->plan.approvals ? wanted : record->plan.approvals;
}

static cm_status require_approvals(const struct cm_settings *settings,
                                   const struct cm_plan_record *record,
                                   enum cm_approval_purpose purpose, struct cm_error *err)
{
    uint32_t count = cm_plan_count_approvals(settings, record, purpose);
    uint32_t wanted = cm_plan_wants_approvals(settings, record);
    if (count >= wanted)
        return CM_OK;
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0, "the plan has %u of %u approvals to %s it",
                   count, wanted, cm_approval_purpose_name(purpose));
}

/* ---------------------------------------------------------------------------- what is found -- */

struct finding {
    const struct cm_deed *deed;
    struct cm_arena *arena;
    struct cm_plan_found *all; /* CM_PLAN_FOUND_MAX */
    uint32_t count, missed;
    bool has_subject; /* the generation that the deed is about */
    int64_t devices;
};

/* "issuing" or "issuing-2", as a deed has it, of this generation's authority. */
static bool is_of(const struct cm_generation *generation, const char *text)
{
    size_t size = generation->authority.size;
    if (strncmp(text, (const char *)generation->authority.data, size) != 0)
        return false;
    if (text[size] == '\0')
        return true;
    return text[size] == '-' && text[size + 1] != '\0'
           && strspn(text + size + 1, "0123456789") == strlen(text + size + 1);
}

static bool find_generation(const struct cm_generation *generation, void *arg)
{
    struct finding *finding = arg;
    if (!is_of(generation, finding->deed->subject))
        return true;
    if (finding->count == CM_PLAN_FOUND_MAX) {
        finding->missed++;
        return true;
    }
    struct cm_plan_found *found = &finding->all[finding->count++];
    const char *name =
        cm_arena_printf(finding->arena, "%.*s-%" PRId64, (int)generation->authority.size,
                        (const char *)generation->authority.data, generation->generation);
    *found = (struct cm_plan_found){ .generation = cm_bytes_str(name),
                                     .state = generation->state,
                                     .has_certificate = generation->certificate.size > 0 };
    if (found->has_certificate)
        cm_sha256(&generation->certificate, 1, found->certificate);
    finding->has_subject |= strcmp(name, finding->deed->subject) == 0;
    return true;
}

static bool count_device(const struct cm_device *device, void *arg)
{
    int64_t *count = arg;
    (void)device;
    ++*count;
    return true;
}

static bool is_about_a_generation(enum cm_ceremony operation)
{
    return operation == CM_CEREMONY_ACTIVATE || operation == CM_CEREMONY_RETIRE
           || operation == CM_CEREMONY_COMPROMISE || operation == CM_CEREMONY_CROSS_SIGN;
}

/* All generations of the authority: another one among them changes what is approved. */
static cm_status find_all(struct cm_store_reader *reader, const struct cm_deed *deed,
                          struct cm_arena *arena, struct finding *ret_finding, struct cm_error *err)
{
    struct finding finding = { .deed = deed, .arena = arena };
    finding.all = cm_arena_zalloc(arena, CM_PLAN_FOUND_MAX * sizeof *finding.all);
    cm_status status = deed->operation == CM_CEREMONY_REVOKE_GROUP
                           ? cm_store_walk_devices(reader, cm_bytes_str(deed->subject),
                                                   count_device, &finding.devices, err)
                           : cm_store_walk_generations(reader, find_generation, &finding, err);
    if (status == CM_OK && is_about_a_generation(deed->operation) && !finding.has_subject)
        status = CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "there is no generation %.80s",
                         deed->subject);
    if (status == CM_OK && finding.missed > 0)
        status = CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                         "a plan holds at most %d generations, found %u more", CM_PLAN_FOUND_MAX,
                         finding.missed);
    if (status == CM_OK)
        *ret_finding = finding;
    return status;
}

static bool is_same_found(const struct cm_plan_found *a, const struct cm_plan_found *b)
{
    return cm_bytes_equal(a->generation, b->generation) && a->state == b->state
           && a->has_certificate == b->has_certificate
           && memcmp(a->certificate, b->certificate, sizeof a->certificate) == 0;
}

static struct cm_deed deed_of_plan(const struct cm_plan *plan)
{
    return (struct cm_deed){ .operation = plan->operation,
                             .subject = plan->subject,
                             .parameters = plan->parameters,
                             .parameters_count = plan->parameters_count };
}

static cm_status check_found(struct cm_store_reader *reader, const struct cm_plan *plan,
                             struct cm_arena *arena, struct cm_error *err)
{
    const struct cm_deed deed = deed_of_plan(plan);
    struct finding finding;
    cm_status status = find_all(reader, &deed, arena, &finding, err);
    if (status != CM_OK)
        return status;
    bool same = finding.count == plan->found_count;
    for (uint32_t i = 0; same && i < finding.count; i++)
        same = is_same_found(&finding.all[i], &plan->found[i]);
    return same ? CM_OK
                : CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                          "the generations are not as the plan has found them: prepare another");
}

/* -------------------------------------------------------------------------------------- the check -- */

static cm_status deny_without(const struct cm_settings_dual_control *control,
                              const struct cm_deed *deed, struct cm_error *err)
{
    const char *name = cm_ceremony_name(deed->operation);
    return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                   "%s wants the approval of %u operators: certmill ceremony prepare %s %.80s "
                   "makes a plan",
                   name, control->approvals, name, deed->subject);
}

static cm_status check_record(const struct cm_settings *settings, struct cm_store_reader *reader,
                              const struct cm_deed *deed, const struct cm_plan_record *record,
                              struct cm_arena *arena, struct cm_error *err)
{
    if (!cm_plan_does(&record->plan, deed->operation, deed->subject, deed->parameters,
                      deed->parameters_count))
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "the plan is for something else: %s %.80s, with other parameters or none",
                       cm_ceremony_name(record->plan.operation), record->plan.subject);
    cm_status status = require_approvals(settings, record, CM_APPROVAL_RUN, err);
    /* Once it is running it may have changed them itself; whether it is over, the writer says. */
    if (status == CM_OK && record->row.state == CM_PLAN_PENDING)
        status = check_found(reader, &record->plan, arena, err);
    return status;
}

static struct cm_plan_use *use_of(const struct cm_plan_record *record, struct cm_arena *arena)
{
    struct cm_plan_use *use = cm_arena_zalloc(arena, sizeof *use);
    memcpy(use->id, record->row.id, sizeof use->id);
    memcpy(use->digest, record->row.digest, sizeof use->digest);
    use->found = record->plan.found;
    use->found_count = record->plan.found_count;
    return use;
}

cm_status cm_dual_control_check(const struct cm_settings *settings, struct cm_store *store,
                                const struct cm_deed *deed, const char *plan,
                                struct cm_arena *arena, const struct cm_plan_use **ret_use,
                                struct cm_error *err)
{
    const struct cm_settings_dual_control *control =
        cm_settings_dual_control(settings, deed->operation);
    struct cm_store_reader *reader = NULL;
    struct cm_plan_record record;
    *ret_use = NULL;
    if (!plan)
        return control ? deny_without(control, deed, err) : CM_OK;
    if (!control)
        return CM_FAIL(err, CM_DENIED, CM_ORIGIN_SELF, 0,
                       "the settings do not ask for a plan to %s: do it without",
                       cm_ceremony_name(deed->operation));
    cm_status status = cm_store_reader_open(store, &reader, err);
    if (status == CM_OK)
        status = cm_plan_find(reader, plan, arena, &record, err);
    if (status == CM_OK)
        status = check_record(settings, reader, deed, &record, arena, err);
    if (status == CM_OK)
        *ret_use = use_of(&record, arena);
    cm_store_reader_close(reader);
    return status;
}

/* ------------------------------------------------------------------------------------- preparing -- */

/* Whether it is this alone that the parameter may say: one of two words. */
static bool says(const struct cm_plan_parameter *parameter, const char *name, const char *one,
                 const char *other)
{
    return strcmp(parameter->name, name) == 0
           && (strcmp(parameter->value, one) == 0 || strcmp(parameter->value, other) == 0);
}

static bool may_retire(const struct cm_plan_parameter *rows, uint32_t count)
{
    if (count == 1)
        return says(&rows[0], "key", "archived", "destroyed")
               || says(&rows[0], "to", "retiring", "retiring");
    return count == 2 && says(&rows[0], "last", "yes", "yes")
           && says(&rows[1], "to", "retiring", "retiring");
}

/* A parameter that nothing goes by would be approved in vain: the plan could never run. */
static cm_status check_parameters(const struct cm_deed *deed, struct cm_arena *arena,
                                  struct cm_error *err)
{
    const struct cm_plan_parameter *rows = deed->parameters;
    uint32_t count = deed->parameters_count;
    const struct cm_plan plan = { .operation = deed->operation,
                                  .subject = deed->subject,
                                  .parameters = rows,
                                  .parameters_count = count };
    struct cm_order ignored;
    bool good = count == 0;
    const char *wanted = "none";
    if (deed->operation == CM_CEREMONY_REVOKE_GROUP)
        return cm_deed_order(&plan, arena, &ignored, err);
    if (deed->operation == CM_CEREMONY_RETIRE) {
        good = may_retire(rows, count);
        wanted = "key=archived, key=destroyed, or to=retiring, that one with last=yes or without";
    } else if (deed->operation == CM_CEREMONY_CROSS_SIGN) {
        good = cm_cross_terms_are_good(rows, count);
        wanted = "what certmill ca cross-sign --terms prints";
    } else if (deed->operation == CM_CEREMONY_COMPROMISE) {
        good = count == 0 || (count == 1 && strcmp(rows[0].name, "why") == 0);
        wanted = "why or none";
    }
    return good ? CM_OK
                : CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "parameters of %s: expected %s",
                          cm_ceremony_name(deed->operation), wanted);
}

static cm_status check_texts(const struct cm_deed *deed, struct cm_error *err)
{
    bool good =
        cm_plan_subject_is_good(deed->subject) && deed->parameters_count <= CM_PLAN_PARAMETERS_MAX;
    for (uint32_t i = 0; good && i < deed->parameters_count; i++)
        good = cm_plan_parameter_is_good(&deed->parameters[i]);
    return good ? CM_OK
                : CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                          "a name or value is too long for a plan, or has characters that may not "
                          "stand in one");
}

cm_status cm_plan_make(const struct cm_settings *settings, struct cm_store_reader *reader,
                       const struct cm_deed *deed, const char *actor, struct cm_arena *arena,
                       struct cm_plan *ret_plan, struct cm_error *err)
{
    const struct cm_settings_dual_control *control =
        cm_settings_dual_control(settings, deed->operation);
    struct finding finding;
    if (!control)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "the settings do not ask for a plan to %s (dual-control): do it without",
                       cm_ceremony_name(deed->operation));
    cm_status status = check_texts(deed, err);
    if (status == CM_OK)
        status = check_parameters(deed, arena, err);
    if (status == CM_OK)
        status = find_all(reader, deed, arena, &finding, err);
    if (status != CM_OK)
        return status;
    struct cm_plan plan = { .operation = deed->operation,
                            .subject = deed->subject,
                            .parameters = deed->parameters,
                            .parameters_count = deed->parameters_count,
                            .found = finding.all,
                            .found_count = finding.count,
                            .devices = finding.devices,
                            .approvals = control->approvals,
                            .role = control->role ? control->role : "",
                            .prepared_by = actor,
                            .prepared_s = cm_clock_wall_s() };
    plan.expires_s = plan.prepared_s + control->valid_s;
    if (RAND_bytes(plan.id, sizeof plan.id) != 1)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_OPENSSL, (int64_t)ERR_peek_last_error(),
                       "no random octets for the id of a plan");
    *ret_plan = plan;
    return CM_OK;
}
