#include "engine/base/nearest.h"

#include <string.h>

#define WORD_SIZE_MAX 64 /* longer words are no slips */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits between two words, a neighbouring swap counted once. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][WORD_SIZE_MAX + 1];
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i - 1) % 3];
        const size_t *two_before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            now[j] = before[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(now[j], least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], two_before[j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

const char *cm_nearest(const char *text, const char *const *words, size_t words_count)
{
    const char *best = NULL;
    size_t best_edits = WORD_SIZE_MAX;
    size_t text_size = strlen(text);
    if (text_size > WORD_SIZE_MAX)
        return NULL;
    for (size_t i = 0; i < words_count; i++) {
        size_t size = strlen(words[i]);
        if (size > WORD_SIZE_MAX)
            continue;
        size_t edits = distance(text, text_size, words[i], size);
        size_t longer = size > text_size ? size : text_size;
        if (edits < best_edits && edits * 3 <= longer + 1) {
            best = words[i];
            best_edits = edits;
        }
    }
    return best;
}
