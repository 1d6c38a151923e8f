#include <dirent.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/conformance/queue_backend.h"
#include "tests/support/test_main.h"

static char folder[320];
static unsigned folders_count;

static void make_folder(const char *name)
{
    char path[400];
    snprintf(path, sizeof path, "%s%s", folder, name);
    if (mkdir(path, 0700) != 0)
        abort();
}

static bool set_up(struct cm_queue_settings *ret_settings)
{
    snprintf(folder, sizeof folder, "%s/spool-%u", cm_test_scratch(), folders_count++);
    make_folder("");
    make_folder("/incoming");
    make_folder("/answered");
    make_folder("/refused");
    *ret_settings = (struct cm_queue_settings){ .folder = folder, .requester = "tests" };
    return true;
}

static void tear_down(void)
{
}

static void push(const char *name, struct cm_bytes csr)
{
    char part[400];
    char path[400];
    snprintf(part, sizeof part, "%s/incoming/.%s.tmp", folder, name);
    snprintf(path, sizeof path, "%s/incoming/%s.csr", folder, name);
    FILE *file = fopen(part, "we");
    if (!file || fwrite(csr.data, 1, csr.size, file) != csr.size || fclose(file) != 0
        || rename(part, path) != 0)
        abort();
}

static bool read_text(const char *subfolder, const char *name, const char *suffix, char *ret_text,
                      size_t space)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s/%s%s", folder, subfolder, name, suffix);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t size = fread(ret_text, 1, space - 1, file);
    ret_text[size] = '\0';
    fclose(file);
    return true;
}

/* The rig's certificates fit one line of base64. */
static void read_certificate(const char *text, struct queue_answer *answer)
{
    uint8_t bytes[64] = { 0 };
    const char *line = strchr(text, '\n');
    if (line && strcspn(line + 1, "\n") <= 64)
        EVP_DecodeBlock(bytes, (const uint8_t *)line + 1, (int)strcspn(line + 1, "\n"));
    snprintf(answer->certificate, sizeof answer->certificate, "%s", (const char *)bytes);
}

static bool find_answer(const char *name, struct queue_answer *ret_answer)
{
    char text[1024];
    *ret_answer = (struct queue_answer){ .copies_count = 0 };
    if (read_text("answered", name, ".pem", text, sizeof text)) {
        ret_answer->copies_count++;
        snprintf(ret_answer->status, sizeof ret_answer->status, "issued");
        read_certificate(text, ret_answer);
    }
    if (read_text("refused", name, ".error.json", text, sizeof text)) {
        ret_answer->copies_count++;
        snprintf(ret_answer->status, sizeof ret_answer->status, "refused");
        sscanf(text, "{\"code\": \"%63[^\"]", ret_answer->code);
    }
    return ret_answer->copies_count > 0;
}

static size_t add_field(const json_t *object, const char *name, char *text, size_t space)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_integer(value))
        return (size_t)snprintf(text, space, " %lld", (long long)json_integer_value(value));
    return (size_t)snprintf(text, space, " %s", json_string_value(value));
}

static bool read_notice(size_t index, char *ret_text, size_t space)
{
    static const char *const names[] = { "kind",   "campaign",  "device",     "serial",
                                         "issuer", "not_after", "not_before", "deadline" };
    char path[400], line[1024];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/notices.jsonl", folder);
    FILE *file = fopen(path, "re");
    bool found = file && fgets(line, sizeof line, file);
    while (found && index-- > 0)
        found = fgets(line, sizeof line, file);
    json_t *object = found ? json_loads(line, 0, NULL) : NULL;
    if (object && json_integer_value(json_object_get(object, "v")) != 1)
        abort();
    for (size_t i = 0; object && i < sizeof names / sizeof names[0]; i++)
        size += add_field(object, names[i], ret_text + size, space - size);
    json_decref(object);
    if (file)
        fclose(file);
    return object != NULL;
}

static size_t count_pending(void)
{
    char path[400];
    size_t count = 0;
    const struct dirent *found;
    snprintf(path, sizeof path, "%s/incoming", folder);
    DIR *incoming = opendir(path);
    while ((found = readdir(incoming)))
        count += found->d_name[0] != '.' ? 1 : 0;
    closedir(incoming);
    return count;
}

const struct queue_backend queue_backend_spool = {
    .name = "spool",
    .ops = &cm_queue_spool,
    .set_up = set_up,
    .tear_down = tear_down,
    .push = push,
    .find_answer = find_answer,
    .read_notice = read_notice,
    .count_pending = count_pending,
};
