/* certmill ca list, ca show: the authorities' generations as the store has them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <openssl/sha.h>

#include "engine/x509/certificate.h"
#include "engine/x509/pem_writer.h"
#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/name_text.h"
#include "tools/time_text.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

/* -------------------------------------------------------------------- what is to be said -- */

/* A generation, ready to be printed. */
struct shown {
    char name[80]; /* "issuing-1" */
    const char *state;
    char provider[80], key[400], sigalg[40];
    char subject[CM_NAME_TEXT_SIZE];
    char serial[48];
    char not_before[CM_TIME_TEXT_SIZE], not_after[CM_TIME_TEXT_SIZE];
    char fingerprint[65]; /* SHA-256, hex */
};

static cm_status describe(const struct cm_generation *generation, struct shown *shown,
                          struct cm_error *err)
{
    struct cm_certificate certificate;
    uint8_t hash[SHA256_DIGEST_LENGTH];
    cm_status status = cm_certificate_read(generation->certificate, &certificate, err);
    if (status != CM_OK)
        return status;
    *shown = (struct shown){ .state = cm_generation_state_name(generation->state) };
    snprintf(shown->name, sizeof shown->name, "%.*s-%" PRId64, TEXT_OF(generation->authority),
             generation->generation);
    snprintf(shown->provider, sizeof shown->provider, "%.*s", TEXT_OF(generation->provider));
    snprintf(shown->key, sizeof shown->key, "%.*s", TEXT_OF(generation->key));
    snprintf(shown->sigalg, sizeof shown->sigalg, "%.*s", TEXT_OF(generation->sigalg));
    cm_name_write(certificate.subject, shown->subject);
    cm_hex_encode(certificate.serial, shown->serial);
    cm_time_write(certificate.not_before_s, shown->not_before);
    cm_time_write(certificate.not_after_s, shown->not_after);
    SHA256(generation->certificate.data, generation->certificate.size, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), shown->fingerprint);
    return CM_OK;
}

static json_t *to_json(const struct shown *shown)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", shown->name,
                     "state", shown->state, "subject", shown->subject, "serial", shown->serial,
                     "not_before", shown->not_before, "not_after", shown->not_after, "algorithm",
                     shown->sigalg, "provider", shown->provider, "key", shown->key, "sha256",
                     shown->fingerprint);
}

static void print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

/* ---------------------------------------------------------------------------------- ca list -- */

struct listing {
    json_t *all; /* NULL: print lines */
    cm_status status;
    struct cm_error *err;
};

static bool list_one(const struct cm_generation *generation, void *arg)
{
    struct listing *listing = arg;
    struct shown shown;
    listing->status = describe(generation, &shown, listing->err);
    if (listing->status != CM_OK)
        return false;
    if (listing->all)
        json_array_append_new(listing->all, to_json(&shown));
    else
        printf("%-16s %-12s %-20s %-21s %s\n", shown.name, shown.state, shown.sigalg,
               shown.not_after, shown.subject);
    return true;
}

static cm_status list_all(const struct cm_call *call, struct cm_deployment *deployment,
                          struct cm_error *err)
{
    bool json = cm_call_flag(call, "json");
    struct listing listing = { .all = json ? json_array() : NULL, .err = err };
    if (!json)
        printf("%-16s %-12s %-20s %-21s %s\n", "NAME", "STATE", "ALGORITHM", "UNTIL", "SUBJECT");
    cm_status status = cm_store_walk_generations(deployment->reader, list_one, &listing, err);
    if (status == CM_OK)
        status = listing.status;
    if (json && status == CM_OK)
        print_json(json_pack("{s:O}", "authorities", listing.all));
    json_decref(listing.all);
    return status;
}

static int run_list(const struct cm_call *call)
{
    struct cm_deployment deployment;
    struct cm_error err = { 0 };
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, &err);
    if (status == CM_OK)
        status = list_all(call, &deployment, &err);
    cm_deployment_close(&deployment);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* ---------------------------------------------------------------------------------- ca show -- */

struct search {
    const struct cm_call *call;
    const char *name; /* "issuing" (its active generations) or "issuing-1" */
    struct cm_arena *arena;
    unsigned found_count;
    cm_status status;
    struct cm_error *err;
};

static bool is_wanted(const struct search *search, const struct cm_generation *generation)
{
    char name[80];
    snprintf(name, sizeof name, "%.*s-%" PRId64, TEXT_OF(generation->authority),
             generation->generation);
    if (strcmp(search->name, name) == 0)
        return true;
    return cm_bytes_is(generation->authority, search->name)
           && generation->state == CM_GENERATION_ACTIVE;
}

