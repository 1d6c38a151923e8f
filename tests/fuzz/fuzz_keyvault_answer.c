/*
 * Answers of a vault: the first two octets are the HTTP status. OK comes with an object and with 2xx
 * alone; anything else says why in print.
 */
#include <stdlib.h>
#include <string.h>

#include "providers/keyvault/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(cm_status status, const struct cm_error *err)
{
    if (err->status != status || err->text[0] == '\0')
        abort();
    for (const char *at = err->text; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *answer = NULL;
    struct cm_error err = { .status = CM_OK };
    struct cm_http_call http = { .outcome = CM_HTTP_ANSWERED };
    if (size < 2)
        return 0;
    http.status = 100 + (data[0] << 8 | data[1]) % 500;
    http.answer = cm_bytes(data + 2, size - 2);
    memcpy(http.request_id, http.answer.data,
           http.answer.size < sizeof http.request_id ? http.answer.size
                                                     : sizeof http.request_id - 1);
    cm_status status = cm_vault_answer_read(&http, "name.vault.azure.net", false, &answer, &err);
    if ((status == CM_OK) != (answer != NULL)
        || (status == CM_OK && (!json_is_object(answer) || http.status < 200 || http.status > 299)))
        abort();
    if (status != CM_OK)
        check_error(status, &err);
    json_decref(answer);
    return 0;
}
