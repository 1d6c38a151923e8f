/*
 * From the raw struct to struct cm_settings: names become pointers, texts become numbers, and what
 * refers to nothing is found. Private to engine/settings*.c.
 */
#ifndef CM_ENGINE_SETTINGS_BUILD_H
#define CM_ENGINE_SETTINGS_BUILD_H

#include "engine/base/arena.h"
#include "engine/settings/settings.h"
#include "engine/settings/file.h"

/* What is under way while a file becomes settings. */
struct settings_build {
    const struct settings_file *file;
    struct raw_settings *raw;
    struct cm_settings *settings;
    struct cm_arena *arena; /* the settings' own: everything they point at is in it */
    struct cm_error *err;
};

/* "groups[2].authority", in the arena. */
#define PLACE(build, ...) cm_arena_printf((build)->arena, __VA_ARGS__)

/* A copy in the settings' arena; NULL of NULL. */
const char *settings_keep(struct settings_build *build, const char *text);

/* An array in the settings' arena, filled with zero bytes. */
void *settings_keep_array(struct settings_build *build, size_t count, size_t size);

/* A path of the file, seen from the working directory. */
const char *settings_keep_path(struct settings_build *build, const char *path);

/* The same, absolute: for those who have a folder of their own that relative paths would start in. */
const char *settings_keep_absolute(struct settings_build *build, const char *path);

/* A reference to a secret, with an absolute path where it names a file; NULL of NULL. */
const char *settings_keep_secret(struct settings_build *build, const char *reference);

/* MALFORMED: "found" is not WHAT (did you mean ...? / there is: ...). */
cm_status settings_fail_choice(struct settings_build *build, const char *place, const char *found,
                               const char *what, const char *const *words, size_t words_count);

/* MALFORMED: two entries of a list have this name. */
cm_status settings_fail_twice(struct settings_build *build, const char *list, uint32_t index,
                              const char *name);

/* Entries of any list, and the built-in profiles. */
#define NAMES_MAX 1100

/* Profiles of the file, after the built-in ones, into settings->profiles. */
CM_MUST_USE cm_status settings_build_profiles(struct settings_build *build);

/* Authorities, after the providers. */
CM_MUST_USE cm_status settings_build_authorities(struct settings_build *build);

/* The status service. */
CM_MUST_USE cm_status settings_build_status(struct settings_build *build);

/* Checkpoints of the audit log, after the providers. */
CM_MUST_USE cm_status settings_build_audit(struct settings_build *build);

/* Requesters, after the groups. */
CM_MUST_USE cm_status settings_build_requesters(struct settings_build *build);

/* Operators, and what wants their approval. */
CM_MUST_USE cm_status settings_build_operators(struct settings_build *build);

/* A provider's nested map keyvault, as the JSON that its backend reads; NULL with another kind. */
CM_MUST_USE cm_status settings_build_keyvault(struct settings_build *build, uint32_t position,
                                              const char **ret_options);

/* How software keys sign, as the options of their backend; *ret_options stays with another kind. */
CM_MUST_USE cm_status settings_build_openssl(struct settings_build *build, uint32_t position,
                                             const char **ret_options);

/* Everything else. Profiles first. */
CM_MUST_USE cm_status settings_build_rest(struct settings_build *build);

#endif
