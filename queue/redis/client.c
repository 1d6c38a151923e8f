#include "queue/client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "queue/redis/internal.h"
#include "queue/redis/pack.h"
#include "queue/several.h"

enum {
    BLOCK_MS = 500,
    TIMEOUT_MS_DEFAULT = 5000,
    RESULTS_COUNT_MAX = 512,
    PAUSE_REFUSED_MS = 1000
};

/* One call of cm_client_push. */
struct push {
    struct cm_call call; /* shared by its commands: they are told in their order */
    TAILQ_ENTRY(push) link;
    struct cm_client *client;
    const struct cm_client_request *requests;
    uint32_t count;
    uint32_t waiting_count;
    bool was_sent;
    cm_status status;
    char text[160];
    cm_client_pushed_fn *pushed;
    void *arg;
};

/* One call of cm_client_read_chain. */
struct chain_question {
    struct cm_call call;
    LIST_ENTRY(chain_question) link;
    char *key;
    bool was_sent;
    cm_client_chain_fn *on_chain;
    void *arg;
};

struct cm_client {
    struct cm_loop *loop;
    struct cm_redis_address address;
    struct cm_tls tls;
    struct cm_reply_blocks blocks;
    struct cm_link reader;
    struct cm_link writer;
    struct cm_call read_call;
    bool reading;        /* a command of the reader is in flight */
    bool place_is_known; /* where the result stream ended */
    struct cm_stream_id place;
    bool is_up;
    bool deletes_results;
    uint32_t per_entry;
    char *prefix;
    char *requests;
    char *results;
    char *requester;
    TAILQ_HEAD(, push) pushes;
    LIST_HEAD(, chain_question) questions;
    cm_client_results_fn *on_results;
    cm_queue_event_fn *on_event;
    void *arg;
};

static void tell(struct cm_client *client, enum cm_queue_event event, const char *text)
{
    if (client->on_event)
        client->on_event(event, text, client->arg);
}

/* ------------------------------------------------------------------------------- pushing -- */

static void end_push(struct push *push, cm_status status, const char *text)
{
    TAILQ_REMOVE(&push->client->pushes, push, link);
    push->pushed(status, text, push->arg);
    free(push);
}

static void on_pushed(struct cm_call *call, const struct cm_reply *reply)
{
    struct push *push = (struct push *)call;
    if (!reply) {
        push->status = CM_UNAVAILABLE;
        snprintf(push->text, sizeof push->text, "connection to Redis lost");
    } else if (reply->type == CM_REPLY_ERROR && push->status == CM_OK) {
        push->status = CM_DENIED;
        cm_bytes_printable(reply->text, push->text, sizeof push->text);
    }
    if (--push->waiting_count == 0)
        end_push(push, push->status, push->text);
}

static void send_push(struct push *push)
{
    struct cm_client *client = push->client;
    const struct cm_pack pack = { .stream = client->requests,
                                  .requester = client->requester,
                                  .requests = push->requests,
                                  .count = push->count,
                                  .each_max = client->per_entry };
    push->was_sent = true;
    /* Held by one, so that it cannot end while it is being sent. */
    push->waiting_count = 1;
    for (uint32_t i = 0; i < push->count;) {
        i += cm_pack(&pack, i, &client->writer.command);
        if (!cm_link_send(&client->writer, &push->call)) {
            push->status = CM_UNAVAILABLE;
            snprintf(push->text, sizeof push->text, "connection to Redis lost");
            break;
        }
        push->waiting_count++;
    }
    push->waiting_count--;
    /* Nothing went out: it waits for the next connection. */
    if (push->waiting_count == 0) {
        push->was_sent = false;
        push->status = CM_OK;
    }
}

static void send_question(struct cm_client *client, struct chain_question *question)
{
    struct cm_command *command = &client->writer.command;
    cm_command_begin(command, 2);
    cm_command_text(command, "GET");
    cm_command_text(command, question->key);
    question->was_sent = cm_link_send(&client->writer, &question->call);
}

