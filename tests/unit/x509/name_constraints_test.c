/* Name constraints: subtrees as texts, what lies within what, and the extension read strictly. */
#include "engine/x509/name_constraints.h"

#include <stdio.h>

#include "tests/support/test_main.h"
#include "tests/unit/x509/pieces.h"

static void test_subtrees_go_to_text_and_back(void)
{
    static const char *const good[] = {
        "dns:example.com",    "dns:example",     "email:a@example.com", "email:example.com",
        "email:.example.com", "uri:example.com", "uri:.example.com",    "ip:10.0.0.0/8",
        "ip:0.0.0.0/0",       "ip:10.1.2.3/32",  "ip:2001:db8::/32",    "ip:2001:db8:8000::/33",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint8_t octets[CM_SUBTREE_OCTETS];
        char text[CM_SUBTREE_TEXT_SIZE];
        struct cm_subtree subtree = { 0 };
        CU_ASSERT_PTR_NULL(cm_subtree_read(good[i], octets, &subtree));
        CU_ASSERT_STRING_EQUAL(cm_subtree_write(&subtree, text), good[i]);
    }
}

static void test_what_is_no_subtree_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "example.com",
        "dns:",
        "dns:.example.com",
        "dns:*.example.com",
        "dns:a b",
        "dns:10.0.0.1",
        "email:",
        "email:@example",
        "email:a@",
        "email:.",
        "uri:",
        "uri:http://a/",
        "uri:.",
        "ip:",
        "ip:10.0.0.0",
        "ip:10.0.0.1/8",
        "ip:10.0.0.0/33",
        "ip:10.0.0.0/",
        "ip:10.0.0.0/-1",
        "ip:10.0/8",
        "ip:10.0.0.0/8x",
        "ip:::1/127",
        "ip:::/129",
        "Dns:example.com",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t octets[CM_SUBTREE_OCTETS];
        struct cm_subtree subtree = { 0 };
        const char *problem = cm_subtree_read(bad[i], octets, &subtree);
        if (!problem)
            printf("    %s: read\n", bad[i]);
        CU_ASSERT_PTR_NOT_NULL(problem);
    }
}

static void test_what_lies_within_what(void)
{
    static const struct {
        const char *outer, *inner;
        bool is_within;
    } rows[] = {
        { "dns:example.com", "dns:example.com", true },
        { "dns:example.com", "dns:EXAMPLE.com", true },
        { "dns:example.com", "dns:a.b.example.com", true },
        { "dns:example.com", "dns:badexample.com", false },
        { "dns:a.example.com", "dns:example.com", false },
        { "dns:example.com", "email:example.com", false },
        { "email:example.com", "email:a@example.com", true },
        { "email:example.com", "email:a@b.example.com", false },
        { "email:.example.com", "email:a@b.example.com", true },
        { "email:.example.com", "email:a@example.com", false },
        { "email:.example.com", "email:.b.example.com", true },
        { "email:a@example.com", "email:a@EXAMPLE.com", true },
        { "email:a@example.com", "email:A@example.com", false },
        { "email:a@example.com", "email:example.com", false },
        { "uri:example.com", "uri:example.com", true },
        { "uri:example.com", "uri:a.example.com", false },
        { "uri:.example.com", "uri:a.example.com", true },
        { "uri:.example.com", "uri:example.com", false },
        { "ip:10.0.0.0/8", "ip:10.1.0.0/16", true },
        { "ip:10.0.0.0/8", "ip:11.0.0.0/16", false },
        { "ip:10.1.0.0/16", "ip:10.0.0.0/8", false },
        { "ip:0.0.0.0/0", "ip:192.0.2.1/32", true },
        { "ip:::/0", "ip:192.0.2.1/32", false },
        { "ip:2001:db8::/32", "ip:2001:db8:1::/48", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t octets[2][CM_SUBTREE_OCTETS];
        struct cm_subtree outer = { 0 }, inner = { 0 };
        CU_ASSERT_PTR_NULL(cm_subtree_read(rows[i].outer, octets[0], &outer));
        CU_ASSERT_PTR_NULL(cm_subtree_read(rows[i].inner, octets[1], &inner));
        if (cm_subtree_covers(&outer, &inner) != rows[i].is_within)
            printf("    %s in %s\n", rows[i].inner, rows[i].outer);
        CU_ASSERT_EQUAL(cm_subtree_covers(&outer, &inner), rows[i].is_within);
    }
}

static bool holds(const char *text, uint8_t tag, struct cm_bytes name)
{
    uint8_t octets[2][CM_SUBTREE_OCTETS];
    struct cm_subtree outer = { 0 }, inner = { 0 };
    CU_ASSERT_PTR_NULL(cm_subtree_read(text, octets[0], &outer));
    return cm_subtree_of_name(tag, name, octets[1], &inner) && cm_subtree_covers(&outer, &inner);
}

static void test_names_are_compared_by_their_kind(void)
{
    static const uint8_t address[] = { 10, 1, 2, 3 };
    CU_ASSERT_TRUE(holds("ip:10.0.0.0/8", CM_SUBTREE_IP, cm_bytes(address, 4)));
    CU_ASSERT_FALSE(holds("ip:10.0.0.0/16", CM_SUBTREE_IP, cm_bytes(address, 4)));
    CU_ASSERT_FALSE(holds("ip:0.0.0.0/0", CM_SUBTREE_IP, cm_bytes(address, 3)));
    CU_ASSERT_TRUE(holds("dns:b", CM_SUBTREE_DNS, cm_bytes_str("a.b")));
    CU_ASSERT_TRUE(holds("email:b", CM_SUBTREE_EMAIL, cm_bytes_str("a@b")));
    CU_ASSERT_TRUE(holds("uri:b.c", CM_SUBTREE_URI, cm_bytes_str("https://b.c:8443/x")));
    CU_ASSERT_TRUE(holds("uri:.c", CM_SUBTREE_URI, cm_bytes_str("https://b.c?x")));
    CU_ASSERT_FALSE(holds("uri:b.c", CM_SUBTREE_URI, cm_bytes_str("https://10.0.0.1/")));
    CU_ASSERT_FALSE(holds("uri:b.c", CM_SUBTREE_URI, cm_bytes_str("urn:b.c")));
}

/* Two RDNs; the first of them; both in another order; the empty name. */
static void test_a_directory_name_begins_with_its_subtree(void)
{
    const struct cm_bytes whole =
        piece_hex("301a310b3009060355040a0c026f6f310b300906035504030c026363");
    const struct cm_bytes first = piece_hex("300d310b3009060355040a0c026f6f");
    const struct cm_bytes second = piece_hex("300d310b300906035504030c026363");
    const struct cm_subtree all = { CM_SUBTREE_DIRECTORY, piece_hex("3000") };
    const struct cm_subtree name = { CM_SUBTREE_DIRECTORY, whole };
    const struct cm_subtree outer = { CM_SUBTREE_DIRECTORY, first };
    const struct cm_subtree other = { CM_SUBTREE_DIRECTORY, second };
    CU_ASSERT_TRUE(cm_subtree_covers(&outer, &name));
    CU_ASSERT_TRUE(cm_subtree_covers(&all, &name));
    CU_ASSERT_FALSE(cm_subtree_covers(&other, &name));
    CU_ASSERT_FALSE(cm_subtree_covers(&name, &outer));
}

static bool read(const char *hex, struct cm_name_constraints *constraints)
{
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(piece_hex(hex), &refusal);
    return cm_name_constraints_read(&der, constraints) && cm_der_finish(&der, "whole");
}

static void test_the_extension_is_read_strictly(void)
{
    static const char *const bad[] = {
        "",
        "3000",                                     /* nothing of either */
        "3002a000",                                 /* an empty list */
        "3009a10730058203612e6200",                 /* behind it */
        "300ca00a30088203612e62800100",             /* a minimum, which is the default */
        "300ca00a30088203612e62810105",             /* a maximum */
        "3012a10730058203612e62a00730058203612e62", /* the wrong way round */
        "300aa0083006870400000000",                 /* an address without a mask */
        "3008a0063004a4020500",                     /* no name */
        "3009300730058203612e62",
    };
    struct cm_name_constraints constraints;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read(bad[i], &constraints))
            printf("    %s: read\n", bad[i]);
        CU_ASSERT_FALSE(read(bad[i], &constraints));
    }
    CU_ASSERT_TRUE(read("3009a00730058203612e62", &constraints));
    CU_ASSERT_EQUAL(constraints.permitted.count, 1);
    CU_ASSERT_EQUAL(constraints.excluded.count, 0);
}

