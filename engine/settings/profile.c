#include "engine/settings/build.h"

#include <string.h>

#include "engine/settings/value.h"

#define NAMES_OF(array) array, sizeof array / sizeof array[0]

static const char *const subject_fields[] = {
#define X(symbol, name, string, max) name,
    CM_SUBJECT_FIELD_MAP(X)
#undef X
};

static const char *const altname_kinds[] = {
#define X(symbol, name) name,
    CM_ALTNAME_MAP(X)
#undef X
};

static const char *const key_types[] = {
#define X(symbol, name) name,
    CM_KEY_TYPE_MAP(X)
#undef X
};

static const char *const key_usages[] = {
#define X(symbol, name, bit) name,
    CM_KEY_USAGE_MAP(X)
#undef X
};

static const char *const purposes[] = {
#define X(name, oid) name,
    CM_PURPOSE_MAP(X)
#undef X
};

/* One profile under way. */
struct making {
    struct settings_build *build;
    const struct raw_profile *raw;
    struct cm_profile *profile;
    const char *place; /* "profiles[3]" */
};

/* A list that is absent comes from the base, one that is empty does not. */
static bool has(const struct making *making, const char *key)
{
    struct settings_build *build = making->build;
    return settings_file_has(build->file, PLACE(build, "%s.%s", making->place, key));
}

/* -------------------------------------------------------------------------- names -- */

static cm_status make_subject_rule(struct making *making, uint32_t i, struct cm_subject_rule *rule)
{
    struct settings_build *build = making->build;
    const struct raw_subject *raw = &making->raw->subject[i];
    enum cm_subject_field field = cm_subject_field_find(raw->field, strlen(raw->field));
    if (field == CM_SUBJECT_FIELD_COUNT)
        return settings_fail_choice(build, PLACE(build, "%s.subject[%u].field", making->place, i),
                                    raw->field, "a field of a subject", NAMES_OF(subject_fields));
    *rule = (struct cm_subject_rule){ .field = field,
                                      .text = settings_keep(build, raw->text),
                                      .optional = *raw->optional };
    return CM_OK;
}

static cm_status make_subject(struct making *making)
{
    uint32_t count = making->raw->subject_count;
    if (!has(making, "subject"))
        return CM_OK;
    struct cm_subject_rule *rules = settings_keep_array(making->build, count, sizeof *rules);
    for (uint32_t i = 0; i < count; i++) {
        cm_status status = make_subject_rule(making, i, &rules[i]);
        if (status != CM_OK)
            return status;
    }
    making->profile->subject = rules;
    making->profile->subject_count = count;
    return CM_OK;
}

static cm_status make_altname_rule(struct making *making, uint32_t i, struct cm_altname_rule *rule)
{
    struct settings_build *build = making->build;
    const struct raw_altname *raw = &making->raw->altnames[i];
    enum cm_altname_kind kind = cm_altname_kind_find(raw->kind);
    if (kind == CM_ALTNAME_COUNT)
        return settings_fail_choice(build, PLACE(build, "%s.altnames[%u].kind", making->place, i),
                                    raw->kind, "a kind of name", NAMES_OF(altname_kinds));
    *rule = (struct cm_altname_rule){ .kind = kind,
                                      .text = settings_keep(build, raw->text),
                                      .oid = settings_keep(build, raw->oid),
                                      .optional = *raw->optional };
    return CM_OK;
}

static cm_status make_altnames(struct making *making)
{
    uint32_t count = making->raw->altnames_count;
    if (!has(making, "altnames"))
        return CM_OK;
    struct cm_altname_rule *rules = settings_keep_array(making->build, count, sizeof *rules);
    for (uint32_t i = 0; i < count; i++) {
        cm_status status = make_altname_rule(making, i, &rules[i]);
        if (status != CM_OK)
            return status;
    }
    making->profile->altnames = rules;
    making->profile->altnames_count = count;
    return CM_OK;
}

/* -------------------------------------------------------------------- lists of words -- */

/* Bit of a word, 0 when it is none of the list's. */
typedef unsigned word_bit_fn(const char *word);

static unsigned altname_bit(const char *word)
{
    enum cm_altname_kind kind = cm_altname_kind_find(word);
    return kind <= CM_ALTNAME_EMAIL ? CM_ALTNAME_BIT(kind) : 0;
}

