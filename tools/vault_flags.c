#include "tools/vault_flags.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Those that stand in the settings, under the same names. */
static const struct {
    const char *name;
    bool is_path;
} settings_flags[] = {
    { "credential", false }, { "tenant", false }, { "client", false },   { "certificate", true },
    { "require", false },    { "trust", true },   { "resource", false }, { "authority", false },
};

bool cm_vault_flags_describe(const struct cm_call *call)
{
    for (size_t i = 0; i < COUNT(settings_flags); i++)
        if (cm_call_value(call, settings_flags[i].name))
            return true;
    return cm_call_value(call, "client-secret") != NULL;
}

bool cm_vault_flags_given(const struct cm_call *call)
{
    return cm_call_value(call, "vault") || cm_vault_flags_describe(call);
}

static const char *value_of(const struct cm_call *call, const char *name)
{
    const char *value = cm_call_value(call, name);
    if (value || strcmp(name, "credential") != 0)
        return value;
    if (cm_call_value(call, "client-secret"))
        return "client-secret";
    return cm_call_value(call, "certificate") ? "client-certificate" : "managed-identity";
}

bool cm_flag_is_plain(const char *text)
{
    for (; text && *text; text++)
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
            return false;
    return true;
}

const char *cm_vault_flags_complaint(const struct cm_call *call)
{
    const char *vault = cm_call_value(call, "vault");
    const char *credential = value_of(call, "credential");
    bool is_secret = strcmp(credential, "client-secret") == 0;
    bool is_certificate = strcmp(credential, "client-certificate") == 0;
    if (vault
        && (strncmp(vault, "https://", 8) != 0 || strchr(vault, '?') || !cm_flag_is_plain(vault)))
        return "--vault takes an URL like https://NAME.vault.azure.net";
    for (size_t i = 0; i < COUNT(settings_flags); i++)
        if (!cm_flag_is_plain(cm_call_value(call, settings_flags[i].name)))
            return "a value of the vault's has characters that are not allowed in it";
    if (cm_call_value(call, "client-secret") && !is_secret)
        return "--client-secret goes with --credential client-secret";
    if (cm_call_value(call, "certificate") && !is_certificate)
        return "--certificate goes with --credential client-certificate";
    if (is_secret && !cm_call_value(call, "client-secret"))
        return "--credential client-secret needs --client-secret: where the secret is";
    if (is_certificate && !cm_call_value(call, "certificate"))
        return "--credential client-certificate needs --certificate";
    if ((is_secret || is_certificate) && !cm_call_value(call, "client"))
        return "a client secret or certificate needs --client: whose it is";
    return NULL;
}

/* What cannot be written must not go missing: without `trust` the system's CAs would be trusted. */
static cm_status put_flag(json_t *object, const char *name, const char *value, struct cm_error *err)
{
    if (json_object_set_new(object, name, json_string(value)) == 0)
        return CM_OK;
    return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                   "--%s: expected a path in UTF-8, with the folder that it starts in", name);
}

cm_status cm_vault_flags_options(const struct cm_call *call, const char *folder,
                                 struct cm_arena *arena, const char **ret_options,
                                 struct cm_error *err)
{
    json_t *object = json_object();
    cm_status status = CM_OK;
    for (size_t i = 0; i < COUNT(settings_flags) && status == CM_OK; i++) {
        const char *value = value_of(call, settings_flags[i].name);
        if (value && settings_flags[i].is_path && folder && value[0] != '/')
            value = cm_arena_printf(arena, "%s/%s", folder, value);
        if (value)
            status = put_flag(object, settings_flags[i].name, value, err);
    }
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!text)
        abort();
    if (status == CM_OK)
        *ret_options = cm_arena_printf(arena, "%s", text);
    free(text);
    return status;
}

const char *cm_vault_flags_settings(const struct cm_call *call, struct cm_arena *arena)
{
    const char *text = "    keyvault:\n";
    for (size_t i = 0; i < COUNT(settings_flags); i++) {
        const char *name = settings_flags[i].name, *value = value_of(call, name);
        if (value)
            text = cm_arena_printf(arena, "%s      %s: \"%s\"\n", text, name, value);
    }
    return cm_arena_printf(
        arena, "%s      # rate: 200      # signatures a second that the vault makes\n", text);
}

const char *cm_vault_flags_key(const struct cm_call *call, const char *name, struct cm_arena *arena)
{
    const char *vault = cm_call_value(call, "vault");
    size_t size = strlen(vault);
    while (size > 0 && vault[size - 1] == '/')
        size--;
    return cm_arena_printf(arena, "%.*s/keys/%s", (int)size, vault, name);
}

bool cm_vault_keeps(const char *reference)
{
    return strncmp(reference, "https://", 8) == 0;
}
