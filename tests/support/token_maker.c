#include "tests/support/token_maker.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test_main.h"

static const char *const softhsm_modules[] = {
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
};

static void write_file(const char *path, const char *content)
{
    char part[600];
    snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "w");
    /* Not CUnit's assertions: this runs before the first test too. */
    if (!file || fputs(content, file) < 0 || fclose(file) != 0 || chmod(part, 0600) != 0
        || rename(part, path) != 0)
        abort();
}

/* ------------------------------------------------------------------ SoftHSM -- */

const char *token_softhsm_module(void)
{
    const char *other = getenv("CM_TEST_SOFTHSM");
    if (other)
        return other;
    for (size_t i = 0; i < sizeof softhsm_modules / sizeof softhsm_modules[0]; i++)
        if (access(softhsm_modules[i], R_OK) == 0)
            return softhsm_modules[i];
    return NULL;
}

const char *token_softhsm_folder(void)
{
    static char folder[512];
    snprintf(folder, sizeof folder, "%s/tokens", cm_test_scratch());
    return folder;
}

static bool run_softhsm_util(void)
{
    int status = -1;
    fflush(NULL); /* the child's freopen would write it once more */
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(126);
        execlp("softhsm2-util", "softhsm2-util", "--init-token", "--free", "--label", TOKEN_LABEL,
               "--pin", TOKEN_PIN, "--so-pin", "87654321", (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

bool token_softhsm_make(void)
{
    static bool made;
    char path[512], content[1024];
    if (made)
        return true;
    snprintf(path, sizeof path, "%s/softhsm2.conf", cm_test_scratch());
    snprintf(content, sizeof content,
             "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
             token_softhsm_folder());
    write_file(path, content);
    mkdir(token_softhsm_folder(), 0700);
    setenv("SOFTHSM2_CONF", path, 1);
    return made = run_softhsm_util();
}

/* ------------------------------------------------------------------ the fake -- */

const char *token_fake_module(void)
{
    return getenv("FAKE_PKCS11_MODULE");
}

void token_fake_script(const char *lines)
{
    char path[512];
    snprintf(path, sizeof path, "%s/fake_pkcs11.script", cm_test_scratch());
    write_file(path, lines);
    setenv("FAKE_PKCS11", path, 1);
}

void token_fake_event(const char *lines, const char *events)
{
    static unsigned id;
    char content[1024];
    int used = snprintf(content, sizeof content, "%s\n", lines);
    while (*events) {
        int size = (int)strcspn(events, " ");
        used += snprintf(content + used, sizeof content - (size_t)used, "once %u %.*s\n", ++id,
                         size, events);
        events += size + (events[size] == ' ');
    }
    token_fake_script(content);
}

/* An exported function of the module's. */
static void *find_in_fake(const char *name)
{
    void *library = dlopen(token_fake_module(), RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, name) : NULL;
    if (!symbol)
        abort();
    dlclose(library);
    return symbol;
}

unsigned token_fake_calls(const char *function)
{
    unsigned (*calls)(const char *);
    void *symbol = find_in_fake("fake_pkcs11_calls");
    memcpy(&calls, &symbol, sizeof calls);
    return calls(function);
}

unsigned token_fake_sessions(void)
{
    unsigned (*sessions)(void);
    void *symbol = find_in_fake("fake_pkcs11_sessions");
    memcpy(&sessions, &symbol, sizeof sessions);
    return sessions();
}

const char *token_pin_reference(const char *pin)
{
    static char reference[600];
    snprintf(reference, sizeof reference, "file:%s/pin-%s", cm_test_scratch(), pin);
    write_file(reference + 5, pin);
    return reference;
}
