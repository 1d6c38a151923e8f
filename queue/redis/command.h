/*
 * Command: a Redis command as it goes over the wire (RESP), built in a buffer that is used again.
 *
 *     cm_command_begin(&command, 3);
 *     cm_command_text(&command, "SET");
 *     cm_command_bytes(&command, key);
 *     cm_command_bytes(&command, value);
 *     cm_link_send(&link, &command, NULL);
 *
 * One argument too few or too many would shift everything that follows on the connection, so the
 * count is asserted when the command is sent. Out of memory aborts.
 */
#ifndef CM_QUEUE_REDIS_COMMAND_H
#define CM_QUEUE_REDIS_COMMAND_H

#include "engine/base/bytes.h"

struct cm_command {
    char *data; /* owned */
    size_t size;
    size_t space;
    uint32_t missing_count; /* arguments still to come */
};

void cm_command_begin(struct cm_command *command, uint32_t arguments_count);
void cm_command_bytes(struct cm_command *command, struct cm_bytes argument);
void cm_command_text(struct cm_command *command, const char *argument);
void cm_command_number(struct cm_command *command, uint64_t argument);
void cm_command_done(struct cm_command *command);

#endif
