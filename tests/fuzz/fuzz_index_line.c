/*
 * A line of an index.txt: what is read has a serial that the store takes, a reason that may stand in a
 * CRL, and an invalidity only where there is a revocation.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/x509/serial.h"
#include "tools/index_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cm_index_line line;
    struct cm_error err;
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (cm_index_line_read(text, &line, &err) == CM_OK) {
        if (!cm_serial_is_good(cm_serial_bytes(&line.serial)) || line.not_after_s <= 0)
            abort();
        if (line.reason == CM_REASON_REMOVE_FROM_CRL || !cm_reason_name(line.reason))
            abort();
        if (line.revoked_s == 0 && (line.invalidity_s != 0 || line.reason != 0))
            abort();
    } else if (err.text[0] == '\0') {
        abort();
    }
    free(text);
    return 0;
}
