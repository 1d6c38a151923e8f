/* certmill ca activate, ca retire: the way of a generation from pending to its end. */
#include <stdio.h>

#include <jansson.h>

#include "tools/ca_retirement.h"
#include "tools/commands.h"
#include "tools/generations.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct change {
    const struct cm_call *call;
    struct cm_ca_record record;
    struct cm_generations generations;
    const struct cm_generation *generation;
    const char *name; /* of it */
    json_t *answer;
};

static cm_status open_change(struct change *change, struct cm_error *err)
{
    cm_status status = cm_ca_record_open(&change->record, change->call, err);
    return status == CM_OK
               ? cm_generations_read(change->record.deployment.store,
                                     &change->record.deployment.arena, &change->generations, err)
               : status;
}

static void close_change(struct change *change)
{
    json_decref(change->answer);
    cm_ca_record_close(&change->record);
}

static cm_status take_named(struct change *change, const char *name, struct cm_error *err)
{
    for (uint32_t i = 0; i < change->generations.count; i++)
        if (cm_generation_is_named(&change->generations.all[i], name)) {
            change->generation = &change->generations.all[i];
            change->name = cm_generation_name(&change->record.deployment.arena, change->generation);
            return CM_OK;
        }
    return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                   "there is no key %.80s of an authority; certmill ca list shows them", name);
}

static void print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

/* ------------------------------------------------------------------------------------ activate -- */

/* An authority by its name: the one that is pending, if it is one alone. */
static cm_status find_pending(struct change *change, const char *name, struct cm_error *err)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < change->generations.count; i++) {
        const struct cm_generation *one = &change->generations.all[i];
        if (one->state != CM_GENERATION_PENDING || !cm_bytes_is(one->authority, name))
            continue;
        change->generation = one;
        change->name = cm_generation_name(&change->record.deployment.arena, one);
        count++;
    }
    if (count == 1)
        return CM_OK;
    if (count > 1)
        return CM_FAIL(err, CM_EXISTS, CM_ORIGIN_SELF, 0,
                       "%.80s has %u keys that are pending: name one of them, like %.80s", name,
                       count, change->name);
    return take_named(change, name, err) == CM_OK
               ? CM_OK
               : CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                         "no key of %.80s is pending; certmill ca rotate makes one", name);
}

static void tell_activated(const struct change *change)
{
    const char *stopped = json_string_value(json_object_get(change->answer, "stopped"));
    bool changed = json_is_true(json_object_get(change->answer, "changed"));
    if (cm_call_flag(change->call, "json")) {
        json_t *object = json_pack("{s:s, s:s, s:b}", "generation", change->name, "state", "active",
                                   "changed", changed);
        if (stopped)
            json_object_set_new(object, "stopped", json_string(stopped));
        print_json(object);
    } else if (!changed) {
        printf("%s issues already\n", change->name);
    } else if (stopped) {
        printf("%s issues now, in place of %s\n", change->name, stopped);
    } else {
        printf("%s issues now\n", change->name);
    }
}

