/* certmill ca list: every generation of every authority, below whoever has signed it. */
#include <stdio.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/generation_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { INDENT = 2, NAME_WIDTH = 20 };

struct listing {
    struct cm_arena *arena;
    struct cm_generations generations;
    int64_t *signers; /* by index: cm_generation_signer_index */
    bool *is_listed;
};

static cm_status print_line(const struct listing *listing, uint32_t index, int depth,
                            struct cm_error *err)
{
    struct cm_generation_text text;
    cm_status status =
        cm_generation_describe(&listing->generations.all[index], listing->arena, &text, err);
    if (status != CM_OK)
        return status;
    int indent = INDENT * depth;
    int width = indent < NAME_WIDTH ? NAME_WIDTH - indent : 0;
    printf("%*s%-*s %-12s %-20s %-21s %s\n", indent, "", width, text.name, text.state, text.sigalg,
           text.waits ? "waits for certificate" : text.not_after, text.subject);
    return CM_OK;
}

static cm_status print_tree(struct listing *listing, uint32_t index, int depth,
                            struct cm_error *err)
{
    if (listing->is_listed[index])
        return CM_OK;
    listing->is_listed[index] = true;
    cm_status status = print_line(listing, index, depth, err);
    for (uint32_t i = 0; i < listing->generations.count && status == CM_OK; i++)
        if (listing->signers[i] == index)
            status = print_tree(listing, i, depth + 1, err);
    return status;
}

/* Who signs itself, or was signed elsewhere, stands at the edge. */
static cm_status print_all(struct listing *listing, struct cm_error *err)
{
    cm_status status = CM_OK;
    printf("%-*s %-12s %-20s %-21s %s\n", NAME_WIDTH, "NAME", "STATE", "ALGORITHM", "UNTIL",
           "SUBJECT");
    for (uint32_t i = 0; i < listing->generations.count && status == CM_OK; i++)
        if (listing->signers[i] < 0 || listing->signers[i] == i)
            status = print_tree(listing, i, 0, err);
    return status;
}

static cm_status print_json(const struct listing *listing, struct cm_error *err)
{
    json_t *all = json_array();
    cm_status status = CM_OK;
    for (uint32_t i = 0; i < listing->generations.count && status == CM_OK; i++) {
        struct cm_generation_text text;
        int64_t signer = listing->signers[i];
        const char *name =
            signer < 0 ? NULL
                       : cm_generation_name(listing->arena, &listing->generations.all[signer]);
        status = cm_generation_describe(&listing->generations.all[i], listing->arena, &text, err);
        if (status != CM_OK)
            break;
        json_t *object = cm_generation_json(&text);
        json_object_set_new(object, "signer", name ? json_string(name) : json_null());
        json_array_append_new(all, object);
    }
    if (status == CM_OK) {
        json_t *whole = json_pack("{s:O}", "authorities", all);
        json_dumpf(whole, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(whole);
    }
    json_decref(all);
    return status;
}

static cm_status list(const struct cm_call *call, struct cm_deployment *deployment,
                      struct cm_error *err)
{
    struct listing listing = { .arena = &deployment->arena };
    cm_status status =
        cm_generations_read(deployment->store, listing.arena, &listing.generations, err);
    if (status != CM_OK)
        return status;
    uint32_t count = listing.generations.count;
    listing.signers = cm_arena_alloc(listing.arena, (count + 1) * sizeof *listing.signers);
    listing.is_listed = cm_arena_zalloc(listing.arena, count + 1);
    for (uint32_t i = 0; i < count; i++)
        listing.signers[i] = cm_generation_signer_index(&listing.generations, i);
    return cm_call_flag(call, "json") ? print_json(&listing, err) : print_all(&listing, err);
}

static int run(const struct cm_call *call)
{
    return cm_deployment_run(call, CM_DEPLOYMENT_READ, list);
}

static const char *const paragraphs[] = {
    "Lists every authority of the deployment with each generation of its key: name, state, "
    "algorithm, end of validity and subject. Each stands below the one that has signed it; what was "
    "signed elsewhere stands at the edge. With `--json` it is one list, and each has its `signer`.",
    "A generation is called `NAME-NUMBER`. Its state is pending, active, retiring, retired or "
    "compromised; those that are active issue. One that was made for a signer elsewhere waits for its "
    "certificate until `certmill ca import` brings it.",
    NULL
};
static const struct cm_option options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };
static const struct cm_example examples[] = {
    { "certmill ca list -c /srv/ca/certmill.yaml", "The authorities of one deployment." },
};

const struct cm_command cm_command_ca_list = {
    .name = "ca list",
    .operands = "",
    .summary = "list the authorities and their keys",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .run = run,
};
