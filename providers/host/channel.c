#include "providers/host/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"

/* A batch of 256 certificates is about 180 kB: it goes through in one call where the socket has room. */
enum { READ_SIZE = 256 * 1024, SOCKET_SIZE = 1024 * 1024 };

static void end(struct cm_channel *channel, bool is_garbage)
{
    if (channel->is_over)
        return;
    channel->is_over = true;
    cm_watch_stop(&channel->readable);
    cm_watch_stop(&channel->writable);
    channel->on_end(is_garbage, channel->arg);
}

/* Hands over what is whole; the rest moves to the front. False: something is no frame. */
static bool hand_over(struct cm_channel *channel)
{
    struct cm_wire_frame frame;
    struct cm_bytes bytes = cm_bytes(channel->in.data, channel->in.size);
    enum cm_wire_found found;
    size_t size;
    while ((found = cm_wire_next(bytes, &frame, &size)) == CM_WIRE_WHOLE) {
        channel->frames_count++;
        if (!channel->on_frame(&frame, channel->arg))
            return false;
        bytes = cm_bytes_from(bytes, size);
    }
    if (bytes.size > 0 && bytes.data != channel->in.data)
        memmove(channel->in.data, bytes.data, bytes.size);
    channel->in.size = bytes.size;
    cm_buffer_trim(&channel->in);
    return found == CM_WIRE_PART;
}

static void on_readable(void *arg)
{
    struct cm_channel *channel = arg;
    /* Grows with what has come, not with what a head announces. */
    cm_buffer_reserve(&channel->in, READ_SIZE);
    ssize_t got = read(channel->fd, channel->in.data + channel->in.size,
                       channel->in.space - channel->in.size);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        end(channel, false);
        return;
    }
    channel->in.size += (size_t)got;
    if (!hand_over(channel))
        end(channel, true);
}

static void on_writable(void *arg)
{
    cm_channel_flush(arg);
}

void cm_channel_open(struct cm_channel *channel, struct cm_loop *loop, int fd)
{
    const int size = SOCKET_SIZE;
    channel->loop = loop;
    channel->fd = fd;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    /* As much as the system allows; less only means more turns. */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    cm_watch_start(&channel->readable, loop, fd, CM_READABLE, on_readable, channel);
}

void cm_channel_close(struct cm_channel *channel)
{
    cm_watch_done(&channel->readable);
    cm_watch_done(&channel->writable);
    if (channel->fd >= 0)
        close(channel->fd);
    cm_buffer_done(&channel->in);
    cm_buffer_done(&channel->out);
    channel->fd = -1;
    channel->out_begin = 0;
    channel->is_over = true;
}

static void write_some(struct cm_channel *channel)
{
    while (!channel->is_deaf && channel->out_begin < channel->out.size) {
        ssize_t put = send(channel->fd, channel->out.data + channel->out_begin,
                           channel->out.size - channel->out_begin, MSG_NOSIGNAL);
        if (put >= 0) {
            channel->out_begin += (size_t)put;
            channel->written_count += (uint64_t)put;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            channel->is_deaf = true; /* reading will find the end */
        }
    }
}

/* Under a steady load something is always left. Fewer bytes are moved than have left before. */
static void reclaim(struct cm_channel *channel)
{
    struct cm_buffer *out = &channel->out;
    if (channel->out_begin <= out->size / 2)
        return;
    memmove(out->data, out->data + channel->out_begin, out->size - channel->out_begin);
    out->size -= channel->out_begin;
    channel->out_begin = 0;
    cm_buffer_trim(out);
}

void cm_channel_flush(struct cm_channel *channel)
{
    if (channel->is_over)
        return;
    write_some(channel);
    reclaim(channel);
    if (channel->out_begin < channel->out.size && !channel->is_deaf) {
        cm_watch_start(&channel->writable, channel->loop, channel->fd, CM_WRITABLE, on_writable,
                       channel);
        return;
    }
    cm_watch_stop(&channel->writable);
}

uint64_t cm_channel_position(const struct cm_channel *channel)
{
    return channel->written_count + (channel->out.size - channel->out_begin);
}

void cm_channel_wait(struct cm_channel *channel, const bool *is_done, uint64_t deadline_ns)
{
    while (!*is_done && !channel->is_over) {
        uint64_t now_ns = cm_clock_monotonic_ns();
        if (now_ns >= deadline_ns)
            return;
        struct pollfd poll_fd = { .fd = channel->fd, .events = POLLIN };
        if (channel->out_begin < channel->out.size && !channel->is_deaf)
            poll_fd.events |= POLLOUT;
        int count = poll(&poll_fd, 1, (int)((deadline_ns - now_ns) / CM_NS_PER_MS) + 1);
        if (count > 0 && (poll_fd.revents & POLLOUT))
            cm_channel_flush(channel);
        if (count > 0 && (poll_fd.revents & ~POLLOUT))
            on_readable(channel);
    }
}
