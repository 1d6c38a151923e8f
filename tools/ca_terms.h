/*
 * CA terms: what a CA's certificate says of those below it, as options of a command have it: path length, name
 * constraints, policies, and how long it lives. For `ca create` and `ca cross-sign`. One thread.
 *
 *     profile = *cm_profile_builtin("issuing-ca");
 *     code = cm_ca_terms_plan(call, &arena, &profile, &must_last);
 */
#ifndef CM_TOOLS_CA_TERMS_H
#define CM_TOOLS_CA_TERMS_H

#include "engine/base/arena.h"
#include "engine/x509/profile.h"
#include "tools/command.h"

/* Name constraints (RFC 5280, 4.2.1.10). */
#define CM_CA_TERMS_NAMES(kind, argument_, what)                                                   \
    { .name = "permit-" kind,                                                                      \
      .type = CM_OPTION_TEXT,                                                                      \
      .argument = argument_,                                                                       \
      .repeats = true,                                                                             \
      .help = "Of names of this kind, only these may stand below it: " what "." },                 \
    {                                                                                              \
        .name = "exclude-" kind, .type = CM_OPTION_TEXT, .argument = argument_, .repeats = true,   \
        .help = "These may not stand below it: " what "."                                          \
    }

/* Beside these, a command has "path-length", a number, and "validity", a text. */
#define CM_CA_TERMS_OPTIONS                                                                        \
    { .name = "policy",                                                                            \
      .type = CM_OPTION_TEXT,                                                                      \
      .argument = "OID",                                                                           \
      .repeats = true,                                                                             \
      .help = "A certificate policy that it issues under. May be given more than once." },         \
        CM_CA_TERMS_NAMES("dns", "NAME", "`NAME` and whatever is below it, like `example.com`"),   \
        CM_CA_TERMS_NAMES("email", "NAME",                                                         \
                          "a mailbox, those of a host (`example.com`), or of the hosts below it "  \
                          "(`.example.com`)"),                                                     \
        CM_CA_TERMS_NAMES("uri", "NAME",                                                           \
                          "URIs with the host `NAME`, or with those below it (`.example.com`)"),   \
        CM_CA_TERMS_NAMES("ip", "NETWORK", "addresses of a network, like `10.0.0.0/8`")

/*
 * Does:    fills a profile of CAs with what the call gives, and checks it whole. *ret_must_last: a validity was asked
 *          for; else it may be cut short.
 * Owns:    lists are in the arena, texts are the call's.
 * Returns: CM_EXIT_DONE, or CM_EXIT_USAGE after the complaint was printed.
 */
int cm_ca_terms_plan(const struct cm_call *call, struct cm_arena *arena, struct cm_profile *profile,
                     bool *ret_must_last);

#endif
