#include "engine/status/listener.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/test_main.h"

static cm_status status_of(const char *text)
{
    struct cm_address address;
    struct cm_error err;
    return cm_address_read(text, &address, &err);
}

static void test_an_address_is_read(void)
{
    struct cm_address address;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_address_read("127.0.0.1:8080", &address, &err), CM_OK);
    CU_ASSERT_EQUAL(address.storage.ss_family, AF_INET);
    CU_ASSERT_EQUAL(ntohs(((struct sockaddr_in *)&address.storage)->sin_port), 8080);
    CU_ASSERT_EQUAL_FATAL(cm_address_read("[::1]:65535", &address, &err), CM_OK);
    CU_ASSERT_EQUAL(address.storage.ss_family, AF_INET6);
    CU_ASSERT_EQUAL(ntohs(((struct sockaddr_in6 *)&address.storage)->sin6_port), 65535);
    CU_ASSERT_EQUAL(status_of("0.0.0.0:0"), CM_OK);
}

static void test_what_is_no_address_is_refused_by_its_text(void)
{
    static const char *const bad[] = {
        "",           "8080",          ":8080",          "127.0.0.1",  "127.0.0.1:", "::1:80",
        "[::1]",      "[]:80",         "[127.0.0.1]:80", "1.2.3:80",   "h:80",       "1.2.3.4:x",
        "1.2.3.4:-1", "1.2.3.4:65536", "1.2.3.4:000080", "1.2.3.4: 80"
    };
    struct cm_address address;
    struct cm_error err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_EQUAL(status_of(bad[i]), CM_MALFORMED);
    CU_ASSERT_EQUAL(cm_address_read("h:80", &address, &err), CM_MALFORMED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "status.listen: \"h:80\""));
}

static void close_all(const int *sockets, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(sockets[i]);
}

static void test_several_sockets_share_a_port_of_the_systems_choice(void)
{
    int sockets[3];
    uint16_t port = 0;
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_listener_open("127.0.0.1:0", 3, sockets, &port, &err), CM_OK);
    CU_ASSERT_NOT_EQUAL(port, 0);
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in name;
        socklen_t size = sizeof name;
        CU_ASSERT_EQUAL(getsockname(sockets[i], (struct sockaddr *)&name, &size), 0);
        CU_ASSERT_EQUAL(ntohs(name.sin_port), port);
    }
    close_all(sockets, 3);
}

static void test_an_address_that_is_taken_is_found_out(void)
{
    int sockets[2], others[2];
    uint16_t port = 0, other_port = 0;
    char text[32];
    struct cm_error err;
    CU_ASSERT_EQUAL_FATAL(cm_listener_open("127.0.0.1:0", 2, sockets, &port, &err), CM_OK);
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    CU_ASSERT_EQUAL(cm_listener_open(text, 2, others, &other_port, &err), CM_EXISTS);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
    close_all(sockets, 2);
    CU_ASSERT_EQUAL_FATAL(cm_listener_open(text, 2, others, &other_port, &err), CM_OK);
    close_all(others, 2);
}

static void test_an_address_of_another_machine_is_not_found(void)
{
    int sockets[1];
    uint16_t port = 0;
    struct cm_error err;
    CU_ASSERT_EQUAL(cm_listener_open("192.0.2.1:0", 1, sockets, &port, &err), CM_NOT_FOUND);
}

CM_TEST_SUITE(listener, CM_TEST(test_an_address_is_read),
              CM_TEST(test_what_is_no_address_is_refused_by_its_text),
              CM_TEST(test_several_sockets_share_a_port_of_the_systems_choice),
              CM_TEST(test_an_address_that_is_taken_is_found_out),
              CM_TEST(test_an_address_of_another_machine_is_not_found));
