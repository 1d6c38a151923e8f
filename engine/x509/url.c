#include "engine/x509/url.h"

#include <string.h>

#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number

const char *cm_url_problem(const char *url)
{
    if (strncmp(url, "http://", 7) != 0 || url[7] == '\0')
        return "not an http:// URL";
    if (strlen(url) > CM_URL_SIZE_MAX)
        return "longer than " TEXT_OF(CM_URL_SIZE_MAX) " characters";
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`", *c))
            return "a character that URLs do not have";
    return NULL;
}
