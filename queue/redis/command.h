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

/* Decimal digits of a number, without a NUL; returns how many. printf costs several times as much. */
enum { CM_DIGITS_MAX = 20 };
size_t cm_digits(uint64_t number, char *ret_digits);

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

/* One argument that stands in two pieces. */
void cm_command_joined(struct cm_command *command, struct cm_bytes first, struct cm_bytes second);

/* An argument's name and the argument, for what takes them in pairs. */
void cm_command_pair(struct cm_command *command, const char *name, struct cm_bytes value);
/* The same with a number behind the name: "id.2"; number 0: without one. */
void cm_command_numbered_pair(struct cm_command *command, const char *name, uint32_t number,
                              struct cm_bytes value);

/* XADD of an entry with so many pairs, which follow, to the key of two pieces; length_max: about so many entries stay, 0: all. */
void cm_command_begin_add(struct cm_command *command, struct cm_bytes key, struct cm_bytes key_end,
                          uint32_t length_max, uint32_t pairs_count);
void cm_command_done(struct cm_command *command);

#endif