static void test_what_is_written_is_read_and_judges(void)
{
    static const char *const permitted[] = { "dns:example.com", "ip:10.0.0.0/8" };
    static const char *const excluded[] = { "dns:secret.example.com" };
    static const struct {
        const char *name;
        int by; /* 0: allowed; 1: an excluded one; 2: no permitted one */
    } rows[] = {
        { "dns:a.example.com", 0 },   { "dns:x.secret.example.com", 1 }, { "dns:example.org", 2 },
        { "email:a@example.org", 0 }, { "ip:10.0.0.0/24", 0 },           { "ip:11.0.0.0/24", 2 },
    };
    uint8_t space[256];
    struct cm_der_writer w;
    struct cm_refusal refusal;
    struct cm_name_constraints constraints;
    cm_der_writer_init(&w, space, sizeof space);
    cm_name_constraints_put(&w, permitted, 2, excluded, 1);
    struct cm_der der = cm_der_open(cm_der_written(&w), &refusal);
    CU_ASSERT_TRUE_FATAL(cm_name_constraints_read(&der, &constraints));
    CU_ASSERT_TRUE(cm_name_constraints_have(&constraints, CM_SUBTREE_DNS));
    CU_ASSERT_FALSE(cm_name_constraints_have(&constraints, CM_SUBTREE_EMAIL));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t octets[CM_SUBTREE_OCTETS];
        struct cm_subtree name = { 0 };
        const struct cm_subtree *by = NULL;
        CU_ASSERT_PTR_NULL(cm_subtree_read(rows[i].name, octets, &name));
        CU_ASSERT_EQUAL(cm_name_constraints_allow(&constraints, &name, &by), rows[i].by == 0);
        CU_ASSERT_EQUAL(by != NULL, rows[i].by == 1);
    }
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(name_constraints, set_up, pki_done, CM_TEST(test_subtrees_go_to_text_and_back),
                   CM_TEST(test_what_is_no_subtree_is_refused), CM_TEST(test_what_lies_within_what),
                   CM_TEST(test_names_are_compared_by_their_kind),
                   CM_TEST(test_a_directory_name_begins_with_its_subtree),
                   CM_TEST(test_the_extension_is_read_strictly),
                   CM_TEST(test_what_is_written_is_read_and_judges));
