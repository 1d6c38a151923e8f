/* The status service: where it listens, and its bounds. */
#include "engine/settings/build.h"

#include <arpa/inet.h>
#include <string.h>

#include "engine/settings/value.h"

enum { ADDRESS_SIZE_MAX = 46 };

static bool is_port(const char *text)
{
    unsigned port = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 5 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
        return false;
    for (size_t i = 0; i < digits; i++)
        port = port * 10 + (unsigned)(text[i] - '0');
    return port <= 65535;
}

/* Numbers only: what a name resolves to is not the same at every start. */
static bool is_listen(const char *text)
{
    char address[ADDRESS_SIZE_MAX];
    struct in6_addr ignored;
    bool is_6 = text[0] == '[';
    const char *begin = text + is_6, *end = strchr(begin, is_6 ? ']' : ':');
    if (!end || (size_t)(end - begin) >= sizeof address)
        return false;
    memcpy(address, begin, (size_t)(end - begin));
    address[end - begin] = '\0';
    end += is_6;
    return inet_pton(is_6 ? AF_INET6 : AF_INET, address, &ignored) == 1 && *end == ':'
           && is_port(end + 1);
}

cm_status settings_build_status(struct settings_build *build)
{
    const struct raw_status *raw = &build->raw->status;
    if (raw->listen && !is_listen(raw->listen)) {
        char shown[80];
        return settings_file_fail(
            build->file, build->err, "status.listen",
            "expected ADDRESS:PORT, like 127.0.0.1:8899 or [::1]:8899, "
            "found \"%s\"",
            cm_bytes_printable(cm_bytes_str(raw->listen), shown, sizeof shown));
    }
    build->settings->status = (struct cm_settings_status){
        .listen = settings_keep(build, raw->listen),
        .threads = (uint32_t)*raw->threads,
        .connections_max = (uint32_t)*raw->connections_max,
        .deadline_ms = (uint32_t)settings_duration_ms(raw->deadline),
        .ocsp_answers_max = (uint32_t)*raw->ocsp_answers_max,
        .publish_folder =
            raw->publish_folder ? settings_keep_path(build, raw->publish_folder) : NULL,
    };
    return CM_OK;
}
