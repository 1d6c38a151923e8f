#include "queue/redis/reply.h"

#include <stdlib.h>

#include "queue/queue.h"

enum {
    BLOCK_ARENA_SIZE = 64 * 1024,
    IDLE_BLOCKS_MAX = 64,          /* beyond, blocks go back to the heap, */
    IDLE_BLOCK_SIZE_MAX = 1 << 20, /* and so do those that one large reply has grown */
    DEPTH_MAX = 9                  /* the deepest reply of ours, XREADGROUP's, has 5 */
};

static struct cm_reply nil_reply = { .type = CM_REPLY_NIL };

static struct cm_reply_block *take_block(struct cm_reply_blocks *blocks)
{
    struct cm_reply_block *block = blocks->idle;
    if (block) {
        blocks->idle = block->next;
        blocks->idle_count--;
    } else {
        block = calloc(1, sizeof *block);
        if (!block)
            abort();
        cm_arena_init(&block->arena, BLOCK_ARENA_SIZE);
        block->home = blocks;
    }
    block->holders_count = 1;
    return block;
}

struct cm_reply_block *cm_reply_block_of(const struct cm_reply *root)
{
    return (struct cm_reply_block *)(uintptr_t)root;
}

void cm_reply_block_hold(struct cm_reply_block *block)
{
    block->holders_count++;
}

static void free_block(struct cm_reply_block *block)
{
    cm_arena_done(&block->arena);
    free(block);
}

void cm_reply_block_release(struct cm_reply_block *block)
{
    struct cm_reply_blocks *home = block->home;
    if (--block->holders_count > 0)
        return;
    if (home->idle_count == IDLE_BLOCKS_MAX || block->used_size > IDLE_BLOCK_SIZE_MAX) {
        free_block(block);
        return;
    }
    cm_arena_reset(&block->arena);
    block->used_size = 0;
    block->next = home->idle;
    home->idle = block;
    home->idle_count++;
}

void cm_reply_blocks_done(struct cm_reply_blocks *blocks)
{
    struct cm_reply_block *block;
    while ((block = blocks->idle)) {
        blocks->idle = block->next;
        free_block(block);
    }
    blocks->idle_count = 0;
}

/* ---------------------------------------------------------- what hiredis calls while it reads -- */

static struct cm_reply *parent_of(const redisReadTask *task)
{
    return task->parent ? task->parent->obj : NULL;
}

static struct cm_reply_block *block_of(const redisReadTask *task)
{
    const redisReadTask *top = task;
    while (top->parent)
        top = top->parent;
    return cm_reply_block_of(top->obj);
}

static void *take_memory(struct cm_reply_block *block, size_t size)
{
    block->used_size += size;
    return cm_arena_alloc(&block->arena, size);
}

/* The node for what is being read, linked to its parent; NULL when it is not kept. */
static struct cm_reply *add_node(const redisReadTask *task)
{
    struct cm_reply *parent = parent_of(task);
    struct cm_reply *node;
    if (!task->parent) {
        node = &take_block(task->privdata)->root;
    } else {
        if (parent == &nil_reply || (uint32_t)task->idx >= parent->children_count)
            return NULL;
        node = take_memory(block_of(task), sizeof *node);
        parent->children[task->idx] = node;
    }
    *node = (struct cm_reply){ .type = CM_REPLY_NIL };
    return node;
}

static struct cm_reply_block *block_of_node(const redisReadTask *task, struct cm_reply *node)
{
    return task->parent ? block_of(task) : cm_reply_block_of(node);
}

static void *create_string(const redisReadTask *task, char *text, size_t size)
{
    struct cm_reply *parent = parent_of(task);
    struct cm_reply *node = add_node(task);
    if (!node)
        return &nil_reply;
    node->type = task->type == REDIS_REPLY_ERROR    ? CM_REPLY_ERROR
                 : task->type == REDIS_REPLY_STATUS ? CM_REPLY_STATUS
                                                    : CM_REPLY_STRING;
    size_t kept_size = parent ? parent->kept_size : 0;
    node->text = cm_bytes(NULL, size);
    if (size <= CM_ENTRY_SIZE_MAX && kept_size <= CM_ENTRY_SIZE_MAX - size) {
        void *copy = take_memory(block_of_node(task, node), size + 1);
        node->text = cm_bytes(memcpy(copy, text, size), size);
        if (parent)
            parent->kept_size += size;
    }
    return node;
}

static unsigned depth_of(const redisReadTask *task)
{
    unsigned depth = 0;
    for (; task; task = task->parent)
        depth++;
    return depth;
}

static void *create_array(const redisReadTask *task, size_t children_count)
{
    struct cm_reply *node = depth_of(task) <= DEPTH_MAX ? add_node(task) : NULL;
    if (!node)
        return &nil_reply;
    size_t kept_count =
        children_count < CM_REPLY_CHILDREN_MAX ? children_count : CM_REPLY_CHILDREN_MAX;
    node->type = CM_REPLY_ARRAY;
    node->number = (int64_t)children_count;
    node->children_count = (uint32_t)kept_count;
    node->children =
        take_memory(block_of_node(task, node), kept_count * sizeof(struct cm_reply *) + 1);
    for (size_t i = 0; i < kept_count; i++)
        node->children[i] = &nil_reply;
    return node;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    struct cm_reply *node = add_node(task);
    if (!node)
        return &nil_reply;
    node->type = CM_REPLY_INTEGER;
    node->number = value;
    return node;
}

static void *create_nil(const redisReadTask *task)
{
    struct cm_reply *node = add_node(task);
    return node ? node : &nil_reply;
}

static void *create_double(const redisReadTask *task, double value, char *text, size_t size)
{
    (void)value;
    (void)text;
    (void)size;
    return create_nil(task);
}

static void *create_bool(const redisReadTask *task, int value)
{
    (void)value;
    return create_nil(task);
}

static void free_reply(void *root)
{
    if (root && root != &nil_reply)
        cm_reply_block_release(cm_reply_block_of(root));
}

void cm_reply_blocks_attach(struct cm_reply_blocks *blocks, struct redisReader *reader)
{
    static redisReplyObjectFunctions functions = {
        .createString = create_string,
        .createArray = create_array,
        .createInteger = create_integer,
        .createDouble = create_double,
        .createNil = create_nil,
        .createBool = create_bool,
        .freeObject = free_reply,
    };
    reader->fn = &functions;
    reader->privdata = blocks;
}

/* ------------------------------------------------------------------------------- questions -- */

const struct cm_reply *cm_reply_child(const struct cm_reply *reply, uint32_t index)
{
    return reply->type == CM_REPLY_ARRAY && index < reply->children_count ? reply->children[index]
                                                                          : &nil_reply;
}

bool cm_reply_is_error(const struct cm_reply *reply, const char *word)
{
    size_t size = strlen(word);
    return reply->type == CM_REPLY_ERROR && reply->text.size >= size && reply->text.data
           && memcmp(reply->text.data, word, size) == 0;
}
