#include "queue/redis/command.h"

#include <assert.h>
#include <stdlib.h>

static char *reserve(struct cm_command *command, size_t size)
{
    if (command->space - command->size < size) {
        size_t space = command->space ? command->space : 1024;
        while (space - command->size < size)
            space *= 2;
        command->data = realloc(command->data, space);
        if (!command->data)
            abort();
        command->space = space;
    }
    return command->data + command->size;
}

size_t cm_digits(uint64_t number, char *ret_digits)
{
    char reversed[CM_DIGITS_MAX];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < count; i++)
        ret_digits[i] = reversed[count - 1 - i];
    return count;
}

static void append_header(struct cm_command *command, char kind, uint64_t number)
{
    char *at = reserve(command, CM_DIGITS_MAX + 3);
    size_t digits_count = cm_digits(number, at + 1);
    at[0] = kind;
    at[1 + digits_count] = '\r';
    at[2 + digits_count] = '\n';
    command->size += digits_count + 3;
}

void cm_command_begin(struct cm_command *command, uint32_t arguments_count)
{
    command->size = 0;
    command->missing_count = arguments_count;
    append_header(command, '*', arguments_count);
}

static void append(struct cm_command *command, struct cm_bytes bytes)
{
    if (bytes.size > 0)
        memcpy(command->data + command->size, bytes.data, bytes.size);
    command->size += bytes.size;
}

void cm_command_joined(struct cm_command *command, struct cm_bytes first, struct cm_bytes second)
{
    assert(command->missing_count > 0);
    command->missing_count--;
    append_header(command, '$', first.size + second.size);
    /* One more than is sent: hiredis looks for the command's name as if it were a C string. */
    reserve(command, first.size + second.size + 3);
    append(command, first);
    append(command, second);
    append(command, cm_bytes("\r\n", 2));
    command->data[command->size] = '\0';
}

void cm_command_bytes(struct cm_command *command, struct cm_bytes argument)
{
    cm_command_joined(command, argument, cm_bytes(NULL, 0));
}

void cm_command_text(struct cm_command *command, const char *argument)
{
    cm_command_bytes(command, cm_bytes_str(argument));
}

void cm_command_number(struct cm_command *command, uint64_t argument)
{
    char digits[CM_DIGITS_MAX];
    cm_command_bytes(command, cm_bytes(digits, cm_digits(argument, digits)));
}

void cm_command_pair(struct cm_command *command, const char *name, struct cm_bytes value)
{
    cm_command_text(command, name);
    cm_command_bytes(command, value);
}

void cm_command_numbered_pair(struct cm_command *command, const char *name, uint32_t number,
                              struct cm_bytes value)
{
    char ending[1 + CM_DIGITS_MAX] = ".";
    size_t size = number > 0 ? 1 + cm_digits(number, ending + 1) : 0;
    cm_command_joined(command, cm_bytes_str(name), cm_bytes(ending, size));
    cm_command_bytes(command, value);
}

void cm_command_begin_add(struct cm_command *command, struct cm_bytes key, struct cm_bytes key_end,
                          uint32_t length_max, uint32_t pairs_count)
{
    cm_command_begin(command, (length_max > 0 ? 6u : 3u) + 2 * pairs_count);
    cm_command_text(command, "XADD");
    cm_command_joined(command, key, key_end);
    if (length_max > 0) {
        cm_command_text(command, "MAXLEN");
        cm_command_text(command, "~");
        cm_command_number(command, length_max);
    }
    cm_command_text(command, "*");
}

void cm_command_done(struct cm_command *command)
{
    free(command->data);
    *command = (struct cm_command){ .data = NULL };
}
