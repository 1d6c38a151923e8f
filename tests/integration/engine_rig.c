#include "tests/integration/engine_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/csr_maker.h"
#include "tests/support/test_main.h"

enum { PATIENCE_MS = 60000, PROMISE_LOOK_MS = 10 };

struct cm_arena rig_arena;
struct cm_bytes rig_csrs[RIG_DEVICES];
char rig_last_notice[256];
uint32_t rig_intent_hold_s;
unsigned rig_operations;
bool rig_has_no_groups;
bool rig_remembers_refusals;

static struct {
    char folder[300];
    char witness[400];
    char script[800];
    struct cm_loop *loop;
    struct cm_settings *settings;
    struct cm_settings_provider provider;
    struct cm_settings_requester requester;
    struct cm_memory_broker *broker;
    struct cm_engine *engine;
    struct cm_timer patience, look;
    size_t answers_wanted;
    bool stopped;
    const char *failure;
} rig;

int rig_set_up(void)
{
    cm_arena_init(&rig_arena, 65536);
    for (int i = 0; i < RIG_DEVICES; i++) {
        EVP_PKEY *key = cm_test_key();
        rig_csrs[i] = cm_test_csr(key, rig_device(i), &rig_arena);
        EVP_PKEY_free(key);
    }
    return 0;
}

int rig_tear_down(void)
{
    cm_arena_done(&rig_arena);
    return 0;
}

const char *rig_device(int number)
{
    return cm_arena_printf(&rig_arena, "dev-%d", number);
}

static void run_certmill(const char *arguments)
{
    char command[1200];
    const char *certmill = getenv("CERTMILL");
    snprintf(command, sizeof command, "%s %s >%s.log 2>&1", certmill ? certmill : "certmill",
             arguments, rig.folder);
    if (system(command) != 0) {
        printf("failed: %s\n", command);
        exit(1);
    }
}

void rig_deploy(void)
{
    static unsigned deployments_count;
    char arguments[800], list[400];
    rig_intent_hold_s = 0;
    rig_operations = 0;
    rig_has_no_groups = false;
    rig_remembers_refusals = false;
    snprintf(rig.folder, sizeof rig.folder, "%s/deployment-%u", cm_test_scratch(),
             deployments_count++);
    snprintf(rig.witness, sizeof rig.witness, "%s.witness", rig.folder);
    snprintf(list, sizeof list, "%s.csv", rig.folder);
    snprintf(arguments, sizeof arguments, "init %s", rig.folder);
    run_certmill(arguments);
    FILE *file = fopen(list, "w");
    if (!file)
        exit(1);
    fprintf(file, "device,group\n");
    for (int i = 0; i < RIG_DEVICES; i++)
        fprintf(file, "%s,default\n", rig_device(i));
    fclose(file);
    snprintf(arguments, sizeof arguments, "device import -c %s/certmill.yaml %s", rig.folder, list);
    run_certmill(arguments);
}

static void on_event(enum cm_engine_event event, const char *text, void *arg)
{
    (void)arg;
    if (event == CM_ENGINE_NOTICE) {
        snprintf(rig_last_notice, sizeof rig_last_notice, "%s", text);
    } else if (event == CM_ENGINE_STOPPED) {
        rig.stopped = true;
        cm_loop_stop(rig.loop);
    } else if (event == CM_ENGINE_FAILED) {
        rig.failure = "the engine could not start";
        printf("%s: %s\n", rig.failure, text);
        cm_loop_stop(rig.loop);
    }
}

static void read_settings(const char *script)
{
    char path[400];
    struct cm_error err;
    snprintf(path, sizeof path, "%s/certmill.yaml", rig.folder);
    CU_ASSERT_EQUAL_FATAL(cm_settings_read(path, &rig.settings, &err), CM_OK);
    /* The same keys in the same place, through the provider that follows a script. */
    snprintf(rig.script, sizeof rig.script, "witness=%s %s", rig.witness, script);
    rig.provider = rig.settings->providers[0];
    rig.provider.kind = "fake";
    rig.provider.options = rig.script;
    rig.requester = rig.settings->requesters[0];
    if (rig_operations != 0)
        rig.requester.operations = rig_operations;
    if (rig_has_no_groups)
        rig.requester.groups_count = 0;
    if (rig_remembers_refusals)
        rig.requester.remember_refusals = true;
}

