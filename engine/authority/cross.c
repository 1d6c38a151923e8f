#include "engine/authority/cross.h"

#include "engine/base/hash.h"
#include "engine/x509/extension.h"
#include "engine/x509/name_constraints.h"
#include "engine/x509/name_write.h"
#include "engine/x509/oid.h"

enum term { EXCLUDE, KEY, PATH_LENGTH, PERMIT, POLICY, PROOF, SUBJECT };

static const char *const names[CM_CROSS_TERMS_MAX] = { "exclude", "key",   "path-length", "permit",
                                                       "policy",  "proof", "subject" };

static const char *const proofs[CM_CROSS_PROOF_COUNT] = {
#define X(symbol, name) [CM_CROSS_PROOF_##symbol] = name,
    CM_CROSS_PROOF_MAP(X)
#undef X
};

const char *cm_cross_proof_name(enum cm_cross_proof proof)
{
    return proof < CM_CROSS_PROOF_COUNT ? proofs[proof] : "unknown";
}

bool cm_cross_proof_find(const char *name, enum cm_cross_proof *ret_proof)
{
    for (unsigned i = 0; i < CM_CROSS_PROOF_COUNT; i++)
        if (strcmp(name, proofs[i]) == 0) {
            *ret_proof = (enum cm_cross_proof)i;
            return true;
        }
    return false;
}

static void add(struct cm_cross_terms *terms, enum term term, const char *value)
{
    if (value)
        terms->rows[terms->count++] = (struct cm_plan_parameter){ names[term], value };
}

static const char *append(const char *list, const char *text, struct cm_arena *arena)
{
    return list ? cm_arena_printf(arena, "%s,%s", list, text) : cm_arena_printf(arena, "%s", text);
}

static const char *write_subtrees(const struct cm_subtrees *subtrees, struct cm_arena *arena)
{
    char text[CM_SUBTREE_TEXT_SIZE];
    const char *list = NULL;
    for (size_t i = 0; i < subtrees->count; i++)
        list = append(list, cm_subtree_write(&subtrees->list[i], text), arena);
    return list;
}

static bool read_constraints(struct cm_bytes value, struct cm_name_constraints *ret_constraints,
                             struct cm_refusal *refusal)
{
    struct cm_der der = cm_der_open(value, refusal);
    *ret_constraints = (struct cm_name_constraints){ 0 };
    return value.size == 0 || cm_name_constraints_read(&der, ret_constraints);
}

/* NULL and true: there are none. */
static bool write_policies(struct cm_bytes value, struct cm_arena *arena, const char **ret_list,
                           struct cm_refusal *refusal)
{
    struct cm_der der = cm_der_open(value, refusal), list;
    char text[CM_OID_TEXT_SIZE];
    struct cm_bytes policy;
    *ret_list = NULL;
    if (value.size == 0)
        return true;
    if (!cm_extension_enter_policies(&der, &list))
        return false;
    while (!cm_der_at_end(&list)) {
        if (!cm_extension_next_policy(&list, &policy))
            return false;
        *ret_list = append(*ret_list, cm_oid_dotted(policy, text, sizeof text), arena);
    }
    return true;
}

static const char *write_key(struct cm_bytes spki, struct cm_arena *arena)
{
    uint8_t hash[CM_PLAN_DIGEST_SIZE];
    char text[2 * CM_PLAN_DIGEST_SIZE + 1];
    cm_sha256(&spki, 1, hash);
    cm_hex_encode(cm_bytes(hash, sizeof hash), text);
    return cm_arena_printf(arena, "%s", text);
}

/* NULL: it is none, or has no room; two that begin alike are not to look the same. */
static const char *write_subject(struct cm_bytes subject, struct cm_arena *arena)
{
    char text[CM_NAME_TEXT_SIZE];
    size_t size = strlen(cm_name_write(subject, text));
    return size > 0 && size < sizeof text - 1 ? cm_arena_printf(arena, "%s", text) : NULL;
}

cm_status cm_cross_terms_read(const struct cm_certificate *certificate, enum cm_cross_proof proof,
                              struct cm_arena *arena, struct cm_cross_terms *ret_terms,
                              struct cm_error *err)
{
    struct cm_name_constraints *constraints = cm_arena_alloc(arena, sizeof *constraints);
    const char *policies, *subject = write_subject(certificate->subject, arena);
    struct cm_refusal refusal;
    *ret_terms = (struct cm_cross_terms){ .count = 0 };
    if (!read_constraints(certificate->name_constraints, constraints, &refusal)
        || !write_policies(certificate->policies, arena, &policies, &refusal))
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0, "certificate: %s", refusal.message);
    if (!subject)
        return CM_FAIL(err, CM_MALFORMED, CM_ORIGIN_SELF, 0,
                       "certificate: its subject is none, or longer than %d characters",
                       CM_NAME_TEXT_SIZE - 2);
    add(ret_terms, EXCLUDE, write_subtrees(&constraints->excluded, arena));
    add(ret_terms, KEY, write_key(certificate->spki, arena));
    if (certificate->path_len != CM_PATH_LEN_NONE)
        add(ret_terms, PATH_LENGTH, cm_arena_printf(arena, "%d", certificate->path_len));
    add(ret_terms, PERMIT, write_subtrees(&constraints->permitted, arena));
    add(ret_terms, POLICY, policies);
    add(ret_terms, PROOF, cm_cross_proof_name(proof));
    add(ret_terms, SUBJECT, subject);
    return CM_OK;
}

static bool is_key(const char *text)
{
    size_t size = strspn(text, "0123456789abcdef");
    return size == 2 * CM_PLAN_DIGEST_SIZE && text[size] == '\0';
}

static bool is_good(enum term term, const char *value)
{
    enum cm_cross_proof ignored;
    return term == KEY     ? is_key(value)
           : term == PROOF ? cm_cross_proof_find(value, &ignored)
                           : value[0] != '\0';
}

bool cm_cross_terms_are_good(const struct cm_plan_parameter *rows, uint32_t count)
{
    bool has[CM_CROSS_TERMS_MAX] = { false };
    unsigned next = 0;
    for (uint32_t i = 0; i < count; i++) {
        while (next < CM_CROSS_TERMS_MAX && strcmp(names[next], rows[i].name) != 0)
            next++;
        if (next >= CM_CROSS_TERMS_MAX || !is_good((enum term)next, rows[i].value))
            return false;
        has[next++] = true;
    }
    return has[KEY] && has[PROOF] && has[SUBJECT];
}
