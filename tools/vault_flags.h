/*
 * Vault flags: how a command line describes a provider of the kind keyvault. Shared by `init`, which
 * writes them into the settings, and by `provider test` and `provider bench`, which have none.
 *
 * Which credential it is follows from what is given: --client-secret, --certificate, else the
 * machine's managed identity; --credential says another one. Pure functions, one thread.
 */
#ifndef CM_TOOLS_VAULT_FLAGS_H
#define CM_TOOLS_VAULT_FLAGS_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "tools/command.h"

/* paths: where relative ones start, for people. */
#define CM_VAULT_FLAGS(paths)                                                                      \
    { .name = "vault",                                                                             \
      .type = CM_OPTION_TEXT,                                                                      \
      .argument = "URL",                                                                           \
      .help = "`keyvault`: the vault that keys are made in, like "                                 \
              "`https://NAME.vault.azure.net`." },                                                 \
        { .name = "credential",                                                                    \
          .type = CM_OPTION_CHOICE,                                                                \
          .argument = "KIND",                                                                      \
          .choices = "managed-identity client-secret client-certificate workload-identity",        \
          .help = "`keyvault`: how the vault knows us. Without it: what `--client-secret` or "     \
                  "`--certificate` says, else `managed-identity`." },                              \
        { .name = "tenant",                                                                        \
          .type = CM_OPTION_TEXT,                                                                  \
          .argument = "ID",                                                                        \
          .help = "`keyvault`: the directory. Without it: the one that the vault names." },        \
        { .name = "client",                                                                        \
          .type = CM_OPTION_TEXT,                                                                  \
          .argument = "ID",                                                                        \
          .help =                                                                                  \
              "`keyvault`: the client id of the application, or of a user-assigned identity." },   \
        { .name = "client-secret",                                                                 \
          .type = CM_OPTION_TEXT,                                                                  \
          .argument = "REFERENCE",                                                                 \
          .help = "`keyvault`: where the client secret is: `file:PATH`, `env:NAME` or "            \
                  "`credential:NAME`. " paths },                                                   \
        { .name = "certificate",                                                                   \
          .type = CM_OPTION_PATH,                                                                  \
          .argument = "FILE",                                                                      \
          .help = "`keyvault`: PEM file of a client certificate and its private key. " paths },    \
        { .name = "require",                                                                       \
          .type = CM_OPTION_CHOICE,                                                                \
          .argument = "LEVEL",                                                                     \
          .choices = "software hsm",                                                               \
          .help =                                                                                  \
              "`keyvault`: the protection that keys must have at least, and that new ones get. "   \
              "Without it: `software`." },                                                         \
        { .name = "trust",                                                                         \
          .type = CM_OPTION_PATH,                                                                  \
          .argument = "FILE",                                                                      \
          .help = "`keyvault`: PEM file of the CAs that certificates of the vault, and of the "    \
                  "directory that tokens come from, may lead to, in place of the system's. "       \
                  "Without it: the system's. " paths },                                            \
        { .name = "resource",                                                                      \
          .type = CM_OPTION_TEXT,                                                                  \
          .argument = "URL",                                                                       \
          .help = "`keyvault`: the only resource that the vault may ask a token for. Without it: " \
                  "one whose host the vault's host lies under." },                                 \
    {                                                                                              \
        .name = "authority", .type = CM_OPTION_TEXT, .argument = "URL",                            \
        .help = "`keyvault`: the directory that tokens come from, where it is none of "            \
                "Microsoft's. Without it: the one that the vault names."                           \
    }

/*
 * Whether a value can stand between quotes in the settings: printable ASCII, without quotes and
 * backslashes, which would end the YAML text. NULL can.
 */
bool cm_flag_is_plain(const char *text);

/* Any of them is on the command line. */
bool cm_vault_flags_given(const struct cm_call *call);

/* One that says how the provider is: any but --vault, which only says where keys are made. */
bool cm_vault_flags_describe(const struct cm_call *call);

/* NULL, or why the flags cannot be meant so: a usage error. */
const char *cm_vault_flags_complaint(const struct cm_call *call);

/*
 * The options of the backend, as JSON (providers/keyvault/options.h), in the arena. folder: relative
 * paths start there; NULL: in the working directory.
 * Fails with: INVALID (a path is not UTF-8).
 */
CM_MUST_USE cm_status cm_vault_flags_options(const struct cm_call *call, const char *folder,
                                             struct cm_arena *arena, const char **ret_options,
                                             struct cm_error *err);

/* The lines of the settings' map `keyvault`. */
const char *cm_vault_flags_settings(const struct cm_call *call, struct cm_arena *arena);

/* Azure deletes softly: said wherever one of our keys was deleted. */
#define CM_VAULT_KEEPS                                                                             \
    "soft delete: the vault keeps the key, and its name, until it is purged or its retention time is over"

/* Whether that is so of a key of this reference. */
bool cm_vault_keeps(const char *reference);

/* A new key's reference: "https://HOST/keys/NAME". */
const char *cm_vault_flags_key(const struct cm_call *call, const char *name,
                               struct cm_arena *arena);

#endif
