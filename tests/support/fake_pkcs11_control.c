#include "tests/support/fake_pkcs11.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const char *const function_names[] = {
#define X(name) #name,
    FAKE_FUNCTIONS(X)
#undef X
};

static unsigned calls[FAKE_FUNCTION_COUNT];
static struct timespec read_time;
static ino_t read_inode;
static unsigned last_event;

static int find_function(const char *name)
{
    for (int i = 0; i < FAKE_FUNCTION_COUNT; i++)
        if (strcmp(function_names[i], name) == 0)
            return i;
    fprintf(stderr, "fake_pkcs11: %s is no function of the script\n", name);
    abort();
}

__attribute__((visibility("default"))) unsigned fake_pkcs11_calls(const char *function)
{
    int index = find_function(function);
    pthread_mutex_lock(&fake.mutex);
    unsigned count = calls[index];
    pthread_mutex_unlock(&fake.mutex);
    return count;
}

/* ------------------------------------------------------------------ reading -- */

static bool take_flag(struct fake_script *script, const char *word)
{
    const struct {
        const char *word;
        bool *flag;
    } flags[] = { { "absent", &script->absent },
                  { "twins", &script->twins },
                  { "full", &script->full },
                  { "wrong-signature", &script->wrong_signature },
                  { "short-signature", &script->short_signature },
                  { "bare-point", &script->bare_point },
                  { "no-names", &script->no_names },
                  { "no-public", &script->no_public },
                  { "no-private", &script->no_private },
                  { "lost-pair", &script->lost_pair } };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(flags[i].word, word) == 0)
            return *flags[i].flag = true;
    return false;
}

static void take_once(unsigned id, const char *event)
{
    if (id <= last_event)
        return;
    last_event = id;
    fake_on_event(event);
}

static void take_line(struct fake_script *script, const char *line)
{
    char word[32] = "", first[64] = "", second[32] = "", third[32] = "0";
    if (sscanf(line, "%31s %63s %31s %31s", word, first, second, third) < 1)
        return;
    if (take_flag(script, word))
        return;
    if (strcmp(word, "label") == 0) {
        snprintf(script->label, sizeof script->label, "%.31s", first);
    } else if (strcmp(word, "pin") == 0) {
        script->pin_locked = strcmp(first, "locked") == 0;
        script->pin_final = strcmp(first, "final") == 0;
    } else if (strcmp(word, "max-sessions") == 0) {
        script->max_sessions = (unsigned)strtoul(first, NULL, 0);
    } else if (strcmp(word, "slow") == 0) {
        script->slow_ms = (unsigned)strtoul(first, NULL, 0);
    } else if (strcmp(word, "far") == 0) {
        script->far_ms = (unsigned)strtoul(first, NULL, 0);
    } else if (strcmp(word, "hang") == 0) {
        script->hang[find_function(first)] = true;
    } else if (strcmp(word, "without") == 0 && script->without_count < FAKE_WITHOUT_MAX) {
        script->without[script->without_count++] = strtoul(first, NULL, 0);
    } else if (strcmp(word, "once") == 0) {
        take_once((unsigned)strtoul(first, NULL, 0), second);
    } else if (strcmp(word, "fail") == 0) {
        int function = find_function(first);
        script->fail_code[function] = strtoul(second, NULL, 0);
        script->fail_count[function] = third[0] == '0' ? -1 : atoi(third);
    } else {
        fprintf(stderr, "fake_pkcs11: cannot read \"%s\"\n", line);
        abort();
    }
}

/* Written under another name and renamed, so that there is never half of it. */
static void read_script(void)
{
    struct stat status;
    char line[128];
    const char *path = getenv("FAKE_PKCS11");
    if (!path || stat(path, &status) != 0) {
        fake.script = (struct fake_script){ .label = "fake" };
        return;
    }
    if (status.st_ino == read_inode && status.st_mtim.tv_sec == read_time.tv_sec
        && status.st_mtim.tv_nsec == read_time.tv_nsec)
        return;
    read_inode = status.st_ino;
    read_time = status.st_mtim;
    fake.script = (struct fake_script){ .label = "fake" };
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        take_line(&fake.script, line);
    if (file)
        fclose(file);
}

/* ------------------------------------------------------------------ obeying -- */

static CK_RV failure_of(enum fake_function function)
{
    struct fake_script *script = &fake.script;
    if (script->fail_count[function] == 0)
        return CKR_OK;
    if (script->fail_count[function] > 0)
        script->fail_count[function]--;
    return script->fail_code[function];
}

static void sleep_ms(unsigned duration_ms)
{
    const struct timespec duration = { .tv_sec = duration_ms / 1000,
                                       .tv_nsec = (long)(duration_ms % 1000) * 1000000 };
    nanosleep(&duration, NULL);
}

static void trace(enum fake_function function)
{
    const char *path = getenv("FAKE_PKCS11_TRACE");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file)
        return;
    fprintf(file, "%s\n", function_names[function]);
    fclose(file);
}

CK_RV fake_begin(enum fake_function function)
{
    pthread_mutex_lock(&fake.mutex); /* { */
    calls[function]++;
    trace(function);
    read_script();
    while (fake.script.hang[function]) {
        pthread_mutex_unlock(&fake.mutex);
        sleep_ms(5);
        pthread_mutex_lock(&fake.mutex);
        read_script();
    }
    CK_RV code = failure_of(function);
    unsigned slow_ms = function == FAKE_C_Sign ? fake.script.slow_ms : 0;
    if (function > FAKE_C_OpenSession)
        slow_ms += fake.script.far_ms;
    bool usable = fake.initialised && !fake.forgotten;
    pthread_mutex_unlock(&fake.mutex); /* } */
    if (slow_ms > 0)
        sleep_ms(slow_ms);
    if (code == CKR_OK && !usable && function != FAKE_C_Initialize && function != FAKE_C_Finalize)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    return code;
}
