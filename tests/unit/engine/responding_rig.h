/*
 * Responding rig: an issuing rig, and the responders opened over it, with what they tell.
 *
 *     responding_begin(&rig, "openssl", NULL, "openssl");
 *     responding_wait_for_changes(&rig, 1);
 *     ... responding_find(&rig, 0) ...
 *     responding_end(&rig);
 *
 * What fails in it ends the test.
 */
#ifndef CM_TESTS_UNIT_ENGINE_RESPONDING_RIG_H
#define CM_TESTS_UNIT_ENGINE_RESPONDING_RIG_H

#include <openssl/x509.h>

#include "engine/revocation/responder_parts.h"
#include "tests/unit/engine/issuing_rig.h"

enum { RESPONDING_DAY_S = 86400 };

struct responding_rig {
    struct issuing_rig issuing;
    struct cm_responders *responders;
    unsigned changes_count; /* told since they were opened */
    int64_t changed_generation;
    struct cm_clones clones;
    struct cm_book *book; /* the test's; NULL: the responders have none */
    char away[450];       /* while there is this file, the fake is away */
};

/* One active generation, its key with a provider of this kind; the responders' keys with one of
 * responders_kind, or without one (NULL). */
void responding_begin(struct responding_rig *rig, const char *kind, const char *options,
                      const char *responders_kind);
/* The same, with the responders yet to be opened. */
void responding_prepare(struct responding_rig *rig, const char *kind, const char *options,
                        const char *responders_kind);
void responding_end(struct responding_rig *rig);

/* The responders alone. */
void responding_open(struct responding_rig *rig);
void responding_close(struct responding_rig *rig);
void responding_restart(struct responding_rig *rig); /* everything */

void responding_wait_for_changes(struct responding_rig *rig, unsigned count);
void responding_wait_for_words(struct responding_rig *rig, const char *words);

/* Of the issuer at this position. */
const struct cm_responder *responding_find(const struct responding_rig *rig, uint32_t position);
struct cm_store_counts responding_count(struct responding_rig *rig);

/* The script of a fake that is away while there is rig->away; static. */
const char *responding_away_script(struct responding_rig *rig);
void responding_touch(const char *path);

/* As OpenSSL reads it; freed by the caller. */
X509 *responding_read_certificate(struct cm_bytes der);

/* A relying party that knows the CA and nothing else takes what it answers. */
void responding_expect_openssl_to_verify(struct responding_rig *rig, uint32_t position);

#endif
