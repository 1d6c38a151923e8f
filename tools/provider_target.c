#include "tools/provider_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "engine/base/secret.h"
#include "tools/scratch.h"

#define PIN_VARIABLE "CERTMILL_PROVIDER_PIN"

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

cm_status cm_provider_target_find(struct cm_provider_target *target, const struct cm_call *call,
                                  struct cm_error *err)
{
    const char *kind = cm_call_value(call, "kind");
    *target = (struct cm_provider_target){ .token = cm_call_value(call, "token") };
    if (!kind) {
        cm_status status = find_in_settings(target, call, err);
        return status == CM_OK ? ask_once(target, err) : status;
    }
    target->provider = (struct cm_settings_provider){
        .name = kind,
        .kind = kind,
        .module = cm_call_value(call, "module"),
        .passphrase = cm_call_value(call, "pin"),
    };
    return ask_once(target, err);
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
}

cm_status cm_provider_target_name_key(struct cm_provider_target *target, char *ret_reference,
                                      size_t space, struct cm_error *err)
{
    const char *token = target->token ? target->token : "pkcs11:";
    const char *query = strchr(token, '?') ? strchr(token, '?') : "";
    uint32_t noise;
    int size;
    if (RAND_bytes((unsigned char *)&noise, sizeof noise) != 1)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "the random generator failed");
    if (strcmp(target->provider.kind, "pkcs11") == 0) {
        int path = (int)(*query ? query - token : (long)strlen(token));
        bool is_bare = token[path - 1] == ':';
        size = snprintf(ret_reference, space, "%.*s%sobject=certmill-test-%08x-%u%s", path, token,
                        is_bare ? "" : ";", noise, ++target->keys_count, query);
    } else {
        if (target->scratch[0] == '\0'
            && cm_scratch_make("certmill-keys", target->scratch, sizeof target->scratch, err)
                   != CM_OK)
            return err->status;
        size =
            snprintf(ret_reference, space, "file:%s/%u.pem", target->scratch, ++target->keys_count);
    }
    if (size < 0 || (size_t)size >= space)
        return CM_FAIL(err, CM_INVALID, CM_ORIGIN_SELF, 0, "the token's URI is too long");
    return CM_OK;
}
