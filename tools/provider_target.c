#include "tools/provider_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "engine/base/secret.h"
#include "tools/scratch.h"
#include "tools/token_key.h"

#define PIN_VARIABLE "CERTMILL_PROVIDER_PIN"
#define NO_VAULT                                                                                   \
    "no vault to make keys in: name it with --vault https://NAME.vault.azure.net, or a key that "  \
    "is there with --key"

const struct cm_provider_kind cm_provider_kinds[] = {
    { "p256", { .type = CM_KEY_P256 } },
    { "p384", { .type = CM_KEY_P384 } },
    { "p521", { .type = CM_KEY_P521 } },
    { "ed25519", { .type = CM_KEY_ED25519 } },
    { "rsa-2048", { .type = CM_KEY_RSA, .bits = 2048 } },
    { "rsa-3072", { .type = CM_KEY_RSA, .bits = 3072 } },
    { "rsa-4096", { .type = CM_KEY_RSA, .bits = 4096 } },
};

const size_t cm_provider_kinds_count = sizeof cm_provider_kinds / sizeof cm_provider_kinds[0];

/* ------------------------------------------------------------------------ which flags go -- */

static const char *complaint_of_vault(const struct cm_call *call)
{
    if (cm_call_value(call, "pin") && cm_call_value(call, "client-secret"))
        return "--pin and --client-secret: a vault takes one of them";
    if (!cm_call_value(call, "vault") && !cm_call_value(call, "key"))
        return NO_VAULT;
    return cm_vault_flags_complaint(call);
}

const char *cm_provider_target_complaint(const struct cm_call *call)
{
    const char *kind = cm_call_value(call, "kind");
    bool describes_token = cm_call_value(call, "module") != NULL;
    if (!kind)
        return describes_token || cm_call_value(call, "pin") || cm_vault_flags_describe(call)
                   ? "--module, --pin, --credential and what goes with them describe an instance "
                     "without settings: they need --kind"
                   : NULL;
    if (call->operands_count > 0)
        return "NAME is one of the settings' providers: it does not go with --kind";
    if (strcmp(kind, "pkcs11") != 0 && (describes_token || cm_call_value(call, "token")))
        return "--module and --token need --kind pkcs11";
    if (strcmp(kind, "keyvault") == 0)
        return complaint_of_vault(call);
    return cm_vault_flags_given(call)
               ? "--vault, --credential and what goes with them need --kind keyvault"
               : NULL;
}

/* ----------------------------------------------------------------------------- finding it -- */

static cm_status find_in_settings(struct cm_provider_target *target, const struct cm_call *call,
                                  struct cm_error *err)
{
    const struct cm_settings_provider *found;
    cm_status status = cm_settings_read(cm_call_value(call, "config"), &target->settings, err);
    if (status != CM_OK)
        return status;
    found = call->operands_count > 0 ? cm_settings_provider(target->settings, call->operands[0])
                                     : &target->settings->providers[0];
    if (!found)
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0, "the settings have no provider \"%s\"",
                       call->operands[0]);
    target->provider = *found;
    return CM_OK;
}

/*
 * The commands open the provider again and again; whoever types the PIN does so once. What setenv
 * adds is not in /proc/PID/environ.
 */
static cm_status ask_once(struct cm_provider_target *target, struct cm_error *err)
{
    struct cm_secret pin;
    if (!target->provider.passphrase || !cm_secret_is_asked(target->provider.passphrase))
        return CM_OK;
    cm_status status = cm_secret_read(target->provider.passphrase, NULL, &pin, err);
    if (status != CM_OK)
        return status;
    setenv(PIN_VARIABLE, pin.text, 1);
    cm_secret_done(&pin);
    target->provider.passphrase = "env:" PIN_VARIABLE;
    return CM_OK;
}

bool cm_provider_target_is_vault(const struct cm_provider_target *target)
{
    return strcmp(target->provider.kind, "keyvault") == 0;
}

/* The instance that the command line is about, without settings. */
static cm_status describe(struct cm_provider_target *target, struct cm_error *err)
{
    const struct cm_call *call = target->call;
    const char *kind = cm_call_value(call, "kind");
    target->provider = (struct cm_settings_provider){
        .name = kind,
        .kind = kind,
        .module = cm_call_value(call, "module"),
        .passphrase = cm_call_value(call, "pin"),
    };
    if (!cm_provider_target_is_vault(target))
        return CM_OK;
    if (cm_call_value(call, "client-secret"))
        target->provider.passphrase = cm_call_value(call, "client-secret");
    return cm_vault_flags_options(call, NULL, &target->arena, &target->provider.options, err);
}