void rig_open(const char *script)
{
    static struct cm_settings changed;
    struct cm_error err;
    struct cm_queue_settings queue = { .prefix = "rig" };
    read_settings(script);
    changed = *rig.settings;
    changed.providers = &rig.provider;
    changed.requesters = &rig.requester;
    changed.requesters_count = 1;
    if (rig_intent_hold_s > 0)
        changed.engine.intent_hold_s = rig_intent_hold_s;
    const struct cm_engine_options *options;
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&rig.loop, &err), CM_OK);
    if (!rig.broker)
        rig.broker = cm_memory_broker_new("rig");
    options = &(const struct cm_engine_options){ .loop = rig.loop,
                                                 .settings = &changed,
                                                 .queue_ops = &cm_queue_memory,
                                                 .queue = &queue,
                                                 .signer_program = TEST_SIGNER,
                                                 .on_event = on_event };
    rig.failure = NULL;
    rig.stopped = false;
    cm_status status = cm_engine_open(options, &rig.engine, &err);
    if (status != CM_OK)
        printf("open: %s\n", err.text);
    CU_ASSERT_EQUAL_FATAL(status, CM_OK);
    cm_engine_start(rig.engine);
}

static void on_impatient(void *arg)
{
    rig.failure = arg;
    cm_loop_stop(rig.loop);
}

static void run_loop(const char *what)
{
    cm_timer_start(&rig.patience, rig.loop, PATIENCE_MS, on_impatient, (void *)(uintptr_t)what);
    cm_loop_run(rig.loop);
    cm_timer_stop(&rig.patience);
    if (rig.failure)
        printf("  %s\n", rig.failure);
    CU_ASSERT_PTR_NULL_FATAL(rig.failure);
}

void rig_close(void)
{
    cm_engine_stop(rig.engine);
    if (!rig.stopped)
        run_loop("the engine did not stop");
    cm_timer_done(&rig.patience);
    cm_timer_done(&rig.look);
    cm_engine_close(rig.engine);
    cm_loop_free(rig.loop);
    cm_settings_free(rig.settings);
}

void rig_push(const char *id, const char *device, struct cm_bytes csr)
{
    const struct cm_memory_pair pairs[] = {
        { cm_bytes_str("id"), cm_bytes_str(id) },
        { cm_bytes_str("requester"), cm_bytes_str("local") },
        { cm_bytes_str("device"), cm_bytes_str(device) },
        { cm_bytes_str("csr"), csr },
    };
    cm_memory_push(rig.broker, pairs, sizeof pairs / sizeof pairs[0]);
}

void rig_push_fields(const char *const *fields)
{
    struct cm_memory_pair pairs[CM_FIELD_COUNT] = { { cm_bytes_str("requester"),
                                                      cm_bytes_str("local") } };
    size_t count = 1;
    for (; fields[0]; fields += 2)
        pairs[count++] =
            (struct cm_memory_pair){ cm_bytes_str(fields[0]), cm_bytes_str(fields[1]) };
    cm_memory_push(rig.broker, pairs, count);
}

static void look(void *arg)
{
    (void)arg;
    if (cm_memory_answers_count(rig.broker) >= rig.answers_wanted)
        cm_loop_stop(rig.loop);
    else
        cm_timer_start(&rig.look, rig.loop, 2, look, NULL);
}

void rig_run(size_t answers_count)
{
    rig.answers_wanted += answers_count;
    cm_timer_start(&rig.look, rig.loop, 2, look, NULL);
    run_loop("the answers did not come");
}

static void on_pause(void *arg)
{
    (void)arg;
    cm_loop_stop(rig.loop);
}

void rig_pause(uint32_t duration_ms)
{
    cm_timer_start(&rig.look, rig.loop, duration_ms, on_pause, NULL);
    run_loop("the pause did not end");
}

size_t rig_answers_count(const char *id)
{
    size_t count = 0;
    for (size_t i = 0; i < cm_memory_answers_count(rig.broker); i++)
        count += cm_bytes_is(cm_memory_answer_at(rig.broker, i)->id, id);
    return count;
}

