/*
 * HTTP/2: with nghttpx (Debian: nghttp2-proxy) before the emulator, many requests are streams of few
 * connections. Skipped where there is no nghttpx.
 */
#include "tests/unit/providers/keyvault_stage.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { WAIT_MS = 20, WAITS_MAX = 250, PORTS = 65536, ITEMS = 300 };

struct proxy {
    pid_t pid;
    int port;
    char key[400], certificate[400], log[400];
};

static const char *find_nghttpx(void)
{
    static const char *const more = ":/usr/sbin:/usr/local/sbin";
    static char path[512];
    char folders[4096];
    snprintf(folders, sizeof folders, "%s%s", getenv("PATH"), more);
    for (char *next = folders, *folder; (folder = strsep(&next, ":"));) {
        snprintf(path, sizeof path, "%.480s/nghttpx", folder);
        if (access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

/* ------------------------------------------------------------------ its certificate -- */

static void write_certificate(struct proxy *proxy)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"proxy", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, pkey);
    X509_add_ext(certificate, names, -1);
    CU_ASSERT_TRUE_FATAL(X509_sign(certificate, pkey, EVP_sha256()) > 0);
    FILE *file = fopen(proxy->certificate, "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    file = fopen(proxy->key, "w");
    PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_EXTENSION_free(names);
    X509_free(certificate);
    EVP_PKEY_free(pkey);
}

/* ------------------------------------------------------------------ its process -- */

static int connect_to(int port)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, (const struct sockaddr *)&address, sizeof address);
    close(fd);
    return result;
}

/* One that was free a moment ago. */
static int find_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *)&address, size), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void run_proxy(const char *program, const struct proxy *proxy,
                      const struct cm_keyvault *vault)
{
    char frontend[64], backend[64], log[512];
    snprintf(frontend, sizeof frontend, "--frontend=127.0.0.1,%d", proxy->port);
    snprintf(backend, sizeof backend, "--backend=127.0.0.1,%d;;tls;proto=http/1.1", vault->port);
    snprintf(log, sizeof log, "--accesslog-file=%s", proxy->log);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(program, program, frontend, backend, log, "--accesslog-format=$remote_port $alpn",
          "--insecure", "--no-ocsp", "--single-process", "--conf=/dev/null",
          "--errorlog-file=/dev/null", proxy->key, proxy->certificate, (char *)NULL);
    _exit(127);
}

static bool proxy_start(struct proxy *proxy, const char *program, const struct cm_keyvault *vault)
{
    proxy->port = find_port();
    proxy->pid = fork();
    if (proxy->pid == 0)
        run_proxy(program, proxy, vault);
    for (unsigned i = 0; i < WAITS_MAX; i++) {
        if (connect_to(proxy->port) == 0)
            return true;
        usleep(WAIT_MS * 1000);
    }
    return false;
}

static void proxy_stop(const struct proxy *proxy)
{
    kill(proxy->pid, SIGKILL);
    waitpid(proxy->pid, NULL, 0);
}

/* Lines of the log about HTTP/2, and how many connections they came over. */
static unsigned count_requests(const struct proxy *proxy, unsigned *ret_connections)
{
    static bool is_known[PORTS];
    unsigned requests = 0, port;
    char protocol[32];
    FILE *log = fopen(proxy->log, "r");
    *ret_connections = 0;
    while (log && fscanf(log, "%u %31s", &port, protocol) == 2) {
        if (strcmp(protocol, "h2") != 0)
            continue;
        requests++;
        *ret_connections += !is_known[port % PORTS];
        is_known[port % PORTS] = true;
    }
    if (log)
        fclose(log);
    return requests;
}

/* ------------------------------------------------------------------ the test -- */

static void check_streams(const char *program)
{
    static const char *const emulator[] = { "--latency-ms", "20", NULL };
    struct vault_stage stage;
    struct proxy proxy = { 0 };
    char trust[400], reference[512];
    unsigned connections;
    vault_stage_start(&stage, emulator);
    snprintf(proxy.key, sizeof proxy.key, "%s/proxy.key", cm_test_scratch());
    snprintf(proxy.certificate, sizeof proxy.certificate, "%s/proxy.pem", cm_test_scratch());
    snprintf(proxy.log, sizeof proxy.log, "%s/proxy.log", cm_test_scratch());
    snprintf(trust, sizeof trust, "%s/trust.pem", cm_test_scratch());
    write_certificate(&proxy);
    /* The token endpoint is the emulator's own: both are trusted. */
    vault_stage_append_trust(proxy.certificate, trust);
    vault_stage_append_trust(stage.vault.certificate, trust);
    CU_ASSERT_TRUE_FATAL(proxy_start(&proxy, program, &stage.vault));
    snprintf(stage.vault.certificate, sizeof stage.vault.certificate, "%.330s", trust);
    vault_stage_open_with(&stage, rig_vault_options(&stage.vault, ", \"in-flight\": 60"),
                          rig_vault_secret(CM_KEYVAULT_CLIENT_SECRET));
    cm_keyvault_create_key(&stage.vault, "ca", EC_256, NULL);
    snprintf(reference, sizeof reference, "https://127.0.0.1:%d/keys/ca", proxy.port);
    struct cm_key *key = vault_stage_open_key(&stage, reference);
    /* However slow we are, the first ones wait side by side. */
    cm_keyvault_fault(&stage.vault,
                      "{\"on\":\"sign\",\"kind\":\"slow\",\"delay_ms\":6000,\"count\":60}");
    CU_ASSERT_TRUE(rig_signs(&stage.rig, key, ITEMS));
    CU_ASSERT_EQUAL(cm_keyvault_statistic(&stage.vault, "signs_in_flight_max"), 60);
    CU_ASSERT_TRUE(count_requests(&proxy, &connections) >= ITEMS);
    CU_ASSERT_TRUE(connections <= 3);
    cm_provider_close_key(key);
    proxy_stop(&proxy);
    vault_stage_close(&stage);
}

static void test_requests_are_streams_of_few_connections(void)
{
    const char *program = find_nghttpx();
    if (!program) {
        cm_test_skip(
            "no nghttpx to speak HTTP/2 before the emulator: Debian's package nghttp2-proxy");
        return;
    }
    check_streams(program);
}

CM_TEST_SUITE(keyvault_http2, CM_TEST(test_requests_are_streams_of_few_connections));
