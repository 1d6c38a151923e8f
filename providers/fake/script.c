#include "providers/fake/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A number that ends at a NUL or, where one is allowed, at a colon, behind which *ret_rest stands. */
static bool read_number(const char *text, uint64_t limit, uint64_t *ret_number,
                        const char **ret_rest)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (end == text || text[0] < '0' || text[0] > '9' || errno != 0 || number > limit)
        return false;
    if (*end == ':' && ret_rest)
        *ret_rest = end + 1;
    else if (*end != '\0')
        return false;
    *ret_number = number;
    return true;
}

static cm_status find_status(const char *name)
{
    for (int status = 0; status < CM_STATUS_COUNT; status++)
        if (strcmp(cm_status_name((cm_status)status), name) == 0)
            return (cm_status)status;
    return CM_STATUS_COUNT;
}

static bool add_step(struct cm_fake_script *script, struct cm_fake_step step)
{
    size_t size = (script->steps_count + 1) * sizeof *script->steps;
    struct cm_fake_step *steps = realloc(script->steps, size);
    if (!steps)
        return false;
    script->steps = steps;
    steps[script->steps_count++] = step;
    return true;
}

static bool read_item(struct cm_fake_script *script, const char *value)
{
    struct cm_fake_step step = { .fault = CM_FAULT_NONE };
    const char *what = NULL;
    if (!read_number(value, UINT64_MAX, &step.number, &what) || !what)
        return false;
    step.status = find_status(what);
    if (strcmp(what, "wrong") == 0)
        step.fault = CM_FAULT_WRONG;
    else if (strcmp(what, "short") == 0)
        step.fault = CM_FAULT_SHORT;
    else if (step.status != CM_STATUS_COUNT)
        step.fault = CM_FAULT_STATUS;
    return step.fault != CM_FAULT_NONE && add_step(script, step);
}

static bool read_delay(struct cm_fake_script *script, const char *value)
{
    struct cm_fake_step step = { .fault = CM_FAULT_DELAY };
    const char *of_batch = NULL;
    uint64_t delay_ms;
    if (!read_number(value, UINT64_MAX, &step.number, &of_batch))
        return false;
    if (!read_number(of_batch ? of_batch : value, UINT32_MAX, &delay_ms, NULL))
        return false;
    step.delay_ms = (uint32_t)delay_ms;
    if (of_batch)
        return add_step(script, step);
    script->delay_ms = step.delay_ms;
    return true;
}

static bool read_busy(struct cm_fake_script *script, const char *value)
{
    struct cm_fake_step step = { .fault = CM_FAULT_BUSY };
    return read_number(value, UINT64_MAX, &step.number, NULL) && add_step(script, step);
}

static bool read_dies(struct cm_fake_script *script, const char *value)
{
    return read_number(value, UINT64_MAX, &script->dies_at, NULL);
}

static bool read_cap(const char *value, uint32_t *ret_cap)
{
    uint64_t number;
    if (!read_number(value, UINT32_MAX, &number, NULL) || number == 0)
        return false;
    *ret_cap = (uint32_t)number;
    return true;
}

static bool read_octets_max(struct cm_fake_script *script, const char *value)
{
    return read_cap(value, &script->octets_max);
}

static bool read_items_max(struct cm_fake_script *script, const char *value)
{
    return read_cap(value, &script->items_max);
}

static bool read_in_flight(struct cm_fake_script *script, const char *value)
{
    return read_cap(value, &script->in_flight);
}

static bool read_pins(struct cm_fake_script *script, const char *value)
{
    script->pins = true;
    return strcmp(value, "1") == 0;
}

static bool read_tells(struct cm_fake_script *script, const char *value)
{
    return read_cap(value, &script->notices_count);
}

static bool read_pace(struct cm_fake_script *script, const char *value)
{
    return read_cap(value, &script->rate_per_s);
}

static bool read_path(const char *value, char **ret_path)
{
    free(*ret_path);
    *ret_path = strdup(value);
    return *ret_path && value[0] != '\0';
}

