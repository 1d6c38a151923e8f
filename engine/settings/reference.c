#include "engine/settings/reference.h"

#include <string.h>

#include "engine/settings/keys.h"
#include "engine/settings/value.h"
#include "engine/x509/profile.h"

static const char introduction[] =
    "# Settings\n"
    "\n"
    "One YAML file holds the settings of a deployment; `certmill init` writes a first one. It is read\n"
    "whole or not at all: an unknown key, a value of the wrong kind, or a name that refers to nothing\n"
    "stops the start with the file, the line and what was expected:\n"
    "\n"
    "```\n"
    "certmill.yaml:12: groups[0].authority: \"isuing\" is not an authority (did you mean issuing?)\n"
    "```\n"
    "\n"
    "Relative paths are relative to the folder of the file. Durations are written `4ms`, `5s`, `15m`,\n"
    "`24h` or `365d`. Flags are `yes` or `no`. Secrets never stand in the file: a key that needs one\n"
    "takes a reference, `file:PATH` (a file that is closed to other users; one newline at its end is\n"
    "not part of the secret), `env:NAME`, `credential:NAME` (a systemd credential) or\n"
    "`prompt:WORDS` (asked for on the terminal: not for services). A provider's passphrase is asked for\n"
    "when its signer starts, and stays in the signer's memory until it ends.\n"
    "\n"
    "*This page is made from the table that the reader itself uses (`certmill --markdown settings`).*\n";

static const char templates[] =
    "\n## Templates\n"
    "\n"
    "The `text` of a subject field or alternative name is literal text with placeholders in it:\n"
    "\n"
    "| placeholder | stands for |\n"
    "|---|---|\n"
    "| `${device}` | the device id |\n"
    "| `${attr:NAME}` | an attribute of the device's record |\n"
    "| `${csr:FIELD}` | a subject field of the request: `cn`, `serial-number`, `o`, ... |\n"
    "| `${A\\|B\\|C}` | the first of these that has a value: `${attr:dns\\|device}` |\n"
    "| `$$` | one dollar sign |\n"
    "\n"
    "A placeholder without a value is refused with `policy.attribute-missing`, or, where the rule is\n"
    "`optional`, leaves the whole name out. An empty value counts as absent.\n";

/* ------------------------------------------------------------------------------------- keys -- */

static const char *const kind_words[] = {
    [SETTINGS_TEXT] = "text",         [SETTINGS_NAME] = "name",
    [SETTINGS_PATH] = "path",         [SETTINGS_SECRET] = "reference to a secret",
    [SETTINGS_URL] = "http URL",      [SETTINGS_DURATION] = "duration",
    [SETTINGS_VALIDITY] = "duration", [SETTINGS_CHOICE] = "",
    [SETTINGS_COUNT] = "number",      [SETTINGS_FLAG] = "yes or no",
    [SETTINGS_LIST] = "list",         [SETTINGS_MAP] = "keys",
    [SETTINGS_MAPS] = "list of keys",
};

static void write_kind(FILE *out, const struct settings_key *key)
{
    if (key->kind != SETTINGS_CHOICE) {
        fputs(kind_words[key->kind], out);
        return;
    }
    /* What only the builds of fault tests have is no choice of an operator's. */
    const char *end = strstr(key->choices, " fake");
    fputc('`', out);
    for (const char *at = key->choices; *at && at != end; at++)
        fputs(*at == ' ' ? "`, `" : (char[]){ *at, '\0' }, out);
    fputc('`', out);
}

static void write_default(FILE *out, const struct settings_key *key)
{
    if (key->required)
        fputs("*required*", out);
    else if (key->standard[0])
        fprintf(out, "`%s`", key->standard);
}

static void write_mapping(FILE *out, const struct settings_mapping *mapping, const char *place)
{
    char nested[96];
    fprintf(out, "\n| key | value | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < mapping->keys_count; i++) {
        const struct settings_key *key = &mapping->keys[i];
        fprintf(out, "| `%s` | ", key->name);
        write_kind(out, key);
        fputs(" | ", out);
        write_default(out, key);
        fprintf(out, " | %s |\n", key->help);
    }
    for (size_t i = 0; i < mapping->keys_count; i++) {
        const struct settings_key *key = &mapping->keys[i];
        if (!key->mapping)
            continue;
        snprintf(nested, sizeof nested, "%s%s%s%s", place, place[0] ? "." : "", key->name,
                 key->kind == SETTINGS_MAPS ? "[]" : "");
        fprintf(out, "\n## %s\n\n%s\n", nested, key->help);
        write_mapping(out, key->mapping, nested);
    }
}

/* ------------------------------------------------------------------------- built-in profiles -- */

static void write_validity(FILE *out, const struct cm_profile *profile)
{
    if (profile->validity_s == CM_VALIDITY_NO_EXPIRY)
        fputs(SETTINGS_NO_EXPIRY, out);
    else
        fprintf(out, "%lldd", (long long)(profile->validity_s / 86400));
}

/* "cn=`${device}`", with a question mark where it is optional. In a table, a pipe would end the
   cell even inside code. */
static void write_rule(FILE *out, size_t index, const char *name, const char *text, bool optional)
{
    fprintf(out, "%s%s=`", index ? ", " : "", name);
    for (; *text; text++)
        fputs(*text == '|' ? "\\|" : (char[]){ *text, '\0' }, out);
    fputs(optional ? "`?" : "`", out);
}

static void write_names(FILE *out, const struct cm_profile *profile)
{
    for (size_t i = 0; i < profile->subject_count; i++)
        write_rule(out, i, cm_subject_field_name(profile->subject[i].field),
                   profile->subject[i].text, profile->subject[i].optional);
    fputs(" | ", out);
    for (size_t i = 0; i < profile->altnames_count; i++)
        write_rule(out, i, cm_altname_kind_name(profile->altnames[i].kind),
                   profile->altnames[i].text, profile->altnames[i].optional);
    for (unsigned kind = 0; kind < CM_ALTNAME_COUNT; kind++)
        if (profile->csr_altnames & CM_ALTNAME_BIT(kind))
            fprintf(out, "; CSR's %s", cm_altname_kind_name((enum cm_altname_kind)kind));
}

static void write_builtin(FILE *out)
{
    fputs(
        "\n## Built-in profiles\n"
        "\n"
        "A question mark behind a name says that it is optional. `ocsp-responder` is for the responders to\n"
        "which the engine issues certificates by itself: who has one speaks for its authority, so it belongs\n"
        "into no group of devices.\n"
        "\n"
        "| profile | subject | alternative names | validity | purposes | authority |\n"
        "|---|---|---|---|---|---|\n",
        out);
    const struct cm_profile *profile;
    for (size_t i = 0; (profile = cm_profile_builtin_at(i)); i++) {
        fprintf(out, "| `%s` | ", profile->name);
        write_names(out, profile);
        fputs(" | ", out);
        write_validity(out, profile);
        fputs(" | ", out);
        for (size_t p = 0; p < profile->purposes_count; p++)
            fprintf(out, "%s`%s`", p ? ", " : "", profile->purposes[p]);
        if (!profile->ca)
            fputs(" | no |\n", out);
        else if (profile->path_len == CM_PATH_LEN_NONE)
            fputs(" | yes |\n", out);
        else
            fprintf(out, " | yes, path length %d |\n", profile->path_len);
    }
}

void cm_settings_write_reference(FILE *out)
{
    fputs(introduction, out);
    fputs("\n## The file\n", out);
    write_mapping(out, &settings_mapping_settings, "");
    fputs(templates, out);
    write_builtin(out);
}
