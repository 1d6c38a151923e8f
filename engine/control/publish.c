/* CRLs that somebody wants anew, now. */
#include "engine/control/internal.h"

static void on_published(uint32_t published_count, uint32_t failed_count, const char *why,
                         void *arg)
{
    char text[CM_ERROR_TEXT_SIZE];
    cm_connection_answer(
        arg, json_pack("{s:I, s:I, s:s}", "published", (json_int_t)published_count, "failed",
                       (json_int_t)failed_count, "why",
                       cm_bytes_printable(cm_bytes_str(why ? why : ""), text, sizeof text)));
}

cm_status cm_publish_run(struct cm_connection *connection, const json_t *request,
                         struct cm_error *err)
{
    const struct cm_control_env *env = &connection->control->env;
    const json_t *issuer = json_object_get(request, "issuer");
    if (issuer && !json_is_string(issuer))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "issuer: expected a name");
    if (!env->publish)
        return CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0, "this engine makes no CRLs");
    return env->publish(json_string_value(issuer), on_published, connection, err, env->arg);
}
