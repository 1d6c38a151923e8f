/* The shelf: what was put last is there, and what was taken lasts. */
#include "engine/revocation/shelf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test_main.h"

static struct cm_document *document(const char *text)
{
    return cm_document_new(cm_bytes_copy(cm_bytes_str(text)), "text/plain", 5, 6);
}

static void put(struct cm_shelf *shelf, const char *path, const char *text)
{
    struct cm_document *made = document(text);
    cm_shelf_put(shelf, path, made);
    cm_document_let_go(made);
}

static bool has(struct cm_shelf *shelf, struct cm_bytes path, const char *text)
{
    struct cm_document *taken = cm_shelf_take(shelf, path);
    bool same = taken && cm_bytes_is(taken->content, text);
    cm_document_let_go(taken);
    return same;
}

static bool is_missing(struct cm_shelf *shelf, struct cm_bytes path)
{
    struct cm_document *taken = cm_shelf_take(shelf, path);
    cm_document_let_go(taken);
    return !taken;
}

static struct cm_shelf *shelf_new(void)
{
    struct cm_shelf *shelf;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_shelf_new(&shelf, &err), CM_OK);
    return shelf;
}

static void test_a_document_knows_its_tag_and_its_dates(void)
{
    struct cm_document *made = document("abc");
    CU_ASSERT_STRING_EQUAL(made->etag,
                           "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
    CU_ASSERT_STRING_EQUAL(made->content_type, "text/plain");
    CU_ASSERT_EQUAL(made->modified_s, 5);
    CU_ASSERT_EQUAL(made->expires_s, 6);
    cm_document_let_go(made);
    cm_document_let_go(NULL);
}

static void test_whole_paths_find_documents_and_nothing_else_does(void)
{
    struct cm_shelf *shelf = shelf_new();
    CU_ASSERT(is_missing(shelf, cm_bytes_str("/a")));
    put(shelf, "/crl/b/1.crl", "b1");
    put(shelf, "/crl/a/10.crl", "a10");
    put(shelf, "/crl/a/1.crl", "a1");
    put(shelf, "/crl/a/1", "a");
    CU_ASSERT(has(shelf, cm_bytes_str("/crl/a/1.crl"), "a1"));
    CU_ASSERT(has(shelf, cm_bytes_str("/crl/a/10.crl"), "a10"));
    CU_ASSERT(has(shelf, cm_bytes_str("/crl/b/1.crl"), "b1"));
    CU_ASSERT(has(shelf, cm_bytes_str("/crl/a/1"), "a"));
    CU_ASSERT(is_missing(shelf, cm_bytes_str("/crl/a/1.cr")));
    CU_ASSERT(is_missing(shelf, cm_bytes_str("/crl/a/1.crl2")));
    CU_ASSERT(is_missing(shelf, cm_bytes("/crl/a/1.crl", 13))); /* its NUL */
    CU_ASSERT(is_missing(shelf, cm_bytes_str("/crl/a/../a/1.crl")));
    CU_ASSERT(is_missing(shelf, cm_bytes(NULL, 0)));
    cm_shelf_free(shelf);
}

static void test_what_was_taken_outlasts_what_takes_its_place(void)
{
    struct cm_shelf *shelf = shelf_new();
    put(shelf, "/a", "old");
    struct cm_document *taken = cm_shelf_take(shelf, cm_bytes_str("/a"));
    put(shelf, "/a", "new");
    CU_ASSERT(has(shelf, cm_bytes_str("/a"), "new"));
    CU_ASSERT(cm_bytes_is(taken->content, "old"));
    cm_shelf_put(shelf, "/a", NULL);
    cm_shelf_put(shelf, "/never", NULL);
    CU_ASSERT(is_missing(shelf, cm_bytes_str("/a")));
    cm_shelf_free(shelf);
    CU_ASSERT(cm_bytes_is(taken->content, "old"));
    cm_document_let_go(taken);
}

static void note_path(const char *path, const struct cm_document *walked, void *arg)
{
    char *text = arg;
    CU_ASSERT_PTR_NOT_NULL(walked);
    strcat(text, path);
}

static void test_a_walk_has_the_paths_in_their_order(void)
{
    static const char *const paths[] = { "/m", "/b", "/z", "/a", "/q" };
    char text[64] = "";
    struct cm_shelf *shelf = shelf_new();
    for (unsigned i = 0; i < 5; i++)
        put(shelf, paths[i], "x");
    cm_shelf_put(shelf, "/m", NULL);
    cm_shelf_walk(shelf, note_path, text);
    CU_ASSERT_STRING_EQUAL(text, "/a/b/q/z");
    cm_shelf_free(shelf);
}

/* ------------------------------------------------------------------ threads -- */

static atomic_bool is_over;

/* Every document here holds one digit, many times. */
static void *take_all(void *arg)
{
    struct cm_shelf *shelf = arg;
    bool good = true;
    while (!atomic_load(&is_over)) {
        struct cm_document *taken = cm_shelf_take(shelf, cm_bytes_str("/a"));
        for (size_t i = 1; taken && i < taken->content.size; i++)
            good &= taken->content.data[i] == taken->content.data[0];
        cm_document_let_go(taken);
    }
    return good ? NULL : arg;
}

static void test_who_takes_has_one_document_whole_while_others_are_put(void)
{
    struct cm_shelf *shelf = shelf_new();
    pthread_t threads[3];
    void *wrong;
    atomic_store(&is_over, false);
    for (unsigned i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, take_all, shelf);
    for (unsigned i = 0; i < 2000; i++) {
        char text[200];
        memset(text, '0' + (char)(i % 10), sizeof text - 1);
        text[sizeof text - 1] = '\0';
        put(shelf, "/a", text);
        if (i % 50 == 0)
            cm_shelf_put(shelf, "/a", NULL);
    }
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], &wrong);
        CU_ASSERT_PTR_NULL(wrong);
    }
    cm_shelf_free(shelf);
}

CM_TEST_SUITE(shelf, CM_TEST(test_a_document_knows_its_tag_and_its_dates),
              CM_TEST(test_whole_paths_find_documents_and_nothing_else_does),
              CM_TEST(test_what_was_taken_outlasts_what_takes_its_place),
              CM_TEST(test_a_walk_has_the_paths_in_their_order),
              CM_TEST(test_who_takes_has_one_document_whole_while_others_are_put));
