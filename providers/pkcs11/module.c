#include "providers/pkcs11/module.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLOSED = 1 << 30, RESTART_TRIES = 1000 };

/* All modules of the process; under the mutex, which is also held while one is (re)initialised. */
static pthread_mutex_t modules_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct cm_p11_module *modules;

static cm_status initialise(struct cm_p11_module *module, struct cm_error *err)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    char name[32];
    CK_RV code = module->f->C_Initialize(&args);
    module->initialised_by_others = code == CKR_CRYPTOKI_ALREADY_INITIALIZED;
    if (code == CKR_OK || code == CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        atomic_fetch_add(&module->generation, 1);
        return CM_OK;
    }
    return CM_FAIL(err, code == CKR_CANT_LOCK ? CM_UNSUPPORTED : CM_UNAVAILABLE, CM_ORIGIN_PKCS11,
                   (int64_t)code, "PKCS#11 module %s does not start: C_Initialize answers %s",
                   module->path, cm_p11_code_name(code, name));
}

/* RTLD_LOCAL: modules bring their own copies of everything; none may stand in for ours. */
static cm_status load(struct cm_p11_module *module, struct cm_error *err)
{
    CK_C_GetFunctionList get_list;
    CK_FUNCTION_LIST *list = NULL;
    void *library = dlopen(module->path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "PKCS#11 module does not load: %s",
                       dlerror());
    void *symbol = dlsym(library, "C_GetFunctionList");
    if (!symbol)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "%s is no PKCS#11 module: it has no C_GetFunctionList", module->path);
    memcpy(&get_list, &symbol, sizeof get_list);
    if (get_list(&list) != CKR_OK || !list || list->version.major < 2)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "PKCS#11 module %s gives no function list of version 2 or later",
                       module->path);
    module->f = list;
    return initialise(module, err);
}

static struct cm_p11_module *find_locked(const char *path)
{
    struct cm_p11_module *module = modules;
    while (module && strcmp(module->path, path) != 0)
        module = module->next;
    return module;
}

static cm_status add_locked(const char *path, struct cm_p11_module **ret_module,
                            struct cm_error *err)
{
    struct cm_p11_module *module = calloc(1, sizeof *module);
    if (!module || !(module->path = strdup(path))) {
        free(module);
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a PKCS#11 module");
    }
    cm_status status = load(module, err);
    if (status != CM_OK) {
        free(module->path);
        free(module);
        return status;
    }
    module->next = modules;
    modules = module;
    *ret_module = module;
    return CM_OK;
}

cm_status cm_p11_module_ref(const char *path, struct cm_p11_module **ret_module,
                            struct cm_error *err)
{
    cm_status status = CM_OK;
    if (path[0] != '/')
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "PKCS#11 module %s: an absolute path is needed", path);
    pthread_mutex_lock(&modules_mutex); /* { */
    struct cm_p11_module *module = find_locked(path);
    if (!module)
        status = add_locked(path, &module, err);
    if (status == CM_OK) {
        atomic_fetch_add(&module->users, 1);
        *ret_module = module;
    }
    pthread_mutex_unlock(&modules_mutex); /* } */
    return status;
}

void cm_p11_module_unref(struct cm_p11_module *module)
{
    if (!module)
        return;
    pthread_mutex_lock(&modules_mutex); /* { */
    if (atomic_fetch_sub(&module->users, 1) == 1) {
        struct cm_p11_module **at = &modules;
        while (*at != module)
            at = &(*at)->next;
        *at = module->next;
        if (!module->initialised_by_others)
            (void)module->f->C_Finalize(NULL);
        free(module->path);
        free(module);
    }
    pthread_mutex_unlock(&modules_mutex); /* } */
}

/* ------------------------------------------------------------------ the gate -- */

void cm_p11_enter(struct cm_p11_module *module)
{
    while (atomic_fetch_add(&module->inside, 1) & CLOSED) {
        atomic_fetch_sub(&module->inside, 1);
        /* Whoever closed it holds the mutex until it is open again. */
        pthread_mutex_lock(&modules_mutex);
        pthread_mutex_unlock(&modules_mutex);
    }
}

void cm_p11_leave(struct cm_p11_module *module)
{
    atomic_fetch_sub(&module->inside, 1);
}

/*
 * Closed only in a moment when nobody is inside, so that a call that hangs holds up nobody else. On
 * true the mutex is held, by whom others wait for.
 */
static bool close_gate(struct cm_p11_module *module)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    for (unsigned i = 0; i < RESTART_TRIES; i++) {
        unsigned nobody = 0;
        pthread_mutex_lock(&modules_mutex); /* { */
        if (atomic_compare_exchange_strong(&module->inside, &nobody, CLOSED))
            return true;
        pthread_mutex_unlock(&modules_mutex); /* } */
        nanosleep(&pause, NULL);
    }
    return false;
}

cm_status cm_p11_module_restart(struct cm_p11_module *module, struct cm_error *err)
{
    if (module->initialised_by_others)
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0,
                       "PKCS#11 module %s is used by other code of this process too", module->path);
    if (!close_gate(module))
        return CM_FAIL(err, CM_BUSY, CM_ORIGIN_SELF, 0,
                       "PKCS#11 module %s cannot be restarted: a call has not come back",
                       module->path);
    (void)module->f->C_Finalize(NULL);
    cm_status status = initialise(module, err);
    atomic_fetch_sub(&module->inside, CLOSED);
    pthread_mutex_unlock(&modules_mutex); /* } of close_gate */
    return status;
}
