/*
 * Module: a vendor's PKCS#11 library, loaded once a process and shared by all that name it.
 *
 * A path is loaded and initialised once, whoever asks (PKCS#11 v3.1 5.4: C_Initialize belongs to
 * the process); the last user finalises it. It is never unloaded: modules start threads and leave
 * destructors behind, and unloading them is where processes crash.
 *
 * Every call into the module lies between cm_p11_enter and cm_p11_leave. This only counts: calls do
 * not wait for each other. The count is what makes it safe to initialise a module anew after it
 * answered that it is beyond recovery: C_Finalize under a running call crashes or hangs. The
 * generation says how often that happened: handles of an older generation are void.
 */
#ifndef CM_PROVIDERS_PKCS11_MODULE_H
#define CM_PROVIDERS_PKCS11_MODULE_H

#include "engine/base/status.h"

#include <stdatomic.h>
#include <stdbool.h>

#include <p11-kit/pkcs11.h>

struct cm_p11_module {
    const CK_FUNCTION_LIST *f; /* the module's functions; constant */
    char *path;
    atomic_uint inside;                /* calls in progress; the top bit: closed */
    atomic_uint generation;            /* counts initialisations */
    atomic_uint users;                 /* shares given out */
    atomic_uint tokens_ready;          /* token.h's: that are logged in and well */
    atomic_bool initialised_by_others; /* then it is not ours to finalise */
    struct cm_p11_module *next;
};

/*
 * Does:       loads and initialises the module, or takes a further share of it.
 * Owns:       *ret_module is to be given back with cm_p11_module_unref.
 * Thread:     any. May take as long as the module's C_Initialize.
 * Fails with: UNAVAILABLE (does not load, or does not initialise), UNSUPPORTED (no PKCS#11 module;
 *             cannot be used from several threads), MALFORMED (no absolute path), NO_MEMORY.
 */
CM_MUST_USE cm_status cm_p11_module_ref(const char *path, struct cm_p11_module **ret_module,
                                        struct cm_error *err);

/* Takes NULL. With no call of the user's in progress. */
void cm_p11_module_unref(struct cm_p11_module *module);

/* Waits only while the module is being initialised anew. Any thread. */
void cm_p11_enter(struct cm_p11_module *module);
void cm_p11_leave(struct cm_p11_module *module);

/*
 * Does:       C_Finalize and C_Initialize, when for a moment nobody is inside; nobody is kept from
 *             entering meanwhile. Every session of every user is gone afterwards.
 * Thread:     any that is not inside.
 * Fails with: BUSY (calls went on for a second, or the module is another's), UNAVAILABLE (it does not
 *             initialise again; may be tried later).
 */
CM_MUST_USE cm_status cm_p11_module_restart(struct cm_p11_module *module, struct cm_error *err);

/* "CKR_PIN_INCORRECT"; a code that the standard does not name is written out. Space for text: 32. */
const char *cm_p11_code_name(CK_RV code, char *text);

#endif
