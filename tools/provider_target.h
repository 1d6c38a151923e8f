/*
 * Provider target: the provider instance that `provider test` and `provider bench` look at. One of
 * the settings, or one that the command line describes, so that an HSM can be tried before there is
 * a deployment. Also the names of the keys that these commands make and destroy again.
 */
#ifndef CM_TOOLS_PROVIDER_TARGET_H
#define CM_TOOLS_PROVIDER_TARGET_H

#include <jansson.h>

#include "tools/command.h"
#include "tools/provider_session.h"
#include "tools/vault_flags.h"

/* An instance without settings; with CM_OPTION_CONFIG, or an option of that name: one of the settings, too. */
#define CM_PROVIDER_TARGET_FLAGS                                                                   \
    { .name = "kind",                                                                              \
      .type = CM_OPTION_CHOICE,                                                                    \
      .argument = "KIND",                                                                          \
      .choices = "openssl pkcs11 keyvault",                                                        \
      .help = "An instance without settings: of this kind, described by the next options." },      \
        { .name = "module",                                                                        \
          .type = CM_OPTION_PATH,                                                                  \
          .argument = "FILE",                                                                      \
          .help = "`pkcs11`: the vendor's module, an absolute path." },                            \
        { .name = "pin",                                                                           \
          .type = CM_OPTION_TEXT,                                                                  \
          .argument = "REFERENCE",                                                                 \
          .help = "Where the PIN or passphrase is: `file:PATH`, `env:NAME`, `credential:NAME`, "   \
                  "`prompt:WORDS`." },                                                             \
        CM_VAULT_FLAGS("A relative path starts in the working directory."),                        \
    {                                                                                              \
        .name = "token", .type = CM_OPTION_TEXT, .argument = "URI",                                \
        .help = "`pkcs11`: the token to make keys in, like `pkcs11:token=LABEL`. Without it: "     \
                "the only one there is."                                                           \
    }

#define CM_PROVIDER_TARGET_OPTIONS CM_OPTION_CONFIG, CM_PROVIDER_TARGET_FLAGS

struct cm_provider_target {
    struct cm_settings_provider provider;
    const char *token; /* URI that new keys begin with; NULL: the only token */
    const struct cm_call *call;
    struct cm_arena arena; /* of texts */
    struct cm_settings *settings;
    char scratch[256]; /* folder of new key files; "": none was needed yet */
    unsigned keys_count;
};

/*
 * NULL, or why the flags cannot be meant so: a usage error, said before anything is opened. None is
 * passed over in silence: a PIN that is tried in another's place costs one of the token's tries.
 */
const char *cm_provider_target_complaint(const struct cm_call *call);

/*
 * Does:       with flags that nothing complained of, finds the instance: --kind and what goes with it, else the settings' instance that
 *             the operand names, else the settings' first. Done whatever comes out.
 * Fails with: what settings fail with, NOT_FOUND, INVALID (no place to make keys in, or
 *             one that this instance does not have).
 */
CM_MUST_USE cm_status cm_provider_target_find(struct cm_provider_target *target,
                                              const struct cm_call *call, struct cm_error *err);
void cm_provider_target_done(struct cm_provider_target *target);

/*
 * The end of the command: the error, or the rows as one JSON object; rows NULL: they were printed.
 * failures_count: rows that failed. Takes rows, returns the exit code.
 */
int cm_provider_target_conclude(const struct cm_provider_target *target, json_t *rows,
                                unsigned failures_count, const char *error);

/* Keys live in a key vault: no sessions, but requests in flight. */
bool cm_provider_target_is_vault(const struct cm_provider_target *target);

/* So many threads or sessions; of a vault, requests in flight. The texts are the target's. */
struct cm_settings_provider cm_provider_target_with(struct cm_provider_target *target,
                                                    uint32_t sessions);

/* A reference for a new key, which nobody else uses. Fails with: IO, INVALID (too long). */
CM_MUST_USE cm_status cm_provider_target_name_key(struct cm_provider_target *target,
                                                  char *ret_reference, size_t space,
                                                  struct cm_error *err);

/* The kinds of key that are tried. */
struct cm_provider_kind {
    const char *name; /* "p256", "rsa-2048" */
    struct cm_key_spec spec;
};

extern const struct cm_provider_kind cm_provider_kinds[];
extern const size_t cm_provider_kinds_count;

#endif
