/*
 * A publisher on a rig: a real store and a real folder in the scratch folder, the fake provider with a
 * real key, a book, a shelf, two workers, and a clock that stands until it is moved.
 *
 *     rig_make(&settings);              a store, a key, an authority with a certificate
 *     rig_open();                       a publisher on it
 *     rig_revoke(3, reason); rig_wait_number(path, 2);
 *     rig_close(); rig_open();          the same again, as after a restart
 *     rig_done();
 *
 * CRLs are looked at with OpenSSL.
 */
#ifndef CM_TESTS_UNIT_REVOCATION_PUBLISHER_RIG_H
#define CM_TESTS_UNIT_REVOCATION_PUBLISHER_RIG_H

#include "engine/revocation/publisher.h"
#include "tests/conformance/store_orders.h"

enum { RIG_NOW_S = 1750000000, RIG_DAY_S = 86400 };

struct rig_settings {
    uint32_t shards;
    bool has_no_url, has_no_folder;
    bool has_second_key; /* issuing-2, the same key, of a provider of its own, without a script */
    uint32_t delta_validity_s;
};

struct rig {
    struct fixture store; /* its certificates 1 to 20 are of devices d1 to d4 */
    struct cm_settings settings;
    struct cm_settings_authority authority;
    struct cm_issuer_key key, keys[2]; /* keys: both, where there is a second one */
    struct cm_issuers issuers;
    struct cm_provider *provider, *second_provider;
    struct cm_workers *workers;
    struct cm_book *book;
    struct cm_shelf *shelf;
    struct cm_publisher *publisher;
    int64_t time_ms;
    char folder[400], away[400], holds[400];
    unsigned notices_count;
    char notices[4000]; /* one behind the other */
    bool is_idle_told;
};

extern struct rig rig;

#define CRL   "/crl/issuing-1/0.crl"
#define DELTA "/crl/issuing-1/0-delta.crl"

/* Numbers of lists: the nth of those that are made in the rig's first second; the first of a later one. */
#define NTH(n)            (RIG_NOW_S + (n)-1)
#define AT(seconds_later) (RIG_NOW_S + (seconds_later))

extern const struct rig_settings rig_plain, rig_with_delta;

int rig_begin_suite(void); /* for CM_TEST_SUITE_WITH */
int rig_end_suite(void);

void rig_make(const struct rig_settings *settings);
/* The same, where a child process has made it, in our place, since it was forked. */
void rig_find(const struct rig_settings *settings);
/* Another store, which knows the authority and nothing else; closed. */
void rig_forget_store(void);
/* script: of the fake provider. */
void rig_open_with(const char *script);
void rig_open(void);
/* Stops, waits until it is idle, closes. */
void rig_close(void);
void rig_done(void);

void rig_pass(int64_t seconds); /* of the wall clock; the publisher looks */
void rig_touch(const char *path);
void rig_remove(const char *path);

/* Certificate n, or all of a device; the publisher looks. */
void rig_revoke(unsigned n, enum cm_reason reason);
void rig_order(enum cm_order_kind kind, const char *device);
/* A certificate that is revoked and ends then; its serial is of two octets. */
void rig_import(unsigned n, int64_t not_after_s);

/* Takes a number behind the publisher's back. */
void rig_take_number(uint64_t number);

/* In the folder, signed by the authority's key with OpenSSL: a CRL of this number without a URL, with the
 * entries 9 and 3, in no order. */
void rig_write_foreign_crl(const char *path, long number);

/* A CRL on the shelf, as OpenSSL reads it. */
struct rig_crl {
    bool is_there, verifies;
    long number, base_number; /* base -1: no delta */
    unsigned entries_count;
    int64_t this_update_s, next_update_s;
    bool has_idp, has_freshest;
    char etag[CM_ETAG_SIZE];
};
struct rig_crl rig_crl(const char *path);

/* -1: not in it; of certificate n, of an imported one. */
int rig_reason(const char *path, unsigned n);
int rig_imported_reason(const char *path, unsigned n);

/* What OCSP would say of certificate n. False: it is not revoked. */
bool rig_find_in_book(unsigned n, struct cm_book_found *ret_found);

/* Whether the folder has the very document. */
bool rig_folder_agrees(const char *path);
/* The same as a condition to wait for; path: a string. */
bool rig_folder_has(void *path);

/* Runs the loop until the CRL has this number; false after ten seconds. */
bool rig_wait_number(const char *path, long number);
bool rig_wait_notice(const char *part); /* among all since rig_open */
bool rig_wait(bool (*condition)(void *arg), void *arg);
void rig_run(uint32_t duration_ms);

/* Made, open, and the first list is there; closed, and gone. */
void rig_begin(const struct rig_settings *settings);
void rig_end(void);

struct cm_publisher_counts rig_count(void);

#endif