static unsigned key_type_bit(const char *word)
{
    enum cm_key_type type = cm_key_type_find(word);
    return type == CM_KEY_UNKNOWN ? 0 : CM_KEY_TYPE_BIT(type);
}

/* One list of words that becomes a mask. */
struct mask {
    const char *key;
    char *const *words;
    uint32_t words_count;
    word_bit_fn *bit;
    const char *what;
    const char *const *known;
    size_t known_count;
    unsigned *target;
};

static cm_status make_mask(struct making *making, const struct mask *mask)
{
    struct settings_build *build = making->build;
    unsigned bits = 0;
    if (!has(making, mask->key))
        return CM_OK;
    for (uint32_t i = 0; i < mask->words_count; i++) {
        unsigned bit = mask->bit(mask->words[i]);
        if (bit == 0)
            return settings_fail_choice(build,
                                        PLACE(build, "%s.%s[%u]", making->place, mask->key, i),
                                        mask->words[i], mask->what, mask->known, mask->known_count);
        bits |= bit;
    }
    *mask->target = bits;
    return CM_OK;
}

static cm_status make_masks(struct making *making)
{
    const struct raw_profile *raw = making->raw;
    struct cm_profile *profile = making->profile;
    const struct mask masks[] = {
        { "csr-altnames", raw->csr_altnames, raw->csr_altnames_count, altname_bit,
          "a kind of name that a CSR may bring", altname_kinds, CM_ALTNAME_EMAIL + 1,
          &profile->csr_altnames },
        { "key-types", raw->key_types, raw->key_types_count, key_type_bit, "a key type",
          NAMES_OF(key_types), &profile->key_types },
        { "key-usage", raw->key_usage, raw->key_usage_count, cm_key_usage_find, "a key usage",
          NAMES_OF(key_usages), &profile->key_usage },
        { "key-usage-rsa", raw->key_usage_rsa, raw->key_usage_rsa_count, cm_key_usage_find,
          "a key usage", NAMES_OF(key_usages), &profile->key_usage_rsa },
    };
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        cm_status status = make_mask(making, &masks[i]);
        if (status != CM_OK)
            return status;
    }
    return CM_OK;
}

static const char *const *keep_words(struct making *making, char *const *words, uint32_t count)
{
    const char **kept = settings_keep_array(making->build, count, sizeof *kept);
    for (uint32_t i = 0; i < count; i++)
        kept[i] = settings_keep(making->build, words[i]);
    return kept;
}

static cm_status make_lists(struct making *making)
{
    struct settings_build *build = making->build;
    const struct raw_profile *raw = making->raw;
    for (uint32_t i = 0; i < raw->purposes_count; i++)
        if (!cm_purpose_oid(raw->purposes[i]))
            return settings_fail_choice(build, PLACE(build, "%s.purposes[%u]", making->place, i),
                                        raw->purposes[i], "a purpose and not a dotted OID",
                                        NAMES_OF(purposes));
    if (has(making, "purposes")) {
        making->profile->purposes = keep_words(making, raw->purposes, raw->purposes_count);
        making->profile->purposes_count = raw->purposes_count;
    }
    if (has(making, "policies")) {
        making->profile->policies = keep_words(making, raw->policies, raw->policies_count);
        making->profile->policies_count = raw->policies_count;
    }
    if (has(making, "permitted-names")) {
        making->profile->permitted_names =
            keep_words(making, raw->permitted_names, raw->permitted_names_count);
        making->profile->permitted_names_count = raw->permitted_names_count;
    }
    if (has(making, "excluded-names")) {
        making->profile->excluded_names =
            keep_words(making, raw->excluded_names, raw->excluded_names_count);
        making->profile->excluded_names_count = raw->excluded_names_count;
    }
    return CM_OK;
}

/* -------------------------------------------------------------------------- scalars -- */

static void set_flag(bool *target, const bool *raw)
{
    if (raw)
        *target = *raw;
}

