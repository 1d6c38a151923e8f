/* certmill doctor: looks at everything that a deployment needs, and says what to do. */
#include "tools/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "tools/commands.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const verdict_names[] = {
    [CM_VERDICT_OK] = "OK",
    [CM_VERDICT_WARN] = "WARN",
    [CM_VERDICT_FAIL] = "FAIL",
};

void cm_doctor_say(struct cm_doctor *doctor, enum cm_verdict verdict, const char *what,
                   const char *advice, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    doctor->counts[verdict]++;
    if (doctor->findings) {
        json_array_append_new(doctor->findings,
                              json_pack("{s:s, s:s, s:s, s:s?}", "verdict", verdict_names[verdict],
                                        "check", what, "text", text, "advice", advice));
        return;
    }
    printf("%-4s  %s: %s\n", verdict_names[verdict], what, text);
    if (advice && verdict != CM_VERDICT_OK)
        printf("      -> %s\n", advice);
}

static void check_settings(struct cm_doctor *doctor, const char *path,
                           struct cm_settings **ret_settings)
{
    struct cm_error err;
    if (cm_settings_read(path, ret_settings, &err) != CM_OK)
        cm_doctor_say(doctor, CM_VERDICT_FAIL, "settings",
                      "put it right; docs/reference/settings.md explains every key", "%s",
                      err.text);
    else
        cm_doctor_say(doctor, CM_VERDICT_OK, "settings", NULL, "%s is understood", path);
}

static void examine(struct cm_doctor *doctor)
{
    cm_doctor_check_key_files(doctor);
    cm_doctor_check_store(doctor);
    if (doctor->store) {
        cm_doctor_check_authorities(doctor);
        cm_doctor_check_clock(doctor);
    }
    cm_doctor_check_arithmetic(doctor);
    cm_doctor_check_queue(doctor);
    cm_doctor_check_status(doctor);
    cm_doctor_check_engine(doctor);
}

static int conclude(struct cm_doctor *doctor)
{
    bool failed = doctor->counts[CM_VERDICT_FAIL] > 0;
    if (doctor->findings) {
        json_t *object = json_pack("{s:b, s:O}", "healthy", !failed, "checks", doctor->findings);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    } else {
        printf("%u OK, %u WARN, %u FAIL\n", doctor->counts[CM_VERDICT_OK],
               doctor->counts[CM_VERDICT_WARN], doctor->counts[CM_VERDICT_FAIL]);
    }
    return failed ? CM_EXIT_FAILED : CM_EXIT_DONE;
}

static int run(const struct cm_call *call)
{
    struct cm_arena arena;
    struct cm_settings *settings = NULL;
    struct cm_doctor doctor = { .arena = &arena,
                                .findings = cm_call_flag(call, "json") ? json_array() : NULL };
    cm_arena_init(&arena, 16384);
    check_settings(&doctor, cm_call_value(call, "config"), &settings);
    doctor.settings = settings;
    if (settings)
        examine(&doctor);
    int exit_code = conclude(&doctor);
    if (doctor.reader)
        cm_store_reader_end(doctor.reader);
    cm_store_reader_close(doctor.reader);
    cm_store_close(doctor.store);
    cm_settings_free(settings);
    json_decref(doctor.findings);
    cm_arena_done(&arena);
    return exit_code;
}

static const char *const paragraphs[] = {
    "Checks a deployment and says, one line each, what is OK, what deserves attention (WARN) and "
    "what does not work (FAIL), with what to do about it: the settings; who can read the key files; "
    "the store, its format and the free disk; each authority's certificate and key, which signs and "
    "verifies a test message; whether signatures are computed eight at a time; the queue; the CRLs that are published and when they end, and whether OCSP "
    "answers; the clock against what the store has seen; and, where an "
    "engine runs, whether its signer processes are up and requests wait for signatures.",
    "It changes nothing and may run beside an engine.", NULL
};
static const struct cm_option options[] = { CM_OPTION_CONFIG, CM_OPTION_JSON };
static const struct cm_example examples[] = {
    { "certmill doctor -c /srv/ca/certmill.yaml",
      "Before the first start, and after every change." },
};

const struct cm_command cm_command_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "check settings, keys, store, queue and clock; say what to do",
    .paragraphs = paragraphs,
    .options = options,
    .options_count = COUNT(options),
    .examples = examples,
    .examples_count = COUNT(examples),
    .when_failed = "something does not work (FAIL)",
    .run = run,
};
