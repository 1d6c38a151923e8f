/*
 * Line: a real engine whose batches are carried from station to station by hand, so that each station
 * can be timed by itself over what those before it have made.
 *
 *     line_open("p256", run)                              once a key type of the CA; kept
 *     line_lease(line, &order, run)                       entries, from the engine's queue
 *     line_pass_to(line, LINE_PROVE, run)                 all stations before that one
 *     line_pass(line, LINE_PROVE, run)                    it alone: what is timed
 *     line_finish(line, run)                              the way out; everything is let go
 *
 * The deployment is one of `certmill init`, with 256 devices on the list, a memory queue, and the CA's key
 * in this process. Stations of workers run on the first thread, with the tools of the engine's only
 * worker, which sleeps meanwhile. The engine forgets after each batch which keys it has certified: so each
 * key is as new as the first time.
 *
 * Fails: every step fails its run (bench/harness.h). Thread: the first.
 */
#ifndef CM_BENCH_LINE_H
#define CM_BENCH_LINE_H

#include "bench/harness.h"
#include "engine/settings/settings.h"

/* In the order of the pipeline (engine/pipeline.c). */
enum line_station {
    LINE_INTAKE, /* and the choice of the issuer key */
    LINE_DECODE, /* envelopes and CSRs */
    LINE_RECALL, /* the snapshot of the store is its part */
    LINE_ADMIT,
    LINE_RENEW,
    LINE_PROVE,
    LINE_COMPOSE,
    LINE_DISPATCH, /* with all turns of the loop until the last signature is there */
    LINE_SEAL,
    LINE_RECORD, /* with all turns of the loop until it is durable */
    LINE_REPLY,  /* the same until the queue has taken the answers */
    LINE_RELEASE,
    LINE_END
};

/* Items of a batch. An RSA key takes a fifth of a second to make. */
enum { LINE_BATCH_MAX = 256, LINE_RSA_MAX = 8 };

/* What a batch is to consist of. */
struct line_order {
    uint32_t count;
    enum cm_key_type key; /* of the devices; UNKNOWN: of every type, nine in ten are P-256 */
    enum cm_operation operation;
    enum cm_auth_method auth; /* other than none: for line_authenticate alone */
};

struct line;

/* Opens it, or returns the one that is open; NULL: the run has failed. */
struct line *line_open(const char *ca_key, struct cm_bench_run *run);
void line_close_all(void);

bool line_lease(struct line *line, const struct line_order *order, struct cm_bench_run *run);
/* Of what is leased: every requester vouches for its entry. */
bool line_authenticate(struct line *line, struct cm_bench_run *run);

bool line_pass(struct line *line, enum line_station station, struct cm_bench_run *run);
bool line_pass_to(struct line *line, enum line_station station, struct cm_bench_run *run);

/* Takes what is leased, or in a batch, to its end: refused where nothing is promised yet. Certificates
 * that were issued are checked for. */
bool line_finish(struct line *line, struct cm_bench_run *run);

/* From now on the provider answers at once, with octets that are no signature; and as it did before. */
void line_mock_signatures(struct line *line, bool are_mock);

#endif