static void make_scalars(struct making *making)
{
    const struct raw_profile *raw = making->raw;
    struct cm_profile *profile = making->profile;
    set_flag(&profile->csr_names_must_match, raw->csr_names_must_match);
    set_flag(&profile->csr_names_strict, raw->csr_names_strict);
    set_flag(&profile->ca, raw->ca);
    set_flag(&profile->basic_constraints, raw->basic_constraints);
    set_flag(&profile->purposes_critical, raw->purposes_critical);
    set_flag(&profile->ocsp_no_check, raw->ocsp_no_check);
    if (raw->revocation_info)
        profile->no_revocation_info = !*raw->revocation_info;
    if (raw->path_length)
        profile->path_len = (int)*raw->path_length;
    if (raw->ski_method)
        profile->ski_method =
            strcmp(raw->ski_method, "rfc5280-1") == 0 ? CM_SKI_RFC5280_1 : CM_SKI_RFC7093_1;
    if (raw->validity && strcmp(raw->validity, SETTINGS_NO_EXPIRY) == 0)
        profile->validity_s = CM_VALIDITY_NO_EXPIRY;
    else if (raw->validity)
        profile->validity_s = (int64_t)(settings_duration_ms(raw->validity) / 1000);
    if (raw->backdate)
        profile->backdate_s = (int64_t)(settings_duration_ms(raw->backdate) / 1000);
}

/* --------------------------------------------------------------------------- profiles -- */

static cm_status find_base(struct making *making, const struct cm_profile **ret_base)
{
    struct settings_build *build = making->build;
    const struct cm_settings *settings = build->settings;
    const char *names[1100];
    size_t count = 0;
    for (; count < settings->profiles_count; count++)
        names[count] = settings->profiles[count]->name;
    *ret_base = cm_settings_profile(settings, cm_bytes_str(making->raw->base));
    if (!*ret_base)
        return settings_fail_choice(build, PLACE(build, "%s.base", making->place),
                                    making->raw->base,
                                    "a built-in profile or one that stands earlier", names, count);
    if (cm_settings_profile(settings, cm_bytes_str(making->raw->name)))
        return settings_file_fail(build->file, build->err, PLACE(build, "%s.name", making->place),
                                  "there is a profile \"%s\" already", making->raw->name);
    return CM_OK;
}

/* The key that a member of struct cm_profile is set with: "key_usage" is "key-usage". */
static const char *key_of_part(struct settings_build *build, const char *part, size_t size)
{
    if (size == strlen("path_len") && memcmp(part, "path_len", size) == 0)
        return "path-length";
    char *key = cm_arena_zalloc(build->arena, size + 1);
    for (size_t i = 0; i < size; i++)
        key[i] = part[i] == '_' ? '-' : part[i];
    return key;
}

/* cm_profile_check names the part by itself: "subject[1]: ...". */
static cm_status check_profile(struct making *making)
{
    struct settings_build *build = making->build;
    struct cm_error err;
    if (cm_profile_check(making->profile, &err) == CM_OK)
        return CM_OK;
    size_t size = strspn(err.text, "abcdefghijklmnopqrstuvwxyz_[]0123456789");
    if (strncmp(err.text + size, ": ", 2) != 0)
        return settings_file_fail(build->file, build->err, making->place, "%s", err.text);
    return settings_file_fail(
        build->file, build->err,
        PLACE(build, "%s.%s", making->place, key_of_part(build, err.text, size)), "%s",
        err.text + size + 2);
}

static cm_status make_profile(struct making *making)
{
    const struct cm_profile *base;
    cm_status status = find_base(making, &base);
    if (status != CM_OK)
        return status;
    *making->profile = *base;
    making->profile->name = settings_keep(making->build, making->raw->name);
    make_scalars(making);
    static cm_status (*const steps[])(struct making *) = { make_subject, make_altnames, make_masks,
                                                           make_lists, check_profile };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == CM_OK; i++)
        status = steps[i](making);
    return status;
}

cm_status settings_build_profiles(struct settings_build *build)
{
    uint32_t builtin_count = 0;
    while (cm_profile_builtin_at(builtin_count))
        builtin_count++;
    uint32_t total = builtin_count + build->raw->profiles_count;
    const struct cm_profile **all = settings_keep_array(build, total, sizeof *all);
    build->settings->profiles = all;
    for (; build->settings->profiles_count < builtin_count; build->settings->profiles_count++)
        all[build->settings->profiles_count] =
            cm_profile_builtin_at(build->settings->profiles_count);
    for (uint32_t i = 0; i < build->raw->profiles_count; i++) {
        struct cm_profile *profile = settings_keep_array(build, 1, sizeof *profile);
        struct making making = { build, &build->raw->profiles[i], profile,
                                 PLACE(build, "profiles[%u]", i) };
        cm_status status = make_profile(&making);
        if (status != CM_OK)
            return status;
        all[build->settings->profiles_count++] = profile;
    }
    return CM_OK;
}
