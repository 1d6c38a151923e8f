#include "tools/private_token.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/rand.h>
#include <p11-kit/pkcs11.h>

enum { PIN_OCTETS = 8, PIN_SIZE = 2 * PIN_OCTETS };

static const char label[] = "certmill";

const char *cm_private_token_module(void)
{
    static const char *const paths[] = { "/usr/lib/softhsm/libsofthsm2.so",
                                         "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                                         "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
                                         "/usr/lib64/pkcs11/libsofthsm2.so" };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    return NULL;
}

/* --- in the child -------------------------------------------------------------------------------- */

static CK_RV set_user_pin(CK_FUNCTION_LIST *f, CK_SLOT_ID slot, char *pin)
{
    CK_SESSION_HANDLE session;
    CK_RV code = f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (code == CKR_OK)
        code = f->C_Login(session, CKU_SO, (CK_UTF8CHAR *)pin, PIN_SIZE);
    if (code == CKR_OK)
        code = f->C_InitPIN(session, (CK_UTF8CHAR *)pin, PIN_SIZE);
    return code;
}

static CK_RV init_token(CK_FUNCTION_LIST *f, char *pin)
{
    CK_UTF8CHAR padded[32];
    CK_SLOT_ID slots[8];
    CK_ULONG count = sizeof slots / sizeof slots[0];
    memset(padded, ' ', sizeof padded);
    memcpy(padded, label, strlen(label));
    CK_RV code = f->C_Initialize(NULL);
    if (code == CKR_OK)
        code = f->C_GetSlotList(CK_FALSE, slots, &count);
    if (code == CKR_OK && count == 0)
        code = CKR_SLOT_ID_INVALID;
    if (code == CKR_OK)
        code = f->C_InitToken(slots[0], (CK_UTF8CHAR *)pin, PIN_SIZE, padded);
    if (code == CKR_OK)
        code = set_user_pin(f, slots[0], pin);
    return code;
}

/* Ends without destructors: nothing of the module is wanted any more. */
static _Noreturn void run_child(const char *module, char *pin)
{
    CK_C_GetFunctionList get = NULL;
    CK_FUNCTION_LIST *f = NULL;
    void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    if (library)
        *(void **)&get = dlsym(library, "C_GetFunctionList");
    bool done = get && get(&f) == CKR_OK && init_token(f, pin) == CKR_OK;
    _exit(done ? 0 : 1);
}

/* --- around it ----------------------------------------------------------------------------------- */

static cm_status write_file(const char *path, const char *text, struct cm_error *err)
{
    mode_t mask = umask(0077);
    FILE *file = fopen(path, "wx");
    umask(mask);
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        return CM_FAIL(err, errno == EEXIST ? CM_EXISTS : CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    return CM_OK;
}

static cm_status write_files(struct cm_private_token *token, const char *folder, char *ret_pin,
                             struct cm_error *err)
{
    char path[4200], text[4400];
    uint8_t octets[PIN_OCTETS];
    snprintf(path, sizeof path, "%.4000s/token/objects", folder);
    snprintf(token->settings, sizeof token->settings, "%.4000s/token/softhsm2.conf", folder);
    snprintf(token->pin, sizeof token->pin, "file:%.4000s/token/pin", folder);
    snprintf(text, sizeof text,
             "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", path);
    if (RAND_bytes(octets, sizeof octets) != 1)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_SELF, 0, "the random generator failed");
    for (unsigned i = 0; i < PIN_OCTETS; i++)
        snprintf(ret_pin + 2 * (size_t)i, 3, "%02x", octets[i]);
    *strrchr(path, '/') = '\0';
    if (mkdir(path, 0700) != 0)
        return CM_FAIL(err, errno == EEXIST ? CM_EXISTS : CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    strcat(path, "/objects");
    if (mkdir(path, 0700) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "%s", path);
    cm_status status = write_file(token->settings, text, err);
    if (status == CM_OK)
        status = write_file(token->pin + strlen("file:"), ret_pin, err);
    return status;
}

cm_status cm_private_token_make(struct cm_private_token *token, const char *folder,
                                struct cm_error *err)
{
    char pin[PIN_SIZE + 1];
    char *absolute = realpath(folder, NULL);
    int how = -1;
    token->module = cm_private_token_module();
    if (!token->module || !absolute) {
        free(absolute);
        return CM_FAIL(err, CM_NOT_FOUND, CM_ORIGIN_SELF, 0,
                       "SoftHSM is not installed (Debian's package softhsm2)");
    }
    cm_status status = write_files(token, absolute, pin, err);
    free(absolute);
    if (status != CM_OK)
        return status;
    setenv("SOFTHSM2_CONF", token->settings, 1);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_child(token->module, pin);
    if (pid < 0 || waitpid(pid, &how, 0) != pid || !WIFEXITED(how) || WEXITSTATUS(how) != 0)
        return CM_FAIL(err, CM_UNAVAILABLE, CM_ORIGIN_SELF, 0, "%s made no token in %s",
                       token->module, token->settings);
    return CM_OK;
}
