#include "tools/ca_terms.h"

#include "engine/settings/settings.h"
#include "engine/x509/subtree.h"
#include "tools/commands.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Of a short life the usual backdate would leave little. */
enum { BACKDATE_PART = 10 };

static int plan_validity(const struct cm_call *call, struct cm_profile *profile,
                         bool *ret_must_last)
{
    const char *text = cm_call_value(call, "validity");
    *ret_must_last = text != NULL;
    if (!text)
        return CM_EXIT_DONE;
    if (!cm_duration_read(text, &profile->validity_s))
        return cm_usage_fail("--validity: \"%s\" is no duration, like 365d or 12h", text);
    if (profile->backdate_s > profile->validity_s / BACKDATE_PART)
        profile->backdate_s = profile->validity_s / BACKDATE_PART;
    return CM_EXIT_DONE;
}

/* The values of --permit-dns and its like as a profile has them: "dns:example.com". */
static int plan_names(const struct cm_call *call, struct cm_arena *arena, const char *side,
                      const char *const **ret_list, size_t *ret_count)
{
    static const char *const kinds[] = { "dns", "email", "uri", "ip" };
    const char **list = cm_arena_zalloc(arena, COUNT(kinds) * CM_REPEATS_MAX * sizeof *list);
    size_t count = 0;
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        const char *option = cm_arena_printf(arena, "%s-%s", side, kinds[kind]);
        const char *value;
        for (size_t i = 0; (value = cm_call_value_at(call, option, i)); i++) {
            uint8_t octets[CM_SUBTREE_OCTETS];
            struct cm_subtree subtree;
            list[count] = cm_arena_printf(arena, "%s:%s", kinds[kind], value);
            const char *problem = cm_subtree_read(list[count++], octets, &subtree);
            if (problem)
                return cm_usage_fail("--%s: \"%s\": %s", option, value, problem);
        }
    }
    *ret_list = list;
    *ret_count = count;
    return CM_EXIT_DONE;
}

static void plan_policies(const struct cm_call *call, struct cm_arena *arena,
                          struct cm_profile *profile)
{
    const char **list = cm_arena_zalloc(arena, CM_REPEATS_MAX * sizeof *list);
    while (
        (list[profile->policies_count] = cm_call_value_at(call, "policy", profile->policies_count)))
        profile->policies_count++;
    profile->policies = list;
}

int cm_ca_terms_plan(const struct cm_call *call, struct cm_arena *arena, struct cm_profile *profile,
                     bool *ret_must_last)
{
    struct cm_error err;
    if (cm_call_value(call, "path-length"))
        profile->path_len = (int)cm_call_number(call, "path-length");
    int code = plan_validity(call, profile, ret_must_last);
    if (code == CM_EXIT_DONE)
        code = plan_names(call, arena, "permit", &profile->permitted_names,
                          &profile->permitted_names_count);
    if (code == CM_EXIT_DONE)
        code = plan_names(call, arena, "exclude", &profile->excluded_names,
                          &profile->excluded_names_count);
    plan_policies(call, arena, profile);
    if (code == CM_EXIT_DONE && cm_profile_check(profile, &err) != CM_OK)
        code = cm_usage_fail("%s", err.text);
    return code;
}
