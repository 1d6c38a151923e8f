/*
 * What CRLs cost: a book of revocations read in, listed, signed; and one revocation more.
 *
 *     crl_bench [ENTRIES [SHARDS]] [--compare]      (1,000,000 entries in 16 shards)
 *
 * The steps are the publisher's, one after another: list, compose, hash, sign with a software P-256 key
 * through the provider, verify. What the store takes to find the rows, the comparison with the list before,
 * and the disk, are not in it. Memory is counted beyond the book. --compare has `openssl ca -gencrl` make
 * one list of the same entries. Prints one JSON line.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/revoked_rows.h"
#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/revocation/book.h"
#include "engine/x509/crl.h"
#include "engine/x509/proof.h"
#include "engine/x509/template.h"
#include "providers/backends.h"
#include "providers/keyfile.h"

struct bench {
    struct revoked_rows rows;
    uint32_t shards_count;
    struct cm_book *book;
    struct cm_loop *loop;
    struct cm_provider *provider;
    struct cm_key *key;
    struct cm_public_key public_key;
    char folder[64], key_path[96];
    struct cm_bytes *lists; /* DER, by shard */
};

static const char name[] = "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02"
                           "CA";

/* A moment: of the day, and of this process's work. */
struct moment {
    double wall_s, cpu_s;
};

static struct moment now(void)
{
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (struct moment){ .wall_s = (double)cm_clock_monotonic_ns() / 1e9,
                            .cpu_s = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9 };
}

static void print_step(const char *step, struct moment begin, struct moment end)
{
    printf(",\"%s_s\":%.4f,\"%s_cpu_s\":%.4f", step, end.wall_s - begin.wall_s, step,
           end.cpu_s - begin.cpu_s);
}

/* A line of /proc/self/status, MB. */
static double memory_mb(const char *line)
{
    char text[200];
    double kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    check(file != NULL, "/proc/self/status");
    while (fgets(text, sizeof text, file))
        if (strncmp(text, line, strlen(line)) == 0)
            kb = strtod(text + strlen(line), NULL);
    fclose(file);
    return kb / 1000;
}

/* The highest that the process had counts from now on. */
static void forget_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    check(fd >= 0 && write(fd, "5", 1) == 1, "/proc/self/clear_refs");
    close(fd);
}

/* ------------------------------------------------------------------ the key -- */

static void on_key(cm_status status, struct cm_key *key, const struct cm_error *err, void *arg)
{
    struct bench *bench = arg;
    check(status == CM_OK, err->text);
    bench->key = key;
    cm_loop_stop(bench->loop);
}

static void open_key(struct bench *bench)
{
    struct cm_keyfile_spki spki;
    struct cm_error err;
    struct cm_refusal refusal;
    char reference[128];
    const struct cm_provider_settings settings = { .name = "bench", .workers_count = 1 };
    snprintf(bench->folder, sizeof bench->folder, "/tmp/crl_bench.XXXXXX");
    check(mkdtemp(bench->folder) != NULL, "a folder");
    snprintf(bench->key_path, sizeof bench->key_path, "%s/key.pem", bench->folder);
    check(cm_keyfile_generate(CM_KEY_P256, 0, bench->key_path, NULL, &spki, &err) == CM_OK,
          "a key");
    check(cm_loop_new(&bench->loop, &err) == CM_OK, "a loop");
    check(cm_provider_open(&cm_provider_openssl, bench->loop, &settings, &bench->provider, &err)
              == CM_OK,
          "the provider");
    snprintf(reference, sizeof reference, "file:%s", bench->key_path);
    cm_provider_open_key(bench->provider, reference, CM_SIGALG_UNKNOWN, on_key, bench);
    cm_loop_run(bench->loop);
    check(cm_public_key_read(bench->key->spki, &bench->public_key, &refusal), "its public key");
}

static void on_signed(struct cm_sign_batch *batch, void *arg)
{
    struct bench *bench = arg;
    check(batch->items[0].status == CM_OK, "a signature");
    cm_loop_stop(bench->loop);
}

