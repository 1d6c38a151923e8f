#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "queue/spool/internal.h"

enum {
    RESULT_NAME_SIZE = CM_SPOOL_NAME_SIZE + 48,
    NAME_SIZE_MAX = 200 /* of a request, for its name to be its result's; longer ones are cut */
};

static struct cm_spool_request *request_of(const struct cm_answer *answer)
{
    return answer->entry->backend;
}

/* A file name is 255 bytes at most; a name that was cut stays unique by the request's id. */
static void format_result_name(const struct cm_spool_request *request, const char *suffix,
                               char *ret_name)
{
    if (strlen(request->name) <= NAME_SIZE_MAX)
        snprintf(ret_name, RESULT_NAME_SIZE, "%s%s", request->name, suffix);
    else
        snprintf(ret_name, RESULT_NAME_SIZE, "%.*s-%s%s", NAME_SIZE_MAX, request->name, request->id,
                 suffix);
}

static const char *suffix_of(const struct cm_answer *answer)
{
    return answer->status == CM_ANSWER_ISSUED ? ".pem" : ".error.json";
}

static int folder_of(const struct cm_output *output, const struct cm_answer *answer)
{
    return answer->status == CM_ANSWER_ISSUED ? output->answered : output->refused;
}

/* In the folder of its result, so that renaming moves nothing. */
static void format_temporary_name(uint32_t index, char *ret_name, size_t space)
{
    snprintf(ret_name, space, ".certmill-%d-%u.tmp", (int)getpid(), index);
}

/* Of a process that is gone. */
static bool is_left_behind(const char *name)
{
    int pid, end = 0;
    unsigned index;
    return sscanf(name, ".certmill-%d-%u.tmp%n", &pid, &index, &end) == 2 && end > 0
           && name[end] == '\0' && pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

void cm_output_clean(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *found;
    if (!stream) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((found = readdir(stream)))
        if (is_left_behind(found->d_name))
            unlinkat(folder, found->d_name, 0);
    closedir(stream);
}

/* -------------------------------------------------------------------------------- contents -- */

static char *format_pem(const struct cm_answer *answer, size_t *ret_size)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----\n";
    static const char end[] = "-----END CERTIFICATE-----\n";
    size_t body_space = answer->certificate.size / 48 * 66 + 128;
    char *text = malloc(sizeof begin + body_space + sizeof end + answer->chain.size);
    EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
    int part = 0;
    if (!text || !context)
        abort();
    size_t used = sizeof begin - 1;
    memcpy(text, begin, used);
    EVP_EncodeInit(context);
    EVP_EncodeUpdate(context, (uint8_t *)text + used, &part, answer->certificate.data,
                     (int)answer->certificate.size);
    used += (size_t)part;
    EVP_EncodeFinal(context, (uint8_t *)text + used, &part);
    used += (size_t)part;
    EVP_ENCODE_CTX_free(context);
    memcpy(text + used, end, sizeof end - 1);
    used += sizeof end - 1;
    if (answer->chain.size > 0)
        memcpy(text + used, answer->chain.data, answer->chain.size);
    *ret_size = used + answer->chain.size;
    return text;
}

static char *format_error(const struct cm_answer *answer, size_t *ret_size)
{
    const char *code = cm_refusal_name(answer->code);
    const char *message = answer->message ? answer->message : cm_refusal_text(answer->code);
    json_t *object = json_pack("{s:s,s:s}", "code", code, "message", message);
    if (!object) /* the message is no UTF-8 */
        object = json_pack("{s:s,s:s}", "code", code, "message", cm_refusal_text(answer->code));
    char *text = object ? json_dumps(object, JSON_ENSURE_ASCII) : NULL;
    if (!text)
        abort();
    json_decref(object);
    *ret_size = strlen(text);
    text[*ret_size] = '\n'; /* in place of the NUL */
    (*ret_size)++;
    return text;
}

/* --------------------------------------------------------------------------------- writing -- */

static cm_status write_all(int fd, const char *text, size_t size, struct cm_error *err)
{
    size_t used = 0;
    while (used < size) {
        ssize_t part = write(fd, text + used, size - used);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "write an answer");
        used += (size_t)part;
    }
    return CM_OK;
}

