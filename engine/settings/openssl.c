/* What settings say of software keys, written as the options of their backend. */
#include "engine/settings/build.h"

cm_status settings_build_openssl(struct settings_build *build, uint32_t position,
                                 const char **ret_options)
{
    const struct raw_provider *raw = &build->raw->providers[position];
    const char *multi_buffer = build->raw->engine.multi_buffer;
    if (strcmp(raw->kind, "openssl") == 0) {
        *ret_options = PLACE(build, "multi-buffer=%s nonces=%s", multi_buffer, raw->nonces);
        return CM_OK;
    }
    if (settings_file_has(build->file, PLACE(build, "providers[%u].nonces", position)))
        return settings_file_fail(build->file, build->err,
                                  PLACE(build, "providers[%u].nonces", position),
                                  "expected only with kind: openssl");
    return CM_OK;
}
