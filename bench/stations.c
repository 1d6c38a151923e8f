/*
 * Stations: each station of the engine over real batches (bench/line.h), by the size of the batch; where
 * the kind of key matters, by that; and all of them one after the other.
 *
 * What an iteration needs beside its station (leasing entries, the stations before it, the way out) is not
 * on the clock. Dispatch has a provider that answers at once: what it costs is its own work, the intents in
 * the store, and the turns of the loop.
 */
#include "bench/line.h"
#include "bench/suites.h"

/* What is passed by whom: a benchmark's subject. */
struct passing {
    enum line_station station;
    enum cm_key_type key, ca_key; /* of the devices, and of the CA; UNKNOWN: P-256 */
    bool is_mixed;                /* devices of every key type */
    enum cm_operation operation;
    enum cm_auth_method auth;
};

static const struct passing *passing_of(const struct cm_bench_run *run)
{
    return run->bench->subject;
}

static enum cm_key_type or_p256(enum cm_key_type type)
{
    return type == CM_KEY_UNKNOWN ? CM_KEY_P256 : type;
}

static struct line_order order_of(const struct cm_bench_run *run)
{
    const struct passing *passing = passing_of(run);
    return (struct line_order){ .count = run->size,
                                .key = passing->is_mixed ? CM_KEY_UNKNOWN : or_p256(passing->key),
                                .operation = passing->operation,
                                .auth = passing->auth };
}

static bool open_line(struct cm_bench_run *run)
{
    run->self = line_open(cm_key_type_name(or_p256(passing_of(run)->ca_key)), run);
    return run->self != NULL;
}

static void leave_line(struct cm_bench_run *run)
{
    if (!run->self)
        return;
    line_finish(run->self, run);
    line_mock_signatures(run->self, false);
}

static bool lease(struct cm_bench_run *run)
{
    struct line_order order = order_of(run);
    return line_lease(run->self, &order, run);
}

static bool come_to_station(struct cm_bench_run *run)
{
    return lease(run) && line_pass_to(run->self, passing_of(run)->station, run);
}

static bool pass(struct cm_bench_run *run)
{
    return line_pass(run->self, passing_of(run)->station, run);
}

static bool finish(struct cm_bench_run *run)
{
    return line_finish(run->self, run);
}

static bool open_with_mock(struct cm_bench_run *run)
{
    if (!open_line(run))
        return false;
    line_mock_signatures(run->self, true);
    return true;
}

/* Each of the devices has a certificate to renew. */
static bool open_with_certificates(struct cm_bench_run *run)
{
    struct line_order order = order_of(run);
    order.operation = CM_OPERATION_ISSUE;
    return open_line(run) && line_lease(run->self, &order, run)
           && line_pass_to(run->self, LINE_END, run) && finish(run);
}

/* The same entries again and again. */
static bool open_with_entries(struct cm_bench_run *run)
{
    return open_line(run) && lease(run);
}

static bool authenticate(struct cm_bench_run *run)
{
    return line_authenticate(run->self, run);
}

static bool pass_all(struct cm_bench_run *run)
{
    return line_pass_to(run->self, LINE_END, run);
}

#define PASSING(...)                                                                               \
    .subject = &(const struct passing)                                                             \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define SIZES     .sizes = { 1, 8, 64, 256 }
#define RSA_SIZES .sizes = { 1, LINE_RSA_MAX }

/* A station, by what opens its line. */
#define OPENED(label, opened, sizes, ...)                                                          \
    {                                                                                              \
        .name = label, .setup = (opened), .prepare = come_to_station, .run = pass,                 \
        .settle = finish, .teardown = leave_line, .is_bounded = true, sizes, __VA_ARGS__           \
    }
#define STATION(label, ...)     OPENED(label, open_line, SIZES, PASSING(__VA_ARGS__))
#define STATION_RSA(label, ...) OPENED(label, open_line, RSA_SIZES, PASSING(__VA_ARGS__))
#define AUTHENTICATE(label, method)                                                                \
    {                                                                                              \
        .name = label, .setup = open_with_entries, .run = authenticate, .teardown = leave_line,    \
        SIZES, PASSING(.auth = (method))                                                           \
    }

static const struct cm_bench benches[] = {
    AUTHENTICATE("authenticate/hmac", CM_AUTH_HMAC_SHA256),
    AUTHENTICATE("authenticate/ed25519", CM_AUTH_ED25519),
    STATION("intake", .station = LINE_INTAKE),
    STATION("decode", .station = LINE_DECODE),
    STATION("recall", .station = LINE_RECALL),
    STATION("admit", .station = LINE_ADMIT),
    OPENED("renew", open_with_certificates, SIZES,
           PASSING(.station = LINE_RENEW, .operation = CM_OPERATION_RENEW)),
    STATION("prove/p256", .station = LINE_PROVE),
    STATION("prove/p384", .station = LINE_PROVE, .key = CM_KEY_P384),
    STATION("prove/p521", .station = LINE_PROVE, .key = CM_KEY_P521),
    STATION("prove/ed25519", .station = LINE_PROVE, .key = CM_KEY_ED25519),
    STATION_RSA("prove/rsa", .station = LINE_PROVE, .key = CM_KEY_RSA),
    STATION("prove/mixed", .station = LINE_PROVE, .is_mixed = true),
    STATION("compose", .station = LINE_COMPOSE),
    OPENED("dispatch", open_with_mock, SIZES, PASSING(.station = LINE_DISPATCH),
           .is_concurrent = true),
    STATION("seal/p256", .station = LINE_SEAL),
    STATION("seal/ed25519", .station = LINE_SEAL, .ca_key = CM_KEY_ED25519),
    STATION("seal/rsa", .station = LINE_SEAL, .ca_key = CM_KEY_RSA),
    OPENED("record", open_line, SIZES, PASSING(.station = LINE_RECORD), .is_concurrent = true),
    STATION("reply", .station = LINE_REPLY),
    STATION("release", .station = LINE_RELEASE),
    { .name = "all",
      .setup = open_line,
      .prepare = lease,
      .run = pass_all,
      .settle = finish,
      .teardown = leave_line,
      .is_concurrent = true,
      .is_bounded = true,
      SIZES,
      PASSING(.station = LINE_END) },
};

const struct cm_bench_suite cm_bench_stations = { "stations", benches, CM_BENCH_COUNT(benches),
                                                  line_close_all };