const struct cm_answer *rig_answer(const char *id)
{
    for (size_t i = cm_memory_answers_count(rig.broker); i > 0; i--)
        if (cm_bytes_is(cm_memory_answer_at(rig.broker, i - 1)->id, id))
            return cm_memory_answer_at(rig.broker, i - 1);
    return NULL;
}

void rig_deliver_again(void)
{
    cm_memory_end_leases(rig.broker);
}

/* The store of an engine that is closed, with a snapshot. */
struct look {
    struct cm_store *store;
    struct cm_store_reader *reader;
};

static void look_into_store(struct look *look)
{
    char path[400];
    struct cm_error err;
    snprintf(path, sizeof path, "%s/store/certmill.db", rig.folder);
    const struct cm_store_settings settings = { .path = path, .read_only = true };
    CU_ASSERT_EQUAL_FATAL(cm_store_open(&cm_store_sqlite, NULL, &settings, &look->store, &err),
                          CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_store_reader_open(look->store, &look->reader, &err), CM_OK);
    CU_ASSERT_EQUAL_FATAL(cm_store_reader_begin(look->reader, &err), CM_OK);
}

static void look_away(struct look *look)
{
    cm_store_reader_end(look->reader);
    cm_store_reader_close(look->reader);
    cm_store_close(look->store);
}

struct cm_store_counts rig_count(void)
{
    struct look look;
    struct cm_error err;
    struct cm_store_counts counts = { 0 };
    look_into_store(&look);
    CU_ASSERT_EQUAL_FATAL(cm_store_count(look.reader, &counts, &err), CM_OK);
    look_away(&look);
    return counts;
}

static bool count_promise(const struct cm_intent *intent, const struct cm_intent_item *item,
                          void *arg)
{
    size_t *count = arg;
    (void)intent;
    *count += item != NULL;
    return true;
}

static size_t count_promises(void)
{
    struct look look;
    struct cm_error err;
    size_t count = 0;
    look_into_store(&look);
    CU_ASSERT_EQUAL_FATAL(cm_store_walk_open_intents(look.reader, count_promise, &count, &err),
                          CM_OK);
    look_away(&look);
    return count;
}

void rig_run_until_promised(size_t count)
{
    for (unsigned i = 0; i < PATIENCE_MS / PROMISE_LOOK_MS && count_promises() < count; i++)
        rig_pause(PROMISE_LOOK_MS);
    CU_ASSERT_EQUAL_FATAL(count_promises(), count);
}

struct search {
    struct cm_bytes serial;
    struct cm_revocation found;
    const char *kind, *actor;
    size_t count;
};

static bool is_revocation(const struct cm_revocation *revocation, void *arg)
{
    struct search *search = arg;
    if (cm_bytes_equal(revocation->serial, search->serial)) {
        search->found = *revocation;
        search->count++;
    }
    return true;
}

bool rig_find_revocation(struct cm_bytes serial, struct cm_revocation *ret_revocation)
{
    struct look look;
    struct cm_error err;
    struct search search = { .serial = serial };
    look_into_store(&look);
    CU_ASSERT_EQUAL_FATAL(cm_store_walk_revocations(look.reader, 0, is_revocation, &search, &err),
                          CM_OK);
    look_away(&look);
    *ret_revocation = search.found;
    return search.count > 0;
}

static bool is_audit(const struct cm_audit_row *row, void *arg)
{
    struct search *search = arg;
    search->count += strcmp(row->kind, search->kind) == 0 && cm_bytes_is(row->actor, search->actor);
    return true;
}

size_t rig_audit_count(const char *kind, const char *actor)
{
    struct look look;
    struct cm_error err;
    struct search search = { .kind = kind, .actor = actor };
    look_into_store(&look);
    CU_ASSERT_EQUAL_FATAL(cm_store_walk_audit(look.reader, 1, is_audit, &search, &err), CM_OK);
    look_away(&look);
    return search.count;
}

size_t rig_signatures_count(void)
{
    size_t lines = 0;
    int c;
    FILE *file = fopen(rig.witness, "r");
    if (!file)
        return 0;
    while ((c = getc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    return lines;
}
