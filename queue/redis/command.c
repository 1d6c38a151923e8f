#include "queue/redis/command.h"

#include <assert.h>
#include <stdlib.h>

enum { NUMBER_SIZE_MAX = 20 };

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

/* Decimal digits of number; returns how many. */
static size_t format_number(uint64_t number, char *ret_digits)
{
    char reversed[NUMBER_SIZE_MAX];
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
    char *at = reserve(command, NUMBER_SIZE_MAX + 3);
    size_t digits_count = format_number(number, at + 1);
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

void cm_command_bytes(struct cm_command *command, struct cm_bytes argument)
{
    assert(command->missing_count > 0);
    command->missing_count--;
    append_header(command, '$', argument.size);
    /* One more than is sent: hiredis looks for the command's name as if it were a C string. */
    char *at = reserve(command, argument.size + 3);
    if (argument.size > 0)
        memcpy(at, argument.data, argument.size);
    at[argument.size] = '\r';
    at[argument.size + 1] = '\n';
    at[argument.size + 2] = '\0';
    command->size += argument.size + 2;
}

void cm_command_text(struct cm_command *command, const char *argument)
{
    cm_command_bytes(command, cm_bytes_str(argument));
}

void cm_command_number(struct cm_command *command, uint64_t argument)
{
    char digits[NUMBER_SIZE_MAX];
    cm_command_bytes(command, cm_bytes(digits, format_number(argument, digits)));
}

void cm_command_done(struct cm_command *command)
{
    free(command->data);
    *command = (struct cm_command){ .data = NULL };
}
