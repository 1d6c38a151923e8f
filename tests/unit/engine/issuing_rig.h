/*
 * Issuing rig: authorities of a real store, their keys in files, and the issuers opened over them. For what
 * stands beside the path of a request: issuers, responders.
 *
 *     issuing_begin(&rig, "openssl");
 *     issuing_add(&rig, CM_GENERATION_ACTIVE, 365);
 *     issuing_open(&rig);
 *     ... rig.issuers.keys[0] ...
 *     issuing_end(&rig);
 *
 * Failing to make something ends the program: no test would mean anything.
 */
#ifndef CM_TESTS_UNIT_ENGINE_ISSUING_RIG_H
#define CM_TESTS_UNIT_ENGINE_ISSUING_RIG_H

#include "engine/issuers.h"
#include "engine/serials.h"

enum { ISSUING_NOTICES_MAX = 16 };

struct issuing_rig {
    struct cm_loop *loop;
    struct cm_store *store;
    struct cm_store_reader *reader;
    char folder[400]; /* of keys and store */
    struct cm_settings settings;
    struct cm_settings_authority authority; /* "issuing" */
    struct cm_settings_provider providers_settings[2];
    struct cm_provider *providers[2];
    struct cm_issuers issuers;
    struct cm_serials serials;
    int64_t generations_count;
    uint32_t idles_count;
    bool is_opened;
    bool may_wait;        /* of the issuers */
    unsigned added_count; /* told by them */
    char notices[ISSUING_NOTICES_MAX][CM_ERROR_TEXT_SIZE];
    uint32_t notices_count;
};

/* A store in a fresh folder, and one provider, "software", of this kind: openssl, fake, and with
 * "-hosted" behind it in a signer process. options: the fake's script, or NULL. */
void issuing_begin(struct issuing_rig *rig, const char *kind, const char *options);

/* Opens a second provider, "responders"; of the same kinds. */
void issuing_add_provider(struct issuing_rig *rig, const char *kind, const char *options);

/* The next generation of the authority: file:issuing-N.pem in provider "software". */
void issuing_add(struct issuing_rig *rig, enum cm_generation_state state, int days);
/* The same for one whose key is elsewhere, or nowhere. */
void issuing_add_with(struct issuing_rig *rig, enum cm_generation_state state, int days,
                      const char *provider, const char *reference);

/* Opens the issuers and waits; their status. */
cm_status issuing_open(struct issuing_rig *rig);

/* Closes and opens store, providers and issuers: as a restart would. */
void issuing_close(struct issuing_rig *rig);
void issuing_reopen(struct issuing_rig *rig);

void issuing_end(struct issuing_rig *rig);

/* Runs the loop for so long, or until is_done says so; false: it never did, for ten seconds. */
void issuing_pause(struct issuing_rig *rig, uint32_t duration_ms);
bool issuing_wait(struct issuing_rig *rig, bool (*is_done)(void *arg), void *arg);
bool issuing_is_idle(void *rig); /* the issuers are: for issuing_wait */

/* Was this said? */
bool issuing_told(const struct issuing_rig *rig, const char *words);

/* For environments: arg is the rig. */
void issuing_on_notice(const char *text, void *arg);

/* What the store says of the n-th generation of the walk; spans are static. */
struct cm_generation issuing_generation(struct issuing_rig *rig, unsigned position);

/* How many audit rows of this kind there are. */
unsigned issuing_count_audit(struct issuing_rig *rig, const char *kind);

#endif
