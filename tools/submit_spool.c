/*
 * Through a spool folder: the CSR appears in incoming/ by a rename, the answer in answered/ or
 * refused/ by another. The folder is looked at until the answer is there; nothing else tells.
 */
#include "tools/submit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/clock.h"

enum { LOOK_MS = 20, ANSWER_SIZE_MAX = 1 << 20, PATH_SIZE = 4096 };

static cm_status path_in(const struct cm_submission *submission, const char *folder,
                         const struct cm_submitted *file, const char *ending, char path[PATH_SIZE],
                         struct cm_error *err)
{
    const char *name = submission->device ? submission->device : file->name;
    if (snprintf(path, PATH_SIZE, "%s/%s/%s%s", submission->settings->spool.folder, folder, name,
                 ending)
            < PATH_SIZE
        && !strchr(name, '/') && name[0] != '.')
        return CM_OK;
    return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                   "\"%s\" cannot be a file's name, which a spool's device id is", name);
}

/* An old answer of the same name would be taken for the new one. */
static cm_status drop(const struct cm_submission *submission, const struct cm_submitted *file,
                      struct cm_error *err)
{
    char path[PATH_SIZE];
    cm_status status = path_in(submission, "answered", file, ".pem", path, err);
    if (status != CM_OK)
        return status;
    unlink(path);
    status = path_in(submission, "refused", file, ".error.json", path, err);
    if (status != CM_OK)
        return status;
    unlink(path);
    const char *ending = strcmp(file->ending, ".pem") == 0 || strcmp(file->ending, ".der") == 0
                             ? file->ending
                             : ".csr";
    status = path_in(submission, "incoming", file, ending, path, err);
    return status == CM_OK ? cm_file_write(path, file->csr, file->csr_size, CM_FILE_SYNCED, err)
                           : status;
}

static void take_refusal(struct cm_submitted *file, const char *text)
{
    json_t *object = json_loads(text, 0, NULL);
    const char *code = json_string_value(json_object_get(object, "code"));
    const char *message = json_string_value(json_object_get(object, "message"));
    file->code = strdup(code ? code : "");
    file->message = strdup(message ? message : "");
    json_decref(object);
}

static void look(struct cm_submission *submission, struct cm_submitted *file)
{
    char path[PATH_SIZE];
    uint8_t *data;
    size_t size;
    struct cm_error err;
    if (path_in(submission, "answered", file, ".pem", path, &err) == CM_OK
        && cm_file_read(path, ANSWER_SIZE_MAX, &data, &size, &err) == CM_OK) {
        file->pem = (char *)data;
        file->is_issued = true;
    } else if (path_in(submission, "refused", file, ".error.json", path, &err) == CM_OK
               && cm_file_read(path, ANSWER_SIZE_MAX, &data, &size, &err) == CM_OK) {
        take_refusal(file, (const char *)data);
        free(data);
    } else {
        return;
    }
    file->is_answered = true;
    submission->answered_count++;
}

cm_status cm_submit_spool(struct cm_submission *submission, struct cm_error *err)
{
    uint64_t deadline_ns = cm_clock_monotonic_ns() + submission->timeout_s * CM_NS_PER_S;
    if (submission->renews)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "--renew needs a Redis queue: a CSR in a spool is for a certificate beside "
                       "those that the device has");
    if (submission->profile || submission->id)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                       "--id and --profile need a Redis queue: a spool has files only");
    for (uint32_t i = 0; i < submission->files_count; i++) {
        cm_status status = drop(submission, &submission->files[i], err);
        if (status != CM_OK)
            return status;
    }
    while (submission->answered_count < submission->files_count
           && cm_clock_monotonic_ns() < deadline_ns) {
        for (uint32_t i = 0; i < submission->files_count; i++)
            if (!submission->files[i].is_answered)
                look(submission, &submission->files[i]);
        nanosleep(&(const struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
    }
    return CM_OK;
}
