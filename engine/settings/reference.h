/*
 * The tables of docs/reference/settings.md, from the list that the reader itself is made from.
 */
#ifndef CM_ENGINE_SETTINGS_REFERENCE_H
#define CM_ENGINE_SETTINGS_REFERENCE_H

#include <stdio.h>

/* Writes one section of Markdown for each mapping of the file, and one for the built-in profiles. */
void cm_settings_write_reference(FILE *out);

#endif
