#include "engine/settings/keys.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------ libcyaml's schema -- */

static const cyaml_schema_value_t text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

#define NEED_REQUIRED CYAML_FLAG_DEFAULT
#define NEED_OPTIONAL CYAML_FLAG_OPTIONAL

#define FIELD_TEXT(type, member, key, need, extra)                                                 \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | (need), type, member, 0, CYAML_UNLIMITED)
#define FIELD_NAME     FIELD_TEXT
#define FIELD_PATH     FIELD_TEXT
#define FIELD_SECRET   FIELD_TEXT
#define FIELD_URL      FIELD_TEXT
#define FIELD_DURATION FIELD_TEXT
#define FIELD_VALIDITY FIELD_TEXT
#define FIELD_CHOICE   FIELD_TEXT
#define FIELD_COUNT(type, member, key, need, extra)                                                \
    CYAML_FIELD_UINT_PTR(key, CYAML_FLAG_POINTER | (need), type, member)
#define FIELD_FLAG(type, member, key, need, extra)                                                 \
    CYAML_FIELD_BOOL_PTR(key, CYAML_FLAG_POINTER | (need), type, member)
#define FIELD_LIST(type, member, key, need, extra)                                                 \
    CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER | (need), type, member, &text_entry, 0,           \
                         CYAML_UNLIMITED)
#define FIELD_MAP(type, member, key, need, extra)                                                  \
    CYAML_FIELD_MAPPING(key, need, type, member, fields_##extra)
#define FIELD_MAPS(type, member, key, need, extra)                                                 \
    CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER | (need), type, member, &entry_##extra, 0,        \
                         CYAML_UNLIMITED)
#define FIELD(list, kind, member, key, need, extra, min, max, standard, help)                      \
    FIELD_##kind(struct raw_##list, member, key, NEED_##need, extra),

/* --------------------------------------------------------------- the walker's table -- */

#define IS_REQUIRED_REQUIRED true
#define IS_REQUIRED_OPTIONAL false

#define CHOICES_TEXT(extra)   NULL
#define CHOICES_NAME          CHOICES_TEXT
#define CHOICES_PATH          CHOICES_TEXT
#define CHOICES_SECRET        CHOICES_TEXT
#define CHOICES_URL           CHOICES_TEXT
#define CHOICES_DURATION      CHOICES_TEXT
#define CHOICES_VALIDITY      CHOICES_TEXT
#define CHOICES_CHOICE(extra) extra
#define CHOICES_COUNT         CHOICES_TEXT
#define CHOICES_FLAG          CHOICES_TEXT
#define CHOICES_LIST          CHOICES_TEXT
#define CHOICES_MAP           CHOICES_TEXT
#define CHOICES_MAPS          CHOICES_TEXT

#define NESTED_TEXT(extra) NULL
#define NESTED_NAME        NESTED_TEXT
#define NESTED_PATH        NESTED_TEXT
#define NESTED_SECRET      NESTED_TEXT
#define NESTED_URL         NESTED_TEXT
#define NESTED_DURATION    NESTED_TEXT
#define NESTED_VALIDITY    NESTED_TEXT
#define NESTED_CHOICE      NESTED_TEXT
#define NESTED_COUNT       NESTED_TEXT
#define NESTED_FLAG        NESTED_TEXT
#define NESTED_LIST        NESTED_TEXT
#define NESTED_MAP(extra)  &settings_mapping_##extra
#define NESTED_MAPS        NESTED_MAP

