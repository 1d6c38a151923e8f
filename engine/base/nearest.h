/*
 * Nearest: which known word did somebody mean, for "unknown key ... (did you mean ...?)". Any thread.
 */
#ifndef CM_BASE_NEAREST_H
#define CM_BASE_NEAREST_H

#include <stddef.h>

/*
 * The word that is closest to text in single-character edits (insert, delete, replace, swap), or
 * NULL when none is close enough to be a slip: more than a third of the longer word differs.
 */
const char *cm_nearest(const char *text, const char *const *words, size_t words_count);

#endif
