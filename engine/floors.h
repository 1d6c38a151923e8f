/*
 * Floors: what the settings allow of a key, as the floor that its signer holds it to, and which lane
 * a certificate takes. Pure functions of settings and profiles; any thread.
 */
#ifndef CM_ENGINE_FLOORS_H
#define CM_ENGINE_FLOORS_H

#include "engine/settings/settings.h"
#include "providers/host.h"

/* Ceremony for certificates of authorities, OCSP for those of responders, else leaf. */
enum cm_lane cm_lane_of(const struct cm_profile *profile);

/*
 * The floor of an authority's key: its own name, the longest validity of the profiles that groups
 * may have from it, the ceremony lane where one of them makes authorities; CRLs as long as the settings
 * make them; certificates of responders where it has one (ocsp-responder) or a group may have such a
 * profile, and as long as these say. issuer_name is borrowed.
 */
struct cm_floor cm_floor_of(const struct cm_settings *settings,
                            const struct cm_settings_authority *authority,
                            struct cm_bytes issuer_name);

/* The floor of a delegated responder's key, for the authority whose name that is: OCSP responses of its
 * own, and nothing else. */
struct cm_floor cm_floor_of_responder(const struct cm_settings_authority *authority,
                                      struct cm_bytes issuer_name);

/* The floor of the key that signs checkpoints of the audit log: those, and nothing else. */
struct cm_floor cm_floor_of_audit(void);

#endif
