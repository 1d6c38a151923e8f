#include "tools/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/hash.h"
#include "queue/queue.h"
#include "tools/command.h"

cm_status cm_file_read(const char *path, size_t size_max, uint8_t **ret_data, size_t *ret_size,
                       struct cm_error *err)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return CM_FAIL(err, errno == ENOENT ? CM_NOT_FOUND : CM_IO, CM_ORIGIN_OS, errno, "open %s",
                       path);
    uint8_t *data = malloc(size_max + 2);
    if (!data)
        abort();
    size_t size = fread(data, 1, size_max + 1, file);
    int code = ferror(file) ? errno : 0;
    fclose(file);
    if (code != 0 || size > size_max) {
        free(data);
        if (code != 0)
            return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "read %s", path);
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s is larger than %zu bytes", path,
                       size_max);
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return CM_OK;
}

cm_status cm_file_write(const char *path, const void *data, size_t size, enum cm_file_sync sync,
                        struct cm_error *err)
{
    char hidden[4096];
    const char *slash = strrchr(path, '/');
    int folder_size = slash ? (int)(slash - path + 1) : 0;
    if (snprintf(hidden, sizeof hidden, "%.*s.%s.tmp", folder_size, path, path + folder_size)
        >= (int)sizeof hidden)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, ENAMETOOLONG, "write %s", path);
    int file = open(hidden, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool is_good = file >= 0 && write(file, data, size) == (ssize_t)size
                   && (sync == CM_FILE_LATER || fsync(file) == 0);
    int code = errno;
    if (file >= 0)
        close(file);
    if (is_good && rename(hidden, path) == 0)
        return CM_OK;
    if (is_good)
        code = errno;
    unlink(hidden);
    return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "write %s", path);
}

cm_status cm_folder_flush(const char *folder, struct cm_error *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_good = fd >= 0 && syncfs(fd) == 0;
    int code = errno;
    if (fd >= 0)
        close(fd);
    return is_good ? CM_OK : CM_FAIL(err, CM_IO, CM_ORIGIN_OS, code, "sync %s", folder);
}

/*
 * The same name and content make the same id: submitting again is a repetition, no second request. A
 * renewal for the key that the first certificate was for is another request.
 */
static void make_id(const struct cm_submission *submission, struct cm_submitted *file)
{
    static const char renewal[] = "renew";
    uint8_t hash[CM_SHA256_SIZE];
    const struct cm_bytes parts[] = { cm_bytes(file->name, strlen(file->name) + 1),
                                      cm_bytes(file->csr, file->csr_size),
                                      cm_bytes(renewal, sizeof renewal),
                                      cm_bytes_str(submission->serial ? submission->serial : "") };
    if (submission->id) {
        snprintf(file->id, sizeof file->id, "%s", submission->id);
        return;
    }
    cm_sha256(parts, submission->renews ? 4 : 2, hash);
    cm_hex_encode(cm_bytes(hash, 16), file->id);
}

static void split_name(struct cm_submitted *file, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    size_t size = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    file->name = strndup(name, size);
    file->ending = strdup(name + size);
    if (!file->name || !file->ending)
        abort();
}

cm_status cm_submission_read(struct cm_submission *submission, char *const *paths,
                             uint32_t paths_count, struct cm_error *err)
{
    submission->files = calloc(paths_count, sizeof *submission->files);
    if (!submission->files)
        abort();
    if (submission->folder && mkdir(submission->folder, 0755) != 0 && errno != EEXIST)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "make folder %s", submission->folder);
    for (uint32_t i = 0; i < paths_count; i++) {
        struct cm_submitted *file = &submission->files[submission->files_count++];
        split_name(file, paths[i]);
        cm_status status =
            cm_file_read(paths[i], CM_ENTRY_SIZE_MAX, &file->csr, &file->csr_size, err);
        if (status != CM_OK)
            return status;
        make_id(submission, file);
    }
    return CM_OK;
}

void cm_submission_done(struct cm_submission *submission)
{
    for (uint32_t i = 0; i < submission->files_count; i++) {
        struct cm_submitted *file = &submission->files[i];
        free(file->name);
        free(file->ending);
        free(file->csr);
        free(file->pem);
        free(file->code);
        free(file->message);
    }
    free(submission->files);
    cm_auth_signer_free(submission->signer);
}

static json_t *answer_to_json(const struct cm_submitted *file)
{
    if (!file->is_answered)
        return json_pack("{s:s, s:s, s:s}", "name", file->name, "id", file->id, "status",
                         "unanswered");
    if (file->is_issued)
        return json_pack("{s:s, s:s, s:s, s:s}", "name", file->name, "id", file->id, "status",
                         "issued", "certificate", file->pem);
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", file->name, "id", file->id, "status",
                     "refused", "code", file->code, "message", file->message);
}

static cm_status save_answer(const struct cm_submission *submission,
                             const struct cm_submitted *file, struct cm_error *err)
{
    char path[4096];
    const char *ending = file->is_issued ? "pem" : "error.json";
    if (snprintf(path, sizeof path, "%s/%s.%s", submission->folder, file->name, ending)
        >= (int)sizeof path)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, ENAMETOOLONG, "write %s", file->name);
    if (file->is_issued)
        return cm_file_write(path, file->pem, strlen(file->pem), CM_FILE_LATER, err);
    json_t *object = json_pack("{s:s, s:s}", "code", file->code, "message", file->message);
    char *text = json_dumps(object, JSON_COMPACT);
    cm_status status = cm_file_write(path, text, strlen(text), CM_FILE_LATER, err);
    free(text);
    json_decref(object);
    return status;
}

/* False when the answer could not be told. */
static bool tell(const struct cm_submission *submission, const struct cm_submitted *file)
{
    struct cm_error err;
    if (!file->is_answered)
        fprintf(stderr, "certmill: %s: no answer in %u s; submit it again to ask for it\n",
                file->name, submission->timeout_s);
    else if (submission->folder) {
        if (save_answer(submission, file, &err) != CM_OK) {
            fprintf(stderr, "certmill: %s\n", err.text);
            return false;
        }
    } else if (file->is_issued && !submission->is_json)
        fputs(file->pem, stdout);
    if (file->is_answered && !file->is_issued)
        fprintf(stderr, "certmill: %s: %s: %s\n", file->name, file->code, file->message);
    return true;
}

int cm_submission_report(const struct cm_submission *submission)
{
    json_t *answers = json_array();
    bool is_complete = true;
    struct cm_error err;
    for (uint32_t i = 0; i < submission->files_count; i++) {
        const struct cm_submitted *file = &submission->files[i];
        is_complete = tell(submission, file) && is_complete && file->is_issued;
        json_array_append_new(answers, answer_to_json(file));
    }
    if (submission->folder && cm_folder_flush(submission->folder, &err) != CM_OK) {
        fprintf(stderr, "certmill: %s\n", err.text);
        is_complete = false;
    }
    if (submission->is_json) {
        json_t *object = json_pack("{s:o}", "answers", json_incref(answers));
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    }
    json_decref(answers);
    return is_complete ? CM_EXIT_DONE : CM_EXIT_FAILED;
}