static bool read_witness(struct cm_fake_script *script, const char *value)
{
    return read_path(value, &script->witness_path);
}

static bool read_away(struct cm_fake_script *script, const char *value)
{
    return read_path(value, &script->away_path);
}

static bool read_loses(struct cm_fake_script *script, const char *value)
{
    return read_path(value, &script->loses_path);
}

static bool read_circuit(struct cm_fake_script *script, const char *value)
{
    return read_path(value, &script->circuit_path);
}

static bool read_holds(struct cm_fake_script *script, const char *value)
{
    return read_path(value, &script->holds_path);
}

static bool read_step(struct cm_fake_script *script, char *text)
{
    static const struct {
        const char *name;
        bool (*read)(struct cm_fake_script *script, const char *value);
    } kinds[] = { { "item", read_item },
                  { "delay", read_delay },
                  { "busy", read_busy },
                  { "dies", read_dies },
                  { "octets-max", read_octets_max },
                  { "items-max", read_items_max },
                  { "in-flight", read_in_flight },
                  { "witness", read_witness },
                  { "away", read_away },
                  { "loses", read_loses },
                  { "pins", read_pins },
                  { "tells", read_tells },
                  { "pace", read_pace },
                  { "circuit", read_circuit },
                  { "holds", read_holds } };
    const char *equals = strchr(text, '=');
    size_t name_size = equals ? (size_t)(equals - text) : 0;
    for (size_t i = 0; equals && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strlen(kinds[i].name) == name_size && memcmp(kinds[i].name, text, name_size) == 0)
            return kinds[i].read(script, equals + 1);
    return false;
}

cm_status cm_fake_script_read(const char *text, struct cm_fake_script *ret_script,
                              struct cm_error *err)
{
    struct cm_fake_script script = { .dies_at = UINT64_MAX };
    char *copy = strdup(text ? text : "");
    if (!copy)
        return CM_FAIL(err, CM_NO_MEMORY, CM_ORIGIN_SELF, 0, "no memory for a script");
    cm_status status = CM_OK;
    char *rest = copy;
    for (char *step; status == CM_OK && (step = strsep(&rest, " ")) != NULL;)
        if (step[0] != '\0' && !read_step(&script, step))
            status = CM_FAIL(err, CM_UNSUPPORTED, CM_ORIGIN_SELF, 0,
                             "the fake provider does not understand \"%s\"", step);
    free(copy);
    if (status != CM_OK) {
        cm_fake_script_done(&script);
        return status;
    }
    *ret_script = script;
    return CM_OK;
}

void cm_fake_script_done(struct cm_fake_script *script)
{
    free(script->steps);
    free(script->witness_path);
    free(script->away_path);
    free(script->loses_path);
    free(script->circuit_path);
    free(script->holds_path);
    *script = (struct cm_fake_script){ 0 };
}

struct cm_fake_step cm_fake_script_item(const struct cm_fake_script *script, uint64_t number)
{
    if (number >= script->dies_at)
        return (struct cm_fake_step){ .fault = CM_FAULT_STATUS, .status = CM_TOKEN_REMOVED };
    for (uint32_t i = 0; i < script->steps_count; i++) {
        const struct cm_fake_step *step = &script->steps[i];
        if (step->number == number && step->fault <= CM_FAULT_SHORT)
            return *step;
    }
    return (struct cm_fake_step){ .fault = CM_FAULT_NONE };
}

uint32_t cm_fake_script_delay_ms(const struct cm_fake_script *script, uint64_t batch)
{
    for (uint32_t i = 0; i < script->steps_count; i++)
        if (script->steps[i].fault == CM_FAULT_DELAY && script->steps[i].number == batch)
            return script->steps[i].delay_ms;
    return script->delay_ms;
}

bool cm_fake_script_is_busy(const struct cm_fake_script *script, uint64_t submit)
{
    for (uint32_t i = 0; i < script->steps_count; i++)
        if (script->steps[i].fault == CM_FAULT_BUSY && script->steps[i].number == submit)
            return true;
    return false;
}