static struct cm_bytes sign(struct bench *bench, struct cm_bytes message, uint8_t *signature)
{
    struct cm_error err;
    struct cm_sign_item item = { .message = message,
                                 .signature = signature,
                                 .signature_space = CM_SIGNATURE_SIZE_MAX };
    struct cm_sign_batch batch = { .key = bench->key,
                                   .lane = CM_LANE_CRL,
                                   .items = &item,
                                   .items_count = 1,
                                   .done = on_signed,
                                   .done_arg = bench };
    check(cm_provider_sign(bench->provider, &batch, &err) == CM_OK, "signing");
    cm_loop_run(bench->loop);
    return cm_bytes(signature, item.signature_size);
}

/* ------------------------------------------------------------------ steps -- */

static void read_in(struct bench *bench)
{
    struct cm_error err;
    check(cm_book_read(bench->book, &bench->rows.reader, NULL, NULL, &err) == CM_OK, "reading");
}

static void list(struct bench *bench, uint32_t shard, struct cm_book_list *ret_list)
{
    const struct cm_book_question question = { .generation_number = REVOKED_GENERATION,
                                               .shard = shard };
    struct cm_error err;
    check(cm_book_list(bench->book, &question, ret_list, &err) == CM_OK, "a list");
}

static void list_all(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->shards_count; i++) {
        struct cm_book_list entries;
        list(bench, i, &entries);
        cm_book_list_done(&entries);
    }
}

static void verify(const struct bench *bench, struct cm_bytes tbs, struct cm_bytes signature)
{
    struct cm_verifier *verifier;
    struct cm_error err;
    check(cm_verifier_new(&bench->public_key, bench->key->alg, &verifier, &err) == CM_OK,
          "a verifier");
    check(cm_verifier_check(verifier, tbs, signature) == CM_OK, "the signature");
    cm_verifier_free(verifier);
}

static void publish(struct bench *bench, uint32_t shard, uint64_t number)
{
    const struct cm_crl crl = { .issuer = cm_bytes(name, sizeof name - 1),
                                .aki = cm_bytes(name, sizeof name - 1),
                                .sigalg = bench->key->alg,
                                .this_update_s = REVOKED_NOW_S,
                                .next_update_s = REVOKED_NOW_S + 604800,
                                .number = number,
                                .url = "http://crl.example/crl/ca-1/0.crl",
                                .user_certificates = true };
    struct cm_book_list entries;
    struct cm_crl_draft draft;
    struct cm_error err;
    uint8_t hash[CM_SHA256_SIZE], signature[CM_SIGNATURE_SIZE_MAX];
    list(bench, shard, &entries);
    check(cm_crl_draft_make(&crl, entries.entries, &draft, &err) == CM_OK, err.text);
    cm_book_list_done(&entries);
    cm_sha256(&draft.tbs, 1, hash);
    struct cm_bytes made = sign(bench, draft.tbs, signature);
    verify(bench, draft.tbs, made);
    free((void *)(uintptr_t)bench->lists[shard].data);
    bench->lists[shard] = cm_crl_draft_finish(&draft, made);
}

static void publish_all(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->shards_count; i++)
        publish(bench, i, 1);
}

/* ------------------------------------------------------------------ openssl -- */

static void run(const char *const *words, const char *log)
{
    int how;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    check(pid > 0 && waitpid(pid, &how, 0) == pid && how == 0, words[1]);
}

static void write_index(const struct bench *bench)
{
    FILE *index = fopen("index.txt", "w");
    check(index != NULL, "index.txt");
    for (uint32_t i = 0; i < bench->rows.count; i++) {
        char serial[2 * CM_SERIAL_SIZE + 1];
        cm_hex_encode(cm_bytes(bench->rows.serials[i], CM_SERIAL_SIZE), serial);
        for (char *digit = serial; *digit; digit++)
            if (*digit >= 'a')
                *digit = (char)(*digit - 'a' + 'A');
        fprintf(index, "R\t300101000000Z\t260101000000Z%s\t%s\tunknown\t/CN=d\n",
                revoked_rows_reason(i) ? ",keyCompromise" : "", serial);
    }
    fclose(index);
}

static void write_configuration(void)
{
    FILE *file = fopen("ca.cnf", "w");
    check(file != NULL, "ca.cnf");
    fputs("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncertificate=ca.pem\nprivate_key=key.pem\n"
          "default_md=sha256\ndefault_crl_days=7\n",
          file);
    fclose(file);
    file = fopen("index.txt.attr", "w");
    check(file != NULL, "index.txt.attr");
    fputs("unique_subject = no\n", file);
    fclose(file);
}