static int run_activate(const struct cm_call *call)
{
    struct change change = { .call = call };
    struct cm_error err = { 0 };
    cm_status status = open_change(&change, &err);
    if (status == CM_OK)
        status = find_pending(&change, call->operands[0], &err);
    if (status == CM_OK)
        status = cm_ca_record_move(&change.record, change.name, CM_GENERATION_ACTIVE, CM_KEY_KEPT,
                                   false, NULL, &change.answer, &err);
    if (status == CM_OK)
        tell_activated(&change);
    close_change(&change);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* -------------------------------------------------------------------------------------- retire -- */

static enum cm_key_fate wanted_fate(const struct cm_call *call)
{
    return cm_call_flag(call, "destroy-key") ? CM_KEY_DESTROYED : CM_KEY_ARCHIVED;
}

static cm_status end_it(struct change *change, struct cm_error *err)
{
    return cm_ca_retire(&change->record, change->generation, wanted_fate(change->call),
                        &change->answer, err);
}

static cm_status stop_it(struct change *change, struct cm_error *err)
{
    return cm_ca_record_move(&change->record, change->name, CM_GENERATION_RETIRING, CM_KEY_KEPT,
                             cm_call_flag(change->call, "last"), NULL, &change->answer, err);
}

static void tell_retired(const struct change *change, bool stopped)
{
    const char *state = stopped ? "retiring" : "retired";
    const char *fate = stopped ? "kept" : cm_key_fate_name(wanted_fate(change->call));
    if (cm_call_flag(change->call, "json"))
        print_json(
            json_pack("{s:s, s:s, s:s}", "generation", change->name, "state", state, "key", fate));
    else if (stopped)
        printf("%s issues no more; certmill ca retire %s ends it when all that it has issued has "
               "ended\n",
               change->name, change->name);
    else
        printf("%s is retired, its key %s\n", change->name, fate);
}

static int run_retire(const struct cm_call *call)
{
    struct change change = { .call = call };
    struct cm_error err = { 0 };
    bool stops = false;
    cm_status status = open_change(&change, &err);
    if (status == CM_OK)
        status = take_named(&change, call->operands[0], &err);
    if (status == CM_OK) {
        stops = change.generation->state == CM_GENERATION_ACTIVE;
        status = stops ? stop_it(&change, &err) : end_it(&change, &err);
    }
    if (status == CM_OK)
        tell_retired(&change, stops);
    close_change(&change);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* -------------------------------------------------------------------------------- descriptions -- */

static const char *const activate_paragraphs[] = {
    "Lets a pending generation issue, in place of the one that it replaces: `NAME`, where one of its "
    "generations is pending, or `NAME-N`. The other one issues no more from then on, and goes on with its "
    "CRLs and OCSP responses.",
    "A running engine changes over between two batches: no request waits, and what is being signed is finished "
    "with the old key. Where the new key has not been opened yet it is waited for, up to 10 s.",
    NULL
};
static const struct cm_option activate_options[] = { CM_OPTION_CONFIG, CM_OPTION_PLAN,
                                                     CM_OPTION_JSON };
static const struct cm_example activate_examples[] = {
    { "certmill ca activate issuing", "After `certmill ca rotate issuing`." },
};

const struct cm_command cm_command_ca_activate = {
    .name = "ca activate",
    .operands = "NAME",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "let an authority's next key issue",
    .paragraphs = activate_paragraphs,
    .options = activate_options,
    .options_count = COUNT(activate_options),
    .examples = activate_examples,
    .examples_count = COUNT(activate_examples),
    .when_failed = "failed; the old key issues as before",
    .run = run_activate,
};

static const char *const retire_paragraphs[] = {
    "Takes a generation a step towards its end. One that is active issues no more (with `--last`, where no "
    "other key of the authority does). One that is retiring, and of which every certificate has ended, is "
    "retired: its key is archived, which is to say left where it is and used no more, or destroyed "
    "with `--destroy-key`.",
    NULL
};
static const struct cm_option retire_options[] = {
    CM_OPTION_CONFIG,
    { .name = "destroy-key", .type = CM_OPTION_FLAG, .help = "Destroy the key, where it lives." },
    { .name = "last",
      .type = CM_OPTION_FLAG,
      .help = "The authority issues nothing any more, and that is meant." },
    CM_OPTION_PLAN,
    CM_OPTION_JSON,
};
static const struct cm_example retire_examples[] = {
    { "certmill ca retire issuing-1 --destroy-key", "When its last certificate has ended." },
};

const struct cm_command cm_command_ca_retire = {
    .name = "ca retire",
    .operands = "NAME-N",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "end the work of an authority's key",
    .paragraphs = retire_paragraphs,
    .options = retire_options,
    .options_count = COUNT(retire_options),
    .examples = retire_examples,
    .examples_count = COUNT(retire_examples),
    .when_failed = "failed; the text says what is so now",
    .run = run_retire,
};