static cm_status write_temporary(const struct cm_output *output, const struct cm_answer *answer,
                                 uint32_t index, struct cm_error *err)
{
    char name[64];
    size_t size;
    format_temporary_name(index, name, sizeof name);
    int fd =
        openat(folder_of(output, answer), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "create an answer");
    char *text = answer->status == CM_ANSWER_ISSUED ? format_pem(answer, &size)
                                                    : format_error(answer, &size);
    cm_status status = write_all(fd, text, size, err);
    free(text);
    if (close(fd) != 0 && status == CM_OK)
        status = CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "write an answer");
    return status;
}

/* Takes its name, in place of what an earlier run may have said. */
static cm_status name_result(const struct cm_output *output, const struct cm_answer *answer,
                             uint32_t index, struct cm_error *err)
{
    bool issued = answer->status == CM_ANSWER_ISSUED;
    char temporary[64];
    char name[RESULT_NAME_SIZE];
    format_temporary_name(index, temporary, sizeof temporary);
    format_result_name(request_of(answer), suffix_of(answer), name);
    if (renameat(folder_of(output, answer), temporary, folder_of(output, answer), name) != 0)
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "name an answer %.100s", name);
    format_result_name(request_of(answer), issued ? ".error.json" : ".pem", name);
    unlinkat(issued ? output->refused : output->answered, name, 0);
    return CM_OK;
}

/* Only the file that was answered: another one under its name is another request. */
static void remove_incoming(const struct cm_output *output, const struct cm_spool_request *request)
{
    struct stat status;
    if (request->file[0] == '\0'
        || fstatat(output->incoming, request->file, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (status.st_ino == request->inode && status.st_mtim.tv_sec == request->modified.tv_sec
        && status.st_mtim.tv_nsec == request->modified.tv_nsec)
        unlinkat(output->incoming, request->file, 0);
}

/* An operation that is done and has no certificate leaves no file. */
static bool has_file(const struct cm_answer *answer)
{
    return answer->status != CM_ANSWER_DONE;
}

/* Refusals on a file system of their own have to be flushed by themselves. */
static bool is_elsewhere(const struct cm_output *output)
{
    struct stat answered;
    struct stat refused;
    return fstat(output->answered, &answered) != 0 || fstat(output->refused, &refused) != 0
           || answered.st_dev != refused.st_dev;
}

static cm_status write_and_name(const struct cm_output *output,
                                const struct cm_answer *const *answers, uint32_t count,
                                struct cm_error *err)
{
    for (uint32_t i = 0; i < count; i++)
        if (has_file(answers[i]) && write_temporary(output, answers[i], i, err) != CM_OK)
            return CM_IO;
    /* One flush for all contents, before any of them has its name. */
    if (syncfs(output->answered) != 0 || (is_elsewhere(output) && syncfs(output->refused) != 0))
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "flush the answers");
    for (uint32_t i = 0; i < count; i++)
        if (has_file(answers[i]) && name_result(output, answers[i], i, err) != CM_OK)
            return CM_IO;
    if (fsync(output->answered) != 0
        || (output->refused != output->answered && fsync(output->refused) != 0))
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "flush the folders of the answers");
    return CM_OK;
}

static void remove_temporaries(const struct cm_output *output,
                               const struct cm_answer *const *answers, uint32_t count)
{
    char name[64];
    for (uint32_t i = 0; i < count; i++) {
        format_temporary_name(i, name, sizeof name);
        unlinkat(folder_of(output, answers[i]), name, 0);
    }
}

cm_status cm_output_write(const struct cm_output *output, const struct cm_answer *const *answers,
                          uint32_t count, struct cm_error *err)
{
    if (write_and_name(output, answers, count, err) != CM_OK) {
        remove_temporaries(output, answers, count);
        return CM_IO;
    }
    for (uint32_t i = 0; i < count && output->incoming >= 0; i++)
        remove_incoming(output, request_of(answers[i]));
    return CM_OK;
}
