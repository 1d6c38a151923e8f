#include "tools/holders.h"

#include "engine/base/clock.h"
#include "engine/campaign/plan.h"

struct filter {
    const struct cm_holders *holders;
    cm_holder_walk_fn *walk;
    void *arg;
    bool has_stopped;
};

static bool pass_on(const struct cm_holder *holder, void *arg)
{
    struct filter *filter = arg;
    if (cm_campaign_is_about(filter->holders->groups, &holder->device))
        filter->has_stopped = !filter->walk(holder, filter->arg);
    return !filter->has_stopped;
}

/* Where certificates are on their way, the end is where they begin: a listing waits for nothing. */
cm_status cm_holders_walk(struct cm_store *store, const struct cm_holders *holders,
                          cm_holder_walk_fn *walk, void *arg, struct cm_error *err)
{
    struct filter filter = { .holders = holders, .walk = walk, .arg = arg };
    struct cm_holder_stretch stretch = { .generation_number = holders->generation_number,
                                         .until = holders->until,
                                         .now_s = cm_clock_wall_s() };
    struct cm_store_reader *reader;
    cm_status status = cm_store_reader_open(store, &reader, err);
    if (status != CM_OK)
        return status;
    do {
        stretch.after = stretch.last;
        status = cm_store_walk_holders(reader, &stretch, pass_on, &filter, err);
    } while (status == CM_OK && !filter.has_stopped && !stretch.is_end
             && stretch.last > stretch.after);
    cm_store_reader_close(reader);
    return status;
}

struct counting {
    struct cm_holders_count count;
    int64_t since_ms;
};

static bool count_one(const struct cm_holder *holder, void *arg)
{
    struct counting *counting = arg;
    struct cm_holders_count *count = &counting->count;
    if (holder->renewed) {
        count->renewed++;
        count->renewed_since += holder->renewed >> 20 >= counting->since_ms;
    } else if (holder->device.state == CM_DEVICE_ALLOWED)
        count->to_come++;
    else
        count->barred++;
    return true;
}

cm_status cm_holders_count(struct cm_store *store, const struct cm_holders *holders,
                           int64_t since_ms, struct cm_holders_count *ret_count,
                           struct cm_error *err)
{
    struct counting counting = { .since_ms = since_ms };
    cm_status status = cm_holders_walk(store, holders, count_one, &counting, err);
    *ret_count = counting.count;
    return status;
}
