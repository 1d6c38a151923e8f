#include "tools/bench/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <sqlite3.h>

/* The value of the first line "KEY ... SEPARATOR value" of a file, without quotes; "unknown". */
static const char *value_in(const char *path, const char *key, char separator, char *text,
                            size_t space)
{
    char line[512];
    FILE *file = fopen(path, "r");
    snprintf(text, space, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *at = strchr(line, separator);
        if (strncmp(line, key, strlen(key)) != 0 || !at)
            continue;
        at += 1 + strspn(at + 1, " \t\"");
        snprintf(text, space, "%.*s", (int)strcspn(at, "\"\n"), at);
        break;
    }
    if (file)
        fclose(file);
    return text;
}

json_t *cm_bench_describe_machine(void)
{
    struct utsname system = { 0 };
    char cpu[256], name[256];
    uname(&system);
    json_int_t memory = (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return json_pack("{s:s, s:I, s:I, s:s, s:s, s:s}", "cpu",
                     value_in("/proc/cpuinfo", "model name", ':', cpu, sizeof cpu), "processors",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes", memory,
                     "architecture", system.machine, "kernel", system.release, "system",
                     value_in("/etc/os-release", "PRETTY_NAME", '=', name, sizeof name));
}

json_t *cm_bench_describe_versions(const char *redis)
{
    struct utsname system = { 0 };
    uname(&system);
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "certmill", CERTMILL_VERSION, "openssl",
                     OpenSSL_version(OPENSSL_VERSION), "sqlite", sqlite3_libversion(), "redis",
                     redis, "kernel", system.release);
}
