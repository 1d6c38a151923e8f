#include "queue/redis/pack.h"

#include "queue/several.h"

/* At most, of a field's name with a dot and a number. */
enum { NAME_SIZE = 24 };

static struct cm_bytes requester_of(const struct cm_pack *pack, uint32_t index)
{
    struct cm_bytes own = pack->requests[index].fields[CM_FIELD_REQUESTER];
    return own.data ? own : cm_bytes_str(pack->requester);
}

static size_t size_of(const struct cm_client_request *request)
{
    size_t size = 0;
    for (unsigned field = 0; field < CM_FIELD_COUNT; field++)
        if (request->fields[field].data && field != CM_FIELD_REQUESTER)
            size += NAME_SIZE + request->fields[field].size;
    return size;
}

/* Those from first on that have its requester and fit into an entry with it. */
static uint32_t count_fitting(const struct cm_pack *pack, uint32_t first)
{
    struct cm_bytes requester = requester_of(pack, first);
    size_t size = NAME_SIZE + requester.size + size_of(&pack->requests[first]);
    uint32_t count = 1;
    while (first + count < pack->count && count < pack->each_max && count < CM_SEVERAL_MAX
           && cm_bytes_equal(requester_of(pack, first + count), requester)) {
        size += size_of(&pack->requests[first + count]);
        if (size > CM_ENTRY_SIZE_MAX)
            break;
        count++;
    }
    return count;
}

static uint32_t count_pairs(const struct cm_client_request *requests, uint32_t count)
{
    uint32_t pairs_count = 1; /* the requester, for all */
    for (uint32_t i = 0; i < count; i++)
        for (unsigned field = 0; field < CM_FIELD_COUNT; field++)
            pairs_count += requests[i].fields[field].data && field != CM_FIELD_REQUESTER;
    return pairs_count;
}

/* number 0: without one. */
static void add_fields(struct cm_command *command, const struct cm_client_request *request,
                       uint32_t number)
{
    for (unsigned field = 0; field < CM_FIELD_COUNT; field++)
        if (request->fields[field].data && field != CM_FIELD_REQUESTER)
            cm_command_numbered_pair(command, cm_field_name((enum cm_field)field), number,
                                     request->fields[field]);
}

uint32_t cm_pack(const struct cm_pack *pack, uint32_t first, struct cm_command *command)
{
    uint32_t count = count_fitting(pack, first);
    const struct cm_client_request *requests = &pack->requests[first];
    cm_command_begin_add(command, cm_bytes_str(pack->stream), cm_bytes(NULL, 0), 0,
                         count_pairs(requests, count));
    cm_command_pair(command, cm_field_name(CM_FIELD_REQUESTER), requester_of(pack, first));
    for (uint32_t i = 0; i < count; i++)
        add_fields(command, &requests[i], count > 1 ? i + 1 : 0);
    return count;
}
