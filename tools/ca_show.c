/* certmill ca show: one authority's generations, with what is known of each. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "engine/base/clock.h"
#include "engine/x509/pem_writer.h"
#include "tools/commands.h"
#include "tools/deployment.h"
#include "tools/generation_text.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TEXT_OF(bytes) (int)(bytes).size, (const char *)(bytes).data

struct showing {
    const struct cm_call *call;
    const char *name; /* "issuing" (its active generations) or "issuing-1" */
    struct cm_deployment *deployment;
    struct cm_arena *arena;
    struct cm_generations generations;
    unsigned found_count;
};

/* What is said of one generation beside its certificate. */
struct facts {
    const char *signer;                   /* NULL: it was signed elsewhere, or waits */
    const struct cm_generation *replaced; /* NULL: it stands beside others */
    char active_since[CM_TIME_TEXT_SIZE], stopped[CM_TIME_TEXT_SIZE];
    struct cm_generation_use use;
    char last_end[CM_TIME_TEXT_SIZE];
};

static void write_ms(int64_t time_ms, char text[CM_TIME_TEXT_SIZE])
{
    text[0] = '\0';
    if (time_ms > 0)
        cm_time_write(time_ms / 1000, text);
}

static const struct cm_generation *find(const struct showing *showing, int64_t number)
{
    for (uint32_t i = 0; i < showing->generations.count; i++)
        if (showing->generations.all[i].number == number)
            return &showing->generations.all[i];
    return NULL;
}

static const char *name_of(const struct showing *showing, int64_t number)
{
    const struct cm_generation *generation = find(showing, number);
    return generation ? cm_generation_name(showing->arena, generation) : "?";
}

static cm_status collect(const struct showing *showing, const struct cm_generation *generation,
                         struct facts *facts, struct cm_error *err)
{
    int64_t signer = cm_generation_signer_index(&showing->generations,
                                                (uint32_t)(generation - showing->generations.all));
    *facts = (struct facts){ .replaced = find(showing, generation->replaces) };
    if (signer >= 0)
        facts->signer = cm_generation_name(showing->arena, &showing->generations.all[signer]);
    write_ms(generation->active_ms, facts->active_since);
    write_ms(generation->stopped_ms, facts->stopped);
    cm_status status = cm_store_find_use(showing->deployment->reader, generation->number,
                                         cm_clock_wall_s(), &facts->use, err);
    if (status == CM_OK)
        write_ms(facts->use.last_end_s * 1000, facts->last_end);
    return status;
}

/* -------------------------------------------------------------------- cross certificates -- */

struct crosses {
    const struct showing *showing;
    int64_t number;
    json_t *all; /* NULL: print lines */
};

static void say_cross(const struct crosses *crosses, const struct cm_cross_certificate *cross)
{
    bool is_subject = cross->subject_number == crosses->number;
    const char *other =
        name_of(crosses->showing, is_subject ? cross->issuer_number : cross->subject_number);
    char until[CM_TIME_TEXT_SIZE] = "?", fingerprint[65];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    struct cm_certificate certificate;
    struct cm_error ignored;
    if (cm_certificate_read(cross->certificate, &certificate, &ignored) == CM_OK)
        cm_time_write(certificate.not_after_s, until);
    SHA256(cross->certificate.data, cross->certificate.size, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), fingerprint);
    if (crosses->all)
        json_array_append_new(crosses->all,
                              json_pack("{s:s, s:s, s:s, s:s}", "subject",
                                        name_of(crosses->showing, cross->subject_number), "issuer",
                                        name_of(crosses->showing, cross->issuer_number),
                                        "not_after", until, "sha256", fingerprint));
    else
        printf("%-11s %s, until %s\n            SHA-256 %s\n",
               is_subject ? "crossed by" : "crosses", other, until, fingerprint);
}

static bool visit_cross(const struct cm_cross_certificate *cross, void *arg)
{
    const struct crosses *crosses = arg;
    if (cross->subject_number == crosses->number || cross->issuer_number == crosses->number)
        say_cross(crosses, cross);
    return true;
}

static cm_status say_crosses(const struct showing *showing, int64_t number, json_t *all,
                             struct cm_error *err)
{
    struct crosses crosses = { showing, number, all };
    return cm_store_walk_crosses(showing->deployment->reader, visit_cross, &crosses, err);
}

/* ------------------------------------------------------------------------------- the text -- */

static const char *fate_of(const struct cm_generation *generation)
{
    return generation->key_fate == CM_KEY_KEPT ? "" : cm_key_fate_name(generation->key_fate);
}

static void print_certificate(const struct cm_generation_text *text, const struct facts *facts)
{
    if (text->waits) {
        printf("waits       for its certificate: certmill ca import brings it\n");
        return;
    }
    printf("serial      %s\nsigned by   %s\nfrom        %s\nuntil       %s\nSHA-256     %s\n",
           text->serial, facts->signer ? facts->signer : "a CA elsewhere", text->not_before,
           text->not_after, text->fingerprint);
}

static void print_use(const struct showing *showing, const struct facts *facts)
{
    if (facts->replaced)
        printf("replaces    %s\n", cm_generation_name(showing->arena, facts->replaced));
    if (facts->active_since[0])
        printf("active      since %s%s%s\n", facts->active_since, facts->stopped[0] ? " to " : "",
               facts->stopped);
    printf("issued      %" PRId64 " certificate%s that ha%s not ended%s%s\n",
           facts->use.certificates, facts->use.certificates == 1 ? "" : "s",
           facts->use.certificates == 1 ? "s" : "ve", facts->last_end[0] ? "; the last ends " : "",
           facts->last_end);
}