static void send_waiting(struct cm_client *client)
{
    struct push *push;
    struct chain_question *question;
    TAILQ_FOREACH(push, &client->pushes, link)
    if (!push->was_sent)
        send_push(push);
    LIST_FOREACH(question, &client->questions, link)
    if (!question->was_sent)
        send_question(client, question);
}

void cm_client_push(struct cm_client *client, const struct cm_client_request *requests,
                    uint32_t count, cm_client_pushed_fn *pushed, void *arg)
{
    cm_loop_assert_here(client->loop);
    assert(count > 0);
    struct push *push = calloc(1, sizeof *push);
    if (!push)
        abort();
    *push = (struct push){ .call.replied = on_pushed,
                           .client = client,
                           .requests = requests,
                           .count = count,
                           .pushed = pushed,
                           .arg = arg };
    TAILQ_INSERT_TAIL(&client->pushes, push, link);
    if (client->is_up)
        send_push(push);
}

static void on_chain_reply(struct cm_call *call, const struct cm_reply *reply)
{
    struct chain_question *question = (struct chain_question *)call;
    bool found = reply && reply->type == CM_REPLY_STRING;
    LIST_REMOVE(question, link);
    question->on_chain(found ? reply->text : cm_bytes(NULL, 0), question->arg);
    free(question->key);
    free(question);
}

void cm_client_read_chain(struct cm_client *client, const char *issuer,
                          cm_client_chain_fn *on_chain, void *arg)
{
    cm_loop_assert_here(client->loop);
    struct chain_question *question = calloc(1, sizeof *question);
    if (!question || asprintf(&question->key, "%s:ca:%s", client->prefix, issuer) < 0)
        abort();
    question->call.replied = on_chain_reply;
    question->on_chain = on_chain;
    question->arg = arg;
    LIST_INSERT_HEAD(&client->questions, question, link);
    if (client->is_up)
        send_question(client, question);
}

/* ------------------------------------------------------------------------------- reading -- */

static void go_on(struct cm_client *client);

static void look_up(struct cm_client *client)
{
    if (client->is_up || !client->place_is_known || !client->reader.is_up || !client->writer.is_up)
        return;
    client->is_up = true;
    tell(client, CM_QUEUE_UP, "connected");
    send_waiting(client);
}

static bool send_find_place(struct cm_client *client)
{
    struct cm_command *command = &client->reader.command;
    cm_command_begin(command, 6);
    cm_command_text(command, "XREVRANGE");
    cm_command_text(command, client->results);
    cm_command_text(command, "+");
    cm_command_text(command, "-");
    cm_command_text(command, "COUNT");
    cm_command_text(command, "1");
    return cm_link_send(&client->reader, &client->read_call);
}

static bool send_read(struct cm_client *client)
{
    struct cm_command *command = &client->reader.command;
    char text[CM_REDIS_ID_SIZE];
    cm_command_begin(command, 8);
    cm_command_text(command, "XREAD");
    cm_command_text(command, "COUNT");
    cm_command_number(command, RESULTS_COUNT_MAX);
    cm_command_text(command, "BLOCK");
    cm_command_number(command, BLOCK_MS);
    cm_command_text(command, "STREAMS");
    cm_command_text(command, client->results);
    cm_command_text(command, cm_stream_id_format(client->place, text));
    return cm_link_send(&client->reader, &client->read_call);
}

static void go_on(struct cm_client *client)
{
    if (!client->reading && client->reader.is_up)
        client->reading = client->place_is_known ? send_read(client) : send_find_place(client);
}

