/*
 * Clones: which public keys are certified already, so that one key never serves two devices.
 *
 * A compact filter in memory holds a fingerprint (64 bits of SHA-256 of the SubjectPublicKeyInfo)
 * and the certificate's number for every certificate in the store, 16 bytes each. It is rebuilt at
 * start and grows as certificates are issued. A hit is confirmed in the store by the caller; a miss
 * is certain. Keys of requests in flight are claimed for their device, so that two devices cannot
 * pass at the same moment with one key.
 *
 * Thread: any; one mutex, taken once for each claim or release.
 */
#ifndef CM_ENGINE_CLONES_H
#define CM_ENGINE_CLONES_H

#include <pthread.h>

#include "engine/store/store.h"

struct cm_clones_slot {
    uint64_t fingerprint;
    uint64_t value; /* certificate number; or whose claim; 0: free */
};

struct cm_clones_table {
    struct cm_clones_slot *slots;
    size_t slots_count; /* a power of two */
    size_t used_count;
};

struct cm_clones {
    struct {
        pthread_mutex_t mutex;
        struct cm_clones_table certified; /* latest certificate of each key */
        struct cm_clones_table claimed;   /* in flight */
    } shared;                             /* under the mutex */
};

enum cm_clone_verdict {
    CM_CLONE_NEW,      /* never seen: claimed for the device now */
    CM_CLONE_CLAIMED,  /* in flight for this device already: claimed once more */
    CM_CLONE_KNOWN,    /* certified before, as *ret_number: whose it is, the store knows; claimed */
    CM_CLONE_CONTESTED /* in flight for another device: not claimed */
};

void cm_clones_init(struct cm_clones *clones);
void cm_clones_done(struct cm_clones *clones);

uint64_t cm_clones_fingerprint(struct cm_bytes spki);

/* Every claim is released once, with the number of the certificate that came of it, or 0. */
enum cm_clone_verdict cm_clones_claim(struct cm_clones *clones, uint64_t fingerprint,
                                      struct cm_bytes device_id, cm_certificate_number *ret_number);
void cm_clones_release(struct cm_clones *clones, uint64_t fingerprint,
                       cm_certificate_number number);

/* A certificate that no claim came before: from the store at start-up, or one of the engine's own. */
void cm_clones_add(struct cm_clones *clones, uint64_t fingerprint, cm_certificate_number number);

#endif