static cm_status print_text(const struct showing *showing, const struct cm_generation *generation,
                            const struct cm_generation_text *text, const struct facts *facts,
                            struct cm_error *err)
{
    const char *fate = fate_of(generation);
    printf("name        %s\nstate       %s\nsubject     %s\n", text->name, text->state,
           text->subject);
    print_certificate(text, facts);
    printf("algorithm   %s\nprovider    %s\nkey         %s%s%s\n", text->sigalg, text->provider,
           text->key, fate[0] ? ", " : "", fate);
    print_use(showing, facts);
    return say_crosses(showing, generation->number, NULL, err);
}

/* ------------------------------------------------------------------------------- the JSON -- */

static json_t *text_or_null(const char *text)
{
    return text && text[0] ? json_string(text) : json_null();
}

static cm_status print_json(const struct showing *showing, const struct cm_generation *generation,
                            const struct cm_generation_text *text, const struct facts *facts,
                            const char *pem, struct cm_error *err)
{
    json_t *object = cm_generation_json(text);
    json_t *crosses = json_array();
    json_object_set_new(object, "signer", text_or_null(facts->signer));
    json_object_set_new(
        object, "replaces",
        text_or_null(facts->replaced ? cm_generation_name(showing->arena, facts->replaced) : NULL));
    json_object_set_new(object, "active_since", text_or_null(facts->active_since));
    json_object_set_new(object, "stopped", text_or_null(facts->stopped));
    json_object_set_new(object, "key_fate", json_string(cm_key_fate_name(generation->key_fate)));
    json_object_set_new(object, "certificates", json_integer(facts->use.certificates));
    json_object_set_new(object, "last_end", text_or_null(facts->last_end));
    json_object_set_new(object, "crosses", crosses);
    json_object_set_new(object, text->waits ? "request" : "certificate", json_string(pem));
    cm_status status = say_crosses(showing, generation->number, crosses, err);
    if (status == CM_OK) {
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_decref(object);
    return status;
}

/* ------------------------------------------------------------------------------ the command -- */

static bool is_wanted(const struct showing *showing, const struct cm_generation *generation)
{
    if (strcmp(showing->name, cm_generation_name(showing->arena, generation)) == 0)
        return true;
    return cm_bytes_is(generation->authority, showing->name)
           && generation->state == CM_GENERATION_ACTIVE;
}

static cm_status show_one(struct showing *showing, const struct cm_generation *generation,
                          struct cm_error *err)
{
    struct cm_generation_text text;
    struct facts facts;
    bool is_first = showing->found_count++ == 0;
    cm_status status = cm_generation_describe(generation, showing->arena, &text, err);
    if (status == CM_OK)
        status = collect(showing, generation, &facts, err);
    if (status != CM_OK)
        return status;
    struct cm_bytes block =
        text.waits ? generation->chain
                   : cm_pem_write("CERTIFICATE", generation->certificate, showing->arena);
    const char *pem = cm_arena_printf(showing->arena, "%.*s", TEXT_OF(block));
    if (cm_call_flag(showing->call, "json"))
        return print_json(showing, generation, &text, &facts, pem, err);
    if (cm_call_flag(showing->call, "pem")) {
        fputs(pem, stdout);
        return CM_OK;
    }
    if (!is_first)
        putchar('\n');
    return print_text(showing, generation, &text, &facts, err);
}

static cm_status show(const struct cm_call *call, struct cm_deployment *deployment,
                      struct cm_error *err)
{
    struct showing showing = { .call = call,
                               .name = call->operands_count > 0
                                           ? call->operands[0]
                                           : deployment->settings->authorities[0].name,
                               .deployment = deployment,
                               .arena = &deployment->arena };
    cm_status status =
        cm_generations_read(deployment->store, showing.arena, &showing.generations, err);
    for (uint32_t i = 0; i < showing.generations.count && status == CM_OK; i++)
        if (is_wanted(&showing, &showing.generations.all[i]))
            status = show_one(&showing, &showing.generations.all[i], err);
    if (status == CM_OK && showing.found_count == 0)
        status = CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                         "there is no authority \"%s\"; certmill ca list shows them", showing.name);
    return status;
}

static int run(const struct cm_call *call)
{
    return cm_deployment_run(call, CM_DEPLOYMENT_READ, show);
}

static const char *const paragraphs[] = {
    "Shows one authority: `NAME` for its active generations, one after the other (with `--json` an "
    "object each, a line for one), `NAME-NUMBER` for a certain one. Without a name it is the first "
    "authority of the settings.",
    "Beside the certificate it says who has signed it, which generation it replaces, since when it "
    "issues, what became of its key, how many of its certificates have not ended and when the last "
    "one does, and its cross certificates. Of one that waits for its certificate `--pem` prints the "
    "request.",
    NULL
};
static const struct cm_option options[] = {
    CM_OPTION_CONFIG,
    { .name = "pem", .type = CM_OPTION_FLAG, .help = "Print the certificate in PEM only." },
    CM_OPTION_JSON,
};
static const struct cm_example examples[] = {
    { "certmill ca show issuing-1", "One generation." },
    { "certmill ca show root --pem > root.pem", "The root certificate, for relying parties." },
};

const struct cm_command cm_command_ca_show = {
    .name = "ca show",
    .operands = "[NAME]",
    .operands_max = 1,
    .summary = "show an authority's key and certificate",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "there is no such authority, or it could not be read",
    .run = run,
};