#define COUNT_OFFSET_TEXT(type, member) 0
#define COUNT_OFFSET_NAME               COUNT_OFFSET_TEXT
#define COUNT_OFFSET_PATH               COUNT_OFFSET_TEXT
#define COUNT_OFFSET_SECRET             COUNT_OFFSET_TEXT
#define COUNT_OFFSET_URL                COUNT_OFFSET_TEXT
#define COUNT_OFFSET_DURATION           COUNT_OFFSET_TEXT
#define COUNT_OFFSET_VALIDITY           COUNT_OFFSET_TEXT
#define COUNT_OFFSET_CHOICE             COUNT_OFFSET_TEXT
#define COUNT_OFFSET_COUNT              COUNT_OFFSET_TEXT
#define COUNT_OFFSET_FLAG               COUNT_OFFSET_TEXT
#define COUNT_OFFSET_LIST(type, member) offsetof(type, member##_count)
#define COUNT_OFFSET_MAP                COUNT_OFFSET_TEXT
#define COUNT_OFFSET_MAPS               COUNT_OFFSET_LIST

#define KEY(list, kind_, member, key, need, extra, min_, max_, standard_, help_)                   \
    { .name = (key),                                                                               \
      .kind = SETTINGS_##kind_,                                                                    \
      .required = IS_REQUIRED_##need,                                                              \
      .min = (min_),                                                                               \
      .max = (max_),                                                                               \
      .choices = CHOICES_##kind_(extra),                                                           \
      .mapping = NESTED_##kind_(extra),                                                            \
      .offset = offsetof(struct raw_##list, member),                                               \
      .count_offset = COUNT_OFFSET_##kind_(struct raw_##list, member),                             \
      .standard = (standard_),                                                                     \
      .help = (help_) },

#define TABLES(list)                                                                               \
    static const cyaml_schema_field_t fields_##list[] = { SETTINGS_##list(FIELD, list)             \
                                                              CYAML_FIELD_END };                   \
    static const cyaml_schema_value_t entry_##list __attribute__((unused)) = {                     \
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_##list, fields_##list),                 \
    };                                                                                             \
    static const struct settings_key keys_##list[] = { SETTINGS_##list(KEY, list) };               \
    const struct settings_mapping settings_mapping_##list = {                                      \
        keys_##list, sizeof keys_##list / sizeof keys_##list[0], sizeof(struct raw_##list)         \
    };
SETTINGS_MAPPINGS(TABLES)

const cyaml_schema_value_t settings_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_settings, fields_settings),
};

/* ------------------------------------------------------------------------- defaults -- */

static void *memory_of(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        abort();
    return memory;
}

static void fill_number(uint64_t **slot, const char *standard)
{
    if (!*slot) {
        *slot = memory_of(sizeof **slot);
        **slot = strtoull(standard, NULL, 10);
    }
}

static void fill_flag(bool **slot, const char *standard)
{
    if (!*slot) {
        *slot = memory_of(sizeof **slot);
        **slot = strcmp(standard, "yes") == 0;
    }
}

static void fill_text(char **slot, const char *standard)
{
    if (!*slot) {
        *slot = memory_of(strlen(standard) + 1);
        strcpy(*slot, standard);
    }
}

static void fill_entries(const struct settings_key *key, uint8_t *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        settings_fill_defaults(key->mapping, entries + i * key->mapping->raw_size);
}

static void fill_key(const struct settings_key *key, uint8_t *raw)
{
    void *slot = raw + key->offset;
    if (key->kind == SETTINGS_MAP)
        settings_fill_defaults(key->mapping, slot);
    else if (key->kind == SETTINGS_MAPS)
        fill_entries(key, *(uint8_t **)slot, *(uint32_t *)(void *)(raw + key->count_offset));
    else if (key->kind == SETTINGS_LIST || key->standard[0] == '\0')
        return;
    else if (key->kind == SETTINGS_COUNT)
        fill_number(slot, key->standard);
    else if (key->kind == SETTINGS_FLAG)
        fill_flag(slot, key->standard);
    else
        fill_text(slot, key->standard);
}

void settings_fill_defaults(const struct settings_mapping *mapping, void *raw)
{
    for (size_t i = 0; i < mapping->keys_count; i++)
        fill_key(&mapping->keys[i], raw);
}