/* Of the settings' instance: the command line alone does not say of what kind it is. */
static cm_status check_place(const struct cm_provider_target *target, struct cm_error *err)
{
    bool has_vault = cm_call_value(target->call, "vault") != NULL;
    bool is_vault = cm_provider_target_is_vault(target);
    if (is_vault && !has_vault && !cm_call_value(target->call, "key"))
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, NO_VAULT);
    if ((has_vault && !is_vault) || (target->token && strcmp(target->provider.kind, "pkcs11") != 0))
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0,
                       "--%s names no place for keys of the provider %s: its kind is %s",
                       target->token ? "token" : "vault", target->provider.name,
                       target->provider.kind);
    return CM_OK;
}

cm_status cm_provider_target_find(struct cm_provider_target *target, const struct cm_call *call,
                                  struct cm_error *err)
{
    *target = (struct cm_provider_target){ .call = call, .token = cm_call_value(call, "token") };
    cm_arena_init(&target->arena, 4096);
    cm_status status =
        cm_call_value(call, "kind") ? describe(target, err) : find_in_settings(target, call, err);
    if (status == CM_OK)
        status = check_place(target, err);
    return status == CM_OK ? ask_once(target, err) : status;
}

/* The environment keeps the text of a variable that is no longer set. */
static void forget_pin(void)
{
    char *pin = getenv(PIN_VARIABLE);
    if (pin)
        OPENSSL_cleanse(pin, strlen(pin));
    unsetenv(PIN_VARIABLE);
}

void cm_provider_target_done(struct cm_provider_target *target)
{
    forget_pin();
    if (target->scratch[0] != '\0')
        cm_scratch_remove(target->scratch);
    cm_settings_free(target->settings);
    cm_arena_done(&target->arena);
}

int cm_provider_target_conclude(const struct cm_provider_target *target, json_t *rows,
                                unsigned failures_count, const char *error)
{
    if (error) {
        json_decref(rows);
        return cm_call_fail(target->call, "%s", error);
    }
    if (rows) {
        json_t *object = json_pack("{s:s, s:i, s:o}", "provider", target->provider.name, "failures",
                                   (int)failures_count, "rows", rows);
        json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(object);
    }
    return failures_count > 0 ? CM_EXIT_FAILED : CM_EXIT_DONE;
}

struct cm_settings_provider cm_provider_target_with(struct cm_provider_target *target,
                                                    uint32_t sessions)
{
    struct cm_settings_provider provider = target->provider;
    provider.workers = sessions;
    if (!cm_provider_target_is_vault(target))
        return provider;
    json_t *options = json_loads(provider.options, 0, NULL);
    json_object_set_new(options, "in-flight", json_integer(sessions));
    char *text = json_dumps(options, JSON_COMPACT);
    json_decref(options);
    if (!text)
        abort();
    provider.options = cm_arena_printf(&target->arena, "%s", text);
    free(text);
    return provider;
}

static cm_status name_in_scratch(struct cm_provider_target *target, const char **ret_text,
                                 struct cm_error *err)
{
    if (target->scratch[0] == '\0'
        && cm_scratch_make("certmill-keys", target->scratch, sizeof target->scratch, err) != CM_OK)
        return err->status;
    *ret_text =
        cm_arena_printf(&target->arena, "file:%s/%u.pem", target->scratch, target->keys_count);
    return CM_OK;
}

cm_status cm_provider_target_name_key(struct cm_provider_target *target, char *ret_reference,
                                      size_t space, struct cm_error *err)
{
    uint32_t noise;
    const char *text = NULL;
    cm_status status = CM_OK;
    if (RAND_bytes((unsigned char *)&noise, sizeof noise) != 1)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "the random generator failed");
    const char *name =
        cm_arena_printf(&target->arena, "certmill-test-%08x-%u", noise, ++target->keys_count);
    if (strcmp(target->provider.kind, "pkcs11") == 0)
        text = cm_token_key_reference(target->token, name, &target->arena);
    else if (cm_provider_target_is_vault(target))
        text = cm_vault_flags_key(target->call, name, &target->arena);
    else
        status = name_in_scratch(target, &text, err);
    if (status != CM_OK)
        return status;
    if (strlen(text) >= space)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "the URI of a new key is too long");
    strcpy(ret_reference, text);
    return CM_OK;
}
