#include "tools/der_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

static cm_status read_stream(FILE *stream, const char *path, struct cm_bytes *ret_content,
                             struct cm_error *err)
{
    size_t space = 65536, size = 0;
    uint8_t *content = malloc(space + 1);
    for (;;) {
        if (!content)
            abort();
        size += fread(content + size, 1, space - size, stream);
        if (size < space)
            break;
        space *= 2;
        content = realloc(content, space + 1);
    }
    if (ferror(stream)) {
        free(content);
        return CM_FAIL(err, CM_IO, CM_ORIGIN_OS, errno, "read %s", path);
    }
    content[size] = '\0';
    *ret_content = cm_bytes(content, size);
    return CM_OK;
}

cm_status cm_whole_file_read(const char *path, struct cm_bytes *ret_content, struct cm_error *err)
{
    if (strcmp(path, "-") == 0)
        return read_stream(stdin, "standard input", ret_content, err);
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return CM_FAIL(err, errno == ENOENT ? CM_NOT_FOUND : CM_IO, CM_ORIGIN_OS, errno, "open %s",
                       path);
    cm_status status = read_stream(stream, path, ret_content, err);
    fclose(stream);
    return status;
}

/* Text may begin with a '0' as well, but not with a length of more than one octet behind it. */
bool cm_text_is_der(struct cm_bytes text)
{
    static const char begin[] = "-----BEGIN ";
    return text.size > 2 && text.data[0] == 0x30
           && (text.data[1] > 0x80 || !memmem(text.data, text.size, begin, sizeof begin - 1));
}

struct walk {
    const char *path, *label;
    cm_der_file_fn *each;
    void *arg;
    unsigned blocks_count; /* of any label */
    unsigned given_count;
};

static cm_status give_block(struct walk *walk, const char *label, struct cm_bytes der,
                            struct cm_error *err)
{
    char where[PATH_MAX + 32];
    walk->blocks_count++;
    if (strcmp(label, walk->label) != 0)
        return CM_OK;
    walk->given_count++;
    snprintf(where, sizeof where, "%s, block %u", walk->path, walk->blocks_count);
    return walk->each(der, where, walk->arg, err);
}

static cm_status walk_blocks(struct walk *walk, BIO *text, struct cm_error *err)
{
    cm_status status = CM_OK;
    while (status == CM_OK) {
        char *label = NULL, *header = NULL;
        unsigned char *der = NULL;
        long size = 0;
        if (PEM_read_bio(text, &label, &header, &der, &size) != 1)
            break;
        status = give_block(walk, label, cm_bytes(der, (size_t)size), err);
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    if (status == CM_OK && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        status =
            CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                    "%s: the PEM block behind block %u is broken", walk->path, walk->blocks_count);
    ERR_clear_error();
    if (status == CM_OK && walk->given_count == 0)
        status = CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s: there is no %s in it",
                         walk->path, walk->label);
    return status;
}

static cm_status walk_content(struct walk *walk, struct cm_bytes content, struct cm_error *err)
{
    if (cm_text_is_der(content))
        return walk->each(content, walk->path, walk->arg, err);
    if (content.size > INT_MAX)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "%s: larger than 2 GB; split it",
                       walk->path);
    BIO *text = BIO_new_mem_buf(content.data, (int)content.size);
    if (!text)
        abort();
    ERR_clear_error();
    cm_status status = walk_blocks(walk, text, err);
    BIO_free(text);
    return status;
}

cm_status cm_der_text_walk(struct cm_bytes text, const char *path, const char *label,
                           cm_der_file_fn *each, void *arg, struct cm_error *err)
{
    struct walk walk = { .path = path, .label = label, .each = each, .arg = arg };
    return walk_content(&walk, text, err);
}

cm_status cm_der_file_walk(const char *path, const char *label, cm_der_file_fn *each, void *arg,
                           struct cm_error *err)
{
    const char *called = strcmp(path, "-") == 0 ? "standard input" : path;
    struct cm_bytes content;
    cm_status status = cm_whole_file_read(path, &content, err);
    if (status != CM_OK)
        return status;
    status = cm_der_text_walk(content, called, label, each, arg, err);
    free((void *)(uintptr_t)content.data);
    return status;
}