static void take_field(struct cm_client_result *result, struct cm_bytes name, struct cm_bytes value)
{
    const struct {
        const char *name;
        struct cm_bytes *value;
    } known[] = { { "id", &result->id },
                  { "status", &result->status },
                  { "code", &result->code },
                  { "message", &result->message },
                  { "serial", &result->serial },
                  { "certificate", &result->certificate },
                  { "issuer", &result->issuer },
                  { "device", &result->device },
                  { "not_after", &result->not_after } };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (name.data && cm_bytes_equal(name, cm_bytes_str(known[i].name)))
            *known[i].value = value.data ? value : cm_bytes(NULL, 0);
}

static void delete_results(struct cm_client *client, const struct cm_reply *list)
{
    struct cm_command *command = &client->reader.command;
    cm_command_begin(command, 2 + list->children_count);
    cm_command_text(command, "XDEL");
    cm_command_text(command, client->results);
    for (uint32_t i = 0; i < list->children_count; i++)
        cm_command_bytes(command, cm_reply_child(cm_reply_child(list, i), 0)->text);
    cm_link_send(&client->reader, NULL);
}

/* Results on their way to the owner. */
struct part {
    struct cm_client *client;
    struct cm_client_result results[RESULTS_COUNT_MAX];
    uint32_t count;
};

static void hand_out(struct part *part)
{
    if (part->count > 0)
        part->client->on_results(part->results, part->count, part->client->arg);
    part->count = 0;
}

static struct cm_client_result *add_results(struct part *part, uint32_t count)
{
    if (part->count + count > RESULTS_COUNT_MAX)
        hand_out(part);
    struct cm_client_result *results = &part->results[part->count];
    memset(results, 0, count * sizeof *results);
    part->count += count;
    return results;
}

/* An entry has one result, or several with their numbers. */
static void take_entry(struct part *part, const struct cm_reply *fields)
{
    struct cm_several several = { .numbers = 0 };
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2)
        cm_several_look(&several, cm_reply_child(fields, i)->text);
    several.has_rest = false;
    uint32_t count = several.numbers ? cm_several_count(&several) : 1, number;
    struct cm_client_result *results = add_results(part, count);
    for (uint32_t i = 0; i + 1 < fields->children_count; i += 2) {
        struct cm_bytes name = cm_reply_child(fields, i)->text, plain;
        struct cm_bytes value = cm_reply_child(fields, i + 1)->text;
        enum cm_several_owner owner = cm_several_owner(name, &plain, &number);
        if (owner == CM_SEVERAL_ONE)
            take_field(&results[cm_several_position(&several, number)], plain, value);
        for (uint32_t k = 0; k < count && owner == CM_SEVERAL_ALL; k++)
            take_field(&results[k], name, value);
    }
}

static void take_results(struct cm_client *client, const struct cm_reply *list)
{
    struct part part;
    bool has_any = false;
    part.client = client;
    part.count = 0;
    for (uint32_t i = 0; i < list->children_count; i++) {
        const struct cm_reply *pair = cm_reply_child(list, i);
        if (!cm_stream_id_read(cm_reply_child(pair, 0)->text, &client->place))
            continue;
        take_entry(&part, cm_reply_child(pair, 1));
        has_any = true;
    }
    if (has_any && client->deletes_results)
        delete_results(client, list);
    hand_out(&part);
}

static void take_place(struct cm_client *client, const struct cm_reply *reply)
{
    const struct cm_reply *last = cm_reply_child(cm_reply_child(reply, 0), 0);
    client->place = (struct cm_stream_id){ .ms = 0 };
    if (last->type == CM_REPLY_STRING)
        (void)cm_stream_id_read(last->text, &client->place);
    client->place_is_known = true;
    look_up(client);
}