static void print_one(const struct cm_call *call, const struct shown *shown, const char *pem)
{
    if (cm_call_flag(call, "json")) {
        json_t *object = to_json(shown);
        json_object_set_new(object, "certificate", json_string(pem));
        print_json(object);
        return;
    }
    if (!cm_call_flag(call, "pem"))
        printf("name        %s\nstate       %s\nsubject     %s\nserial      %s\nfrom        %s\n"
               "until       %s\nalgorithm   %s\nprovider    %s\nkey         %s\nSHA-256     %s\n",
               shown->name, shown->state, shown->subject, shown->serial, shown->not_before,
               shown->not_after, shown->sigalg, shown->provider, shown->key, shown->fingerprint);
    else
        fputs(pem, stdout);
}

static bool show_wanted(const struct cm_generation *generation, void *arg)
{
    struct search *search = arg;
    struct shown shown;
    if (!is_wanted(search, generation))
        return true;
    search->status = describe(generation, &shown, search->err);
    if (search->status != CM_OK)
        return false;
    bool is_plain = !cm_call_flag(search->call, "json") && !cm_call_flag(search->call, "pem");
    if (search->found_count++ > 0 && is_plain)
        putchar('\n');
    print_one(
        search->call, &shown,
        (const char *)cm_pem_write("CERTIFICATE", generation->certificate, search->arena).data);
    return true;
}

static cm_status show(const struct cm_call *call, struct cm_deployment *deployment,
                      struct cm_error *err)
{
    struct search search = { .call = call,
                             .name = call->operands_count > 0
                                         ? call->operands[0]
                                         : deployment->settings->authorities[0].name,
                             .arena = &deployment->arena,
                             .err = err };
    cm_status status = cm_store_walk_generations(deployment->reader, show_wanted, &search, err);
    if (status == CM_OK)
        status = search.status;
    if (status == CM_OK && search.found_count == 0)
        status = CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                         "there is no authority \"%s\"; certmill ca list shows them", search.name);
    return status;
}

static int run_show(const struct cm_call *call)
{
    struct cm_deployment deployment;
    struct cm_error err = { 0 };
    cm_status status = cm_deployment_open(&deployment, call, CM_DEPLOYMENT_READ, &err);
    if (status == CM_OK)
        status = show(call, &deployment, &err);
    cm_deployment_close(&deployment);
    return status == CM_OK ? CM_EXIT_DONE : cm_call_fail(call, "%s", err.text);
}

/* ---------------------------------------------------------------------------- descriptions -- */

static const char *const list_paragraphs[] = {
    "Lists every authority of the deployment with each generation of its key: name, state, "
    "algorithm, end of validity and subject.",
    "A generation is called `NAME-NUMBER`. Its state is pending, active, retiring, retired or "
    "compromised; those that are active sign.",
    NULL
};
static const struct cm_option list_options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };
static const struct cm_example list_examples[] = {
    { "certmill ca list -c /srv/ca/certmill.yaml", "The authorities of one deployment." },
};

const struct cm_command cm_command_ca_list = {
    .name = "ca list",
    .operands = "",
    .summary = "list the authorities and their keys",
    .paragraphs = list_paragraphs,
    .options = list_options,
    .options_count = COUNT(list_options),
    .examples = list_examples,
    .examples_count = COUNT(list_examples),
    .run = run_list,
};

static const char *const show_paragraphs[] = {
    "Shows one authority: `NAME` for its active generations, one after the other (with `--json` an "
    "object each, a line for one), `NAME-NUMBER` for a certain one. Without a name it is the first "
    "authority of the settings.",
    NULL
};
static const struct cm_option show_options[] = {
    CM_OPTION_CONFIG,
    { .name = "pem", .type = CM_OPTION_FLAG, .help = "Print the certificate in PEM only." },
    CM_OPTION_JSON,
};
static const struct cm_example show_examples[] = {
    { "certmill ca show issuing-1", "One generation." },
    { "certmill ca show root --pem > root.pem", "The root certificate, for relying parties." },
};

const struct cm_command cm_command_ca_show = {
    .name = "ca show",
    .operands = "[NAME]",
    .operands_max = 1,
    .summary = "show an authority's key and certificate",
    .paragraphs = show_paragraphs,
    .options = show_options,
    .options_count = COUNT(show_options),
    .examples = show_examples,
    .examples_count = COUNT(show_examples),
    .when_failed = "there is no such authority, or it could not be read",
    .run = run_show,
};
