#include "providers/host/channel.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/test_main.h"

static bool on_frame(const struct cm_wire_frame *frame, void *arg)
{
    (void)frame;
    (void)arg;
    return true;
}

static void on_end(bool is_garbage, void *arg)
{
    (void)is_garbage;
    (void)arg;
}

/* The byte that stands at this position among all that are sent. */
static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)(position ^ (position >> 8) ^ (position >> 16));
}

static void send_some(struct cm_channel *channel, size_t size)
{
    uint64_t position = cm_channel_position(channel);
    for (size_t i = 0; i < size; i++)
        cm_buffer_append(&channel->out, &(uint8_t){ byte_at(position + i) }, 1);
    cm_channel_flush(channel);
}

/* How many of the next bytes are not what was sent. */
static size_t receive_some(int fd, uint64_t *position, size_t size)
{
    uint8_t bytes[4096];
    size_t wrong = 0;
    while (size > 0) {
        ssize_t got = read(fd, bytes, size < sizeof bytes ? size : sizeof bytes);
        if (got <= 0)
            return wrong + size;
        for (ssize_t i = 0; i < got; i++)
            wrong += bytes[i] != byte_at((*position)++);
        size -= (size_t)got;
    }
    return wrong;
}

static void test_channel_that_is_never_empty_needs_no_more_room_than_what_waits(void)
{
    enum { WAITING = 4 << 20, ROUND = 64 << 10, ROUNDS = 500 };
    struct cm_loop *loop;
    struct cm_error err;
    struct cm_channel channel = { .on_frame = on_frame, .on_end = on_end };
    uint64_t received = 0;
    size_t wrong = 0;
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&loop, &err), CM_OK);
    cm_channel_open(&channel, loop, fds[0]);
    send_some(&channel, WAITING);
    for (unsigned i = 0; i < ROUNDS; i++) {
        wrong += receive_some(fds[1], &received, ROUND);
        send_some(&channel, ROUND);
        CU_ASSERT_TRUE_FATAL(channel.out_begin < channel.out.size);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(cm_channel_position(&channel), WAITING + (uint64_t)ROUNDS * ROUND);
    CU_ASSERT_TRUE(channel.out.space <= 4 * WAITING);
    close(fds[1]);
    cm_channel_close(&channel);
    cm_loop_free(loop);
}

static unsigned frames_count;
static struct cm_loop *frames_loop;

static bool on_large_frame(const struct cm_wire_frame *frame, void *arg)
{
    (void)arg;
    frames_count += frame->kind == CM_WIRE_SIGN || frame->kind == CM_WIRE_PING;
    if (frames_count == 3)
        cm_loop_stop(frames_loop);
    return true;
}

/* Memory of a CRL of a million entries is not kept for ever. */
static void test_channel_takes_a_large_frame_between_small_ones_and_gives_its_room_back(void)
{
    enum { LARGE = 40 << 20 };
    static uint8_t large[LARGE];
    struct cm_error err;
    struct cm_channel one = { .on_frame = on_frame, .on_end = on_end };
    struct cm_channel other = { .on_frame = on_large_frame, .on_end = on_end };
    struct cm_sign_item item = { .message = cm_bytes(large, sizeof large) };
    const struct cm_sign_batch batch = { .lane = CM_LANE_CRL, .items = &item, .items_count = 1 };
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CU_ASSERT_EQUAL_FATAL(cm_loop_new(&frames_loop, &err), CM_OK);
    cm_channel_open(&one, frames_loop, fds[0]);
    cm_channel_open(&other, frames_loop, fds[1]);
    frames_count = 0;
    cm_wire_write_bare(&one.out, CM_WIRE_PING, 0);
    cm_wire_write_sign(&one.out, 1, 1, &batch);
    cm_wire_write_bare(&one.out, CM_WIRE_PING, 0);
    cm_channel_flush(&one);
    cm_loop_run(frames_loop);
    CU_ASSERT_EQUAL(frames_count, 3);
    CU_ASSERT_TRUE(one.out.space <= CM_BUFFER_KEPT);
    CU_ASSERT_TRUE(other.in.space <= CM_BUFFER_KEPT);
    cm_channel_close(&one);
    cm_channel_close(&other);
    cm_loop_free(frames_loop);
}

CM_TEST_SUITE(channel,
              CM_TEST(test_channel_takes_a_large_frame_between_small_ones_and_gives_its_room_back),
              CM_TEST(test_channel_that_is_never_empty_needs_no_more_room_than_what_waits));