/* In the bench's folder, which is the working folder then. */
static void compare(const struct bench *bench)
{
    static const char *const make_ca[] = { "openssl", "req",    "-x509",  "-new",  "-key",
                                           "key.pem", "-subj",  "/CN=CA", "-days", "30",
                                           "-out",    "ca.pem", NULL };
    static const char *const make_crl[] = { "openssl", "ca",   "-config", "ca.cnf",
                                            "-gencrl", "-out", "ca.crl",  NULL };
    struct rusage usage;
    check(chdir(bench->folder) == 0, "the folder");
    write_index(bench);
    write_configuration();
    run(make_ca, "log");
    double begin_s = now().wall_s;
    run(make_crl, "log");
    double end_s = now().wall_s;
    getrusage(RUSAGE_CHILDREN, &usage);
    printf(",\"openssl_ca_s\":%.2f,\"openssl_ca_cpu_s\":%.2f,\"openssl_ca_mb\":%.0f",
           end_s - begin_s,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
               + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
           (double)usage.ru_maxrss / 1000);
}

static void remove_folder(const struct bench *bench)
{
    static const char *const files[] = { "key.pem", "ca.pem",         "ca.crl",   "ca.cnf",
                                         "log",     "index.txt.attr", "index.txt" };
    char path[128];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", bench->folder, files[i]);
        unlink(path);
    }
    rmdir(bench->folder);
}

/* ------------------------------------------------------------------ main -- */

static void revoke_one(struct bench *bench)
{
    const uint8_t *serial = bench->rows.serials[bench->rows.count++];
    read_in(bench);
    publish(bench, cm_crl_shard(cm_bytes(serial, CM_SERIAL_SIZE), bench->shards_count), 2);
}

static double crls_mb(const struct bench *bench)
{
    size_t octets = 0;
    for (uint32_t i = 0; i < bench->shards_count; i++)
        octets += bench->lists[i].size;
    return (double)octets / 1e6;
}

static void measure(struct bench *bench)
{
    struct moment at[6];
    double before_mb = memory_mb("VmRSS:");
    uint32_t count = bench->rows.count;
    at[0] = now();
    read_in(bench);
    at[1] = now();
    list_all(bench);
    at[2] = now();
    double book_mb = memory_mb("VmRSS:");
    forget_peak();
    at[3] = now();
    publish_all(bench);
    at[4] = now();
    double peak_mb = memory_mb("VmHWM:");
    revoke_one(bench);
    at[5] = now();
    printf("{\"bench\":\"crl\",\"entries\":%u,\"shards\":%u,\"crl_mb\":%.1f", count,
           bench->shards_count, crls_mb(bench));
    print_step("read", at[0], at[1]);
    print_step("first_lists", at[1], at[2]);
    print_step("all_signed", at[3], at[4]);
    print_step("one_more", at[4], at[5]);
    printf(",\"octets_per_entry\":%.0f,\"peak_beyond_mb\":%.0f",
           (book_mb - before_mb) * 1e6 / count, peak_mb - book_mb);
}

int main(int argc, char **argv)
{
    struct bench bench = { .shards_count = 16 };
    struct cm_error err;
    bool compares = argc > 1 && strcmp(argv[argc - 1], "--compare") == 0;
    argc -= compares;
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    if (argc > 2)
        bench.shards_count = (uint32_t)strtoul(argv[2], NULL, 10);
    check(count > 0 && bench.shards_count > 0, "crl_bench [ENTRIES [SHARDS]] [--compare]");
    bench.lists = calloc(bench.shards_count, sizeof *bench.lists);
    check(revoked_rows_make(&bench.rows, count, 1), "serials");
    open_key(&bench);
    check(cm_book_new(&bench.book, &err) == CM_OK, "a book");
    cm_book_add_generation(bench.book, REVOKED_GENERATION, bench.shards_count);
    measure(&bench);
    if (compares)
        compare(&bench);
    printf("}\n");
    remove_folder(&bench);
    return 0;
}
