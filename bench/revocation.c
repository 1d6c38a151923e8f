/*
 * Revocation: entries and lists of CRLs by the number of entries, and OCSP from the octets of a request to those
 * of an answer. Signatures are the providers' (bench/providers.c).
 */
#include "engine/revocation/book.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/ocsp.h>

#include "bench/revoked_rows.h"
#include "bench/suites.h"
#include "engine/x509/crl.h"
#include "engine/x509/ocsp_request.h"
#include "engine/x509/ocsp_response.h"

enum { MORE = 100000, QUESTIONS = 64, DAY_S = 86400 };

static const char name[] = "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02"
                           "CA";

static struct cm_bytes issuer_name(void)
{
    return cm_bytes(name, sizeof name - 1);
}

/* ------------------------------------------------------------------ CRLs -- */

/* A book with `size` revocations in one shard, and its list. */
struct lists {
    struct revoked_rows rows;
    struct cm_book *book;
    struct cm_book_list list;
    struct cm_bytes der; /* owned: a whole CRL, with no true signature */
    struct cm_arena arena;
};

static bool list(struct lists *lists, struct cm_bench_run *run)
{
    const struct cm_book_question question = { .generation_number = REVOKED_GENERATION };
    struct cm_error err;
    cm_book_list_done(&lists->list);
    return cm_book_list(lists->book, &question, &lists->list, &err) == CM_OK
           || cm_bench_fail(run, "%s", err.text);
}

static bool read_rows(struct lists *lists, struct cm_bench_run *run)
{
    struct cm_error err;
    return cm_book_read(lists->book, &lists->rows.reader, NULL, NULL, &err) == CM_OK
           || cm_bench_fail(run, "%s", err.text);
}

static bool draft(struct lists *lists, struct cm_crl_draft *ret_draft, struct cm_bench_run *run)
{
    const struct cm_crl crl = { .issuer = issuer_name(),
                                .aki = issuer_name(),
                                .sigalg = CM_SIGALG_ECDSA_SHA256,
                                .this_update_s = REVOKED_NOW_S,
                                .next_update_s = REVOKED_NOW_S + 7 * DAY_S,
                                .number = 1,
                                .url = "http://crl.example/crl/ca-1/0.crl",
                                .user_certificates = true };
    struct cm_error err;
    return cm_crl_draft_make(&crl, lists->list.entries, ret_draft, &err) == CM_OK
           || cm_bench_fail(run, "%s", err.text);
}