static void on_read(struct cm_call *call, const struct cm_reply *reply)
{
    struct cm_client *client =
        (struct cm_client *)((char *)call - offsetof(struct cm_client, read_call));
    char text[160];
    client->reading = false;
    if (!reply || !client->reader.is_up)
        return;
    if (reply->type == CM_REPLY_ERROR && !cm_reply_is_error(reply, "UNBLOCKED")) {
        cm_link_fail(&client->reader, PAUSE_REFUSED_MS, "Redis refuses to show the results: %s",
                     cm_bytes_printable(reply->text, text, sizeof text));
        return;
    }
    cm_link_settle(&client->reader);
    if (!client->place_is_known)
        take_place(client, reply);
    else
        take_results(client, cm_reply_child(cm_reply_child(reply, 0), 1));
    go_on(client);
}

/* ---------------------------------------------------------------------------------- life -- */

static void on_link_up(void *arg)
{
    struct cm_client *client = arg;
    go_on(client);
    look_up(client);
}

static void on_link_down(const char *text, void *arg)
{
    struct cm_client *client = arg;
    client->is_up = false;
    tell(client, CM_QUEUE_DOWN, text);
}

static void open_links(struct cm_client *client, uint32_t timeout_ms)
{
    struct cm_link_settings settings = { .address = &client->address,
                                         .tls = &client->tls,
                                         .blocks = &client->blocks,
                                         .timeout_ms = timeout_ms,
                                         .on_up = on_link_up,
                                         .on_down = on_link_down,
                                         .arg = client };
    cm_link_open(&client->writer, client->loop, &settings);
    settings.timeout_ms = timeout_ms + BLOCK_MS;
    cm_link_open(&client->reader, client->loop, &settings);
}

static void name_keys(struct cm_client *client, const struct cm_client_settings *settings)
{
    const char *prefix = settings->prefix ? settings->prefix : "certmill";
    if (asprintf(&client->prefix, "%s", prefix) < 0
        || asprintf(&client->requests, "%s:requests", prefix) < 0
        || asprintf(&client->results, "%s:results:%s", prefix, settings->requester) < 0
        || asprintf(&client->requester, "%s", settings->requester) < 0)
        abort();
}

cm_status cm_client_open(struct cm_loop *loop, const struct cm_client_settings *settings,
                         cm_client_results_fn *on_results, cm_queue_event_fn *on_event, void *arg,
                         struct cm_client **ret_client, struct cm_error *err)
{
    cm_loop_assert_here(loop);
    assert(settings->requester && on_results);
    struct cm_client *client = calloc(1, sizeof *client);
    if (!client)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a client");
    cm_status status =
        cm_redis_address_read(settings->url, settings->password_ref, &client->address, err);
    if (status == CM_OK && client->address.is_tls)
        status = cm_tls_open(&client->tls, &settings->tls, client->address.host, err);
    if (status != CM_OK) {
        cm_redis_address_done(&client->address);
        free(client);
        return status;
    }
    client->loop = loop;
    client->read_call.replied = on_read;
    client->deletes_results = settings->deletes_results;
    client->per_entry = settings->per_entry;
    client->on_results = on_results;
    client->on_event = on_event;
    client->arg = arg;
    TAILQ_INIT(&client->pushes);
    LIST_INIT(&client->questions);
    name_keys(client, settings);
    open_links(client, settings->timeout_ms ? settings->timeout_ms : TIMEOUT_MS_DEFAULT);
    *ret_client = client;
    return CM_OK;
}

void cm_client_close(struct cm_client *client)
{
    struct push *push;
    struct chain_question *question;
    if (!client)
        return;
    cm_loop_assert_here(client->loop);
    client->on_event = NULL;
    cm_link_close(&client->reader);
    cm_link_close(&client->writer);
    while ((push = TAILQ_FIRST(&client->pushes)))
        end_push(push, CM_UNAVAILABLE, "closed");
    while ((question = LIST_FIRST(&client->questions)))
        on_chain_reply(&question->call, NULL);
    cm_reply_blocks_done(&client->blocks);
    cm_redis_address_done(&client->address);
    cm_tls_done(&client->tls);
    free(client->prefix);
    free(client->requests);
    free(client->results);
    free(client->requester);
    free(client);
}