static bool open_rows(struct cm_bench_run *run)
{
    struct lists *lists = calloc(1, sizeof *lists);
    struct cm_error err;
    run->self = lists;
    cm_arena_init(&lists->arena, 1 << 18);
    if (!revoked_rows_make(&lists->rows, run->size, MORE))
        return cm_bench_fail(run, "no serials");
    if (cm_book_new(&lists->book, &err) != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    cm_book_add_generation(lists->book, REVOKED_GENERATION, 1);
    return true;
}

static bool open_lists(struct cm_bench_run *run)
{
    struct cm_crl_draft made;
    if (!open_rows(run) || !read_rows(run->self, run) || !list(run->self, run)
        || !draft(run->self, &made, run))
        return false;
    ((struct lists *)run->self)->der = cm_crl_draft_finish(&made, issuer_name());
    return true;
}

static void close_lists(struct cm_bench_run *run)
{
    struct lists *lists = run->self;
    free((void *)(uintptr_t)lists->der.data);
    cm_book_list_done(&lists->list);
    cm_book_free(lists->book);
    revoked_rows_done(&lists->rows);
    cm_arena_done(&lists->arena);
    free(lists);
}

static bool write_entries(struct cm_bench_run *run)
{
    const struct lists *lists = run->self;
    uint8_t octets[CM_CRL_ENTRY_SIZE_MAX];
    for (uint32_t i = 0; i < run->size; i++) {
        const struct cm_crl_entry entry = { .serial =
                                                cm_bytes(lists->rows.serials[i], CM_SERIAL_SIZE),
                                            .revoked_s = REVOKED_NOW_S,
                                            .reason = revoked_rows_reason(i) };
        if (cm_crl_entry_write(&entry, octets) == 0)
            return cm_bench_fail(run, "no entry");
    }
    return true;
}

/* All of a store into an empty book: what a start costs. */
static bool read_all(struct cm_bench_run *run)
{
    struct lists *lists = run->self;
    struct cm_error err;
    cm_book_free(lists->book);
    lists->book = NULL;
    if (cm_book_new(&lists->book, &err) != CM_OK)
        return cm_bench_fail(run, "%s", err.text);
    cm_book_add_generation(lists->book, REVOKED_GENERATION, 1);
    return read_rows(lists, run);
}

/* One revocation more, and the shard listed with it. */
static bool list_one_more(struct cm_bench_run *run)
{
    struct lists *lists = run->self;
    if (lists->rows.count == run->size + MORE)
        return cm_bench_fail(run, "there are no more serials");
    lists->rows.count++;
    return read_rows(lists, run) && list(lists, run);
}

static bool compose_list(struct cm_bench_run *run)
{
    struct cm_crl_draft made;
    if (!draft(run->self, &made, run))
        return false;
    cm_crl_draft_done(&made);
    return true;
}

static bool read_list(struct cm_bench_run *run)
{
    const struct lists *lists = run->self;
    struct cm_crl_read crl;
    struct cm_crl_entry entry;
    struct cm_error err;
    cm_status status = cm_crl_read(lists->der, &crl, &err);
    while (status == CM_OK && cm_crl_next_entry(&crl.entries, &entry, &status, &err))
        ;
    return status == CM_OK || cm_bench_fail(run, "%s", err.text);
}

static bool find_all(struct cm_bench_run *run)
{
    const struct lists *lists = run->self;
    struct cm_book_found found;
    for (uint32_t i = 0; i < run->size; i++)
        if (!cm_book_find(lists->book, REVOKED_GENERATION,
                          cm_bytes(lists->rows.serials[i], CM_SERIAL_SIZE), &found))
            return cm_bench_fail(run, "a revocation is not found");
    return true;
}

/* ------------------------------------------------------------------ OCSP -- */

struct questions {
    struct cm_arena arena, scratch;
    struct cm_bytes request; /* DER, with one CertID */
    struct cm_ocsp_single single;
};

static ASN1_INTEGER *some_serial(void)
{
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    ASN1_INTEGER_set_uint64(serial, UINT64_C(0x1802030405060708));
    return serial;
}

/* Of OpenSSL's making, as a client's. */
static struct cm_bytes make_request(struct cm_arena *arena)
{
    X509_NAME *issuer = X509_NAME_new();
    ASN1_BIT_STRING *key = ASN1_BIT_STRING_new();
    ASN1_INTEGER *serial = some_serial();
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    unsigned char *der = NULL;
    OCSP_CERTID *id = OCSP_cert_id_new(EVP_sha1(), issuer, key, serial);
    if (id)
        OCSP_request_add0_id(request, id);
    int size = i2d_OCSP_REQUEST(request, &der);
    struct cm_bytes copy = cm_arena_copy(arena, cm_bytes(der, size > 0 ? (size_t)size : 0));
    OPENSSL_free(der);
    OCSP_REQUEST_free(request);
    ASN1_INTEGER_free(serial);
    ASN1_BIT_STRING_free(key);
    X509_NAME_free(issuer);
    return copy;
}

static bool open_questions(struct cm_bench_run *run)
{
    struct questions *questions = calloc(1, sizeof *questions);
    struct cm_ocsp_request request;
    struct cm_refusal refusal;
    run->self = questions;
    cm_arena_init(&questions->arena, 1 << 12);
    cm_arena_init(&questions->scratch, 1 << 18);
    questions->request = make_request(&questions->arena);
    if (!cm_ocsp_request_read(questions->request, &request, &refusal))
        return cm_bench_fail(run, "%s", refusal.message);
    questions->single = (struct cm_ocsp_single){ .cert_id = request.ids[0].whole,
                                                 .this_update_s = REVOKED_NOW_S,
                                                 .next_update_s = REVOKED_NOW_S + DAY_S };
    return true;
}

static void close_questions(struct cm_bench_run *run)
{
    struct questions *questions = run->self;
    cm_arena_done(&questions->arena);
    cm_arena_done(&questions->scratch);
    free(questions);
}

static bool read_requests(struct cm_bench_run *run)
{
    const struct questions *questions = run->self;
    struct cm_ocsp_request request;
    struct cm_refusal refusal;
    for (uint32_t i = 0; i < run->size; i++)
        if (!cm_ocsp_request_read(questions->request, &request, &refusal))
            return cm_bench_fail(run, "%s", refusal.message);
    return true;
}

static bool compose_answers(struct cm_bench_run *run)
{
    struct questions *questions = run->self;
    const struct cm_ocsp_response response = { .produced_s = REVOKED_NOW_S,
                                               .singles = &questions->single,
                                               .singles_count = 1 };
    const uint8_t signature[70] = { 0 };
    struct cm_error err;
    struct cm_bytes tbs;
    cm_arena_reset(&questions->scratch);
    for (uint32_t i = 0; i < run->size; i++) {
        if (cm_ocsp_compose(&response, &questions->scratch, &tbs, &err) != CM_OK)
            return cm_bench_fail(run, "%s", err.text);
        cm_ocsp_assemble(tbs, CM_SIGALG_ECDSA_SHA256, cm_bytes(signature, sizeof signature),
                         cm_bytes(NULL, 0), &questions->scratch);
    }
    return true;
}

#define LISTS(label, opened, function, ...)                                                        \
    {                                                                                              \
        .name = label, .setup = (opened), .run = (function), .teardown = close_lists, .sizes = {   \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct cm_bench benches[] = {
    LISTS("entry", open_rows, write_entries, 1000),
    LISTS("book/read", open_rows, read_all, 1000, 100000),
    LISTS("book/find", open_lists, find_all, 1000, 100000),
    LISTS("book/one-more", open_lists, list_one_more, 100000),
    LISTS("crl/compose", open_lists, compose_list, 1000, 100000),
    LISTS("crl/read", open_lists, read_list, 1000, 100000),
    { .name = "ocsp/read",
      .setup = open_questions,
      .run = read_requests,
      .teardown = close_questions,
      .sizes = { QUESTIONS } },
    { .name = "ocsp/compose",
      .setup = open_questions,
      .run = compose_answers,
      .teardown = close_questions,
      .sizes = { QUESTIONS } },
};

const struct cm_bench_suite cm_bench_revocation = { "revocation", benches, CM_BENCH_COUNT(benches),
                                                    NULL };
