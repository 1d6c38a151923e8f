/*
 * The linter: each test breaks one thing in a good certificate and expects the rule that says so.
 * The last test makes sure that every rule has been seen to break.
 *
 * Things are broken in two ways: the profile or the issuer that the certificate is held against is
 * another one than it was composed for, or the TBSCertificate is taken apart and put together again
 * with a part changed.
 */
#include "engine/x509/lint.h"

#include <stdio.h>

#include "engine/x509/der_writer.h"
#include "engine/x509/extension.h"
#include "tests/support/test_main.h"
#include "tests/unit/x509/pieces.h"

#define PARTS_COUNT    8 /* version, serial, algorithm, issuer, validity, subject, key, extensions */
#define EXTENSIONS_MAX 16

enum part { VERSION, SERIAL, ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY };

/* A TBSCertificate in pieces, each a whole element. */
struct pieces {
    struct cm_bytes parts[PARTS_COUNT - 1];
    struct cm_bytes extensions[EXTENSIONS_MAX];
    size_t extensions_count;
    struct cm_bytes trailer; /* behind the extensions */
};

static bool broken[CM_LINT_COUNT];

static struct cm_profile profile;
static struct cm_issuer issuer;
static struct pieces pieces;

static struct pieces take_apart(struct cm_bytes tbs)
{
    struct pieces result = { 0 };
    struct cm_refusal refusal;
    struct cm_der der = cm_der_open(tbs, &refusal), inner, outer, list;
    struct cm_der_element element;
    CU_ASSERT_TRUE_FATAL(cm_der_enter(&der, CM_DER_SEQUENCE, "tbs", &inner));
    for (size_t part = 0; part < PARTS_COUNT - 1; part++) {
        CU_ASSERT_TRUE_FATAL(cm_der_read_any(&inner, "part", &element));
        result.parts[part] = element.whole;
    }
    CU_ASSERT_TRUE_FATAL(cm_der_enter(&inner, CM_DER_CONTEXT_CONSTRUCTED(3), "extensions", &outer));
    CU_ASSERT_TRUE_FATAL(cm_der_enter(&outer, CM_DER_SEQUENCE, "extensions", &list));
    while (!cm_der_at_end(&list)) {
        CU_ASSERT_TRUE_FATAL(cm_der_read_any(&list, "extension", &element));
        result.extensions[result.extensions_count++] = element.whole;
    }
    return result;
}

static struct cm_bytes put_together(const struct pieces *from)
{
    static uint8_t buffer[32768];
    struct cm_der_writer w;
    cm_der_writer_init(&w, buffer, sizeof buffer);
    cm_der_put(&w, from->trailer);
    size_t mark = cm_der_mark(&w);
    for (size_t index = from->extensions_count; index-- > 0;)
        cm_der_put(&w, from->extensions[index]);
    cm_der_wrap(&w, CM_DER_SEQUENCE, mark);
    cm_der_wrap(&w, CM_DER_CONTEXT_CONSTRUCTED(3), mark);
    for (size_t part = PARTS_COUNT - 1; part-- > 0;)
        cm_der_put(&w, from->parts[part]);
    cm_der_wrap(&w, CM_DER_SEQUENCE, 0);
    return cm_der_written(&w);
}

/* A good certificate in pieces, and the profile and issuer it is good for. */
static void start_with(const char *name, enum cm_key_type type)
{
    const struct cm_attribute attributes[] = {
        { cm_bytes_str("dns"), cm_bytes_str("d.example") },
        { cm_bytes_str("ip"), cm_bytes_str("10.0.0.1") },
        { cm_bytes_str("hw-type"), cm_bytes_str("1.2.3") },
        { cm_bytes_str("hw-serial"), cm_bytes_str("1") },
    };
    struct cm_template_input in = pki_input(type);
    struct cm_refusal refusal = { 0 };
    struct cm_tbs tbs;
    profile = *cm_profile_builtin(name);
    issuer = pki.issuer;
    in.attributes = attributes;
    in.attributes_count = 4;
    CU_ASSERT_TRUE_FATAL(pki_compose(&profile, &issuer, &in, &tbs, &refusal));
    pieces = take_apart(tbs.der);
    struct cm_bytes again = put_together(&pieces);
    CU_ASSERT_TRUE_FATAL(cm_bytes_equal(again, tbs.der));
    CU_ASSERT_TRUE_FATAL(cm_lint_tbs(pki.composer, again, &profile, &issuer, &refusal));
}

static void start(void)
{
    start_with("gateway", CM_KEY_P256);
}

/* The first rule that the pieces break is this one. */
static void expect(enum cm_lint_rule rule)
{
    struct cm_refusal refusal = { 0 };
    const char *name = cm_lint_rule_name(rule);
    bool is_good = cm_lint_tbs(pki.composer, put_together(&pieces), &profile, &issuer, &refusal);
    bool is_caught = !is_good && refusal.code == CM_REFUSAL_LINT_FAILED
                     && strncmp(refusal.message, name, strlen(name)) == 0
                     && refusal.message[strlen(name)] == ':';
    if (!is_caught)
        printf("    %s expected: %s\n", name, is_good ? "accepted" : refusal.message);
    CU_ASSERT_TRUE(is_caught);
    broken[rule] |= is_caught;
}

static struct cm_bytes extension(enum cm_oid id, bool critical, struct cm_bytes value)
{
    uint8_t *space = cm_arena_alloc(&pki.arena, value.size + 64);
    struct cm_der_writer w;
    cm_der_writer_init(&w, space, value.size + 64);
    cm_der_put(&w, value);
    cm_extension_wrap(&w, 0, cm_oid_content(id), critical);
    return cm_der_written(&w);
}

static size_t position_of(enum cm_oid id)
{
    struct cm_extension found;
    struct cm_refusal refusal;
    for (size_t index = 0; index < pieces.extensions_count; index++) {
        struct cm_der der = cm_der_open(pieces.extensions[index], &refusal);
        if (cm_extension_read(&der, &found) && found.id == id)
            return index;
    }
    CU_FAIL_FATAL("the certificate does not have this extension");
    return 0;
}

static void replace(enum cm_oid id, bool critical, const char *value_hex)
{
    pieces.extensions[position_of(id)] = extension(id, critical, piece_hex(value_hex));
}

static void drop(enum cm_oid id)
{
    size_t index = position_of(id);
    pieces.extensions_count--;
    for (; index < pieces.extensions_count; index++)
        pieces.extensions[index] = pieces.extensions[index + 1];
}

static void append(enum cm_oid id, bool critical, const char *value_hex)
{
    pieces.extensions[pieces.extensions_count++] = extension(id, critical, piece_hex(value_hex));
}

/* --- form ---------------------------------------------------------------------------------------- */

static void test_what_is_no_tbs_certificate_is_not_readable(void)
{
    start();
    pieces.parts[VERSION] = piece_hex("a003020101");
    expect(CM_LINT_READABLE);
    start();
    pieces.parts[VERSION] = cm_bytes(NULL, 0);
    expect(CM_LINT_READABLE);
    start();
    pieces.trailer = piece_hex("0500");
    expect(CM_LINT_READABLE);
    start();
    pieces.extensions_count = 0;
    expect(CM_LINT_READABLE);
    start();
    pieces.parts[KEY] = cm_bytes(NULL, 0);
    expect(CM_LINT_READABLE);
    start(); /* issuerUniqueID */
    pieces.parts[KEY] = piece_hex("810100");
    expect(CM_LINT_READABLE);
}

static void test_extension_values_that_are_not_der_are_not_readable(void)
{
    static const struct {
        enum cm_oid id;
        const char *value;
    } cases[] = {
        { CM_OID_KEY_USAGE, "03020780ff" },         /* trailing byte */
        { CM_OID_KEY_USAGE, "03020781" },           /* unused bits that are set */
        { CM_OID_BASIC_CONSTRAINTS, "3003010100" }, /* cA FALSE written out */
        { CM_OID_BASIC_CONSTRAINTS, "3006020101" }, /* shorter than it says */
        { CM_OID_SUBJECT_KEY_ID, "0c0141" },
        { CM_OID_AUTHORITY_KEY_ID, "3003810141" }, /* issuer instead of key identifier */
        { CM_OID_CRL_DISTRIBUTION_POINTS, "3000" },
        { CM_OID_AUTHORITY_INFO_ACCESS, "300a300806022a0386026161" },
    };
    static const char *const no_nulls[] = { "", "050100", "05000500", "3000" };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        start();
        replace(cases[index].id, false, cases[index].value);
        expect(CM_LINT_READABLE);
    }
    for (size_t index = 0; index < sizeof no_nulls / sizeof no_nulls[0]; index++) {
        start_with("ocsp-responder", CM_KEY_P256);
        replace(CM_OID_OCSP_NO_CHECK, false, no_nulls[index]);
        expect(CM_LINT_READABLE);
    }
    start(); /* critical FALSE written out */
    pieces.extensions[position_of(CM_OID_SUBJECT_KEY_ID)] = piece_hex("300b0603551d0e0101000401"
                                                                      "00");
    expect(CM_LINT_READABLE);
}

/* Every prefix and every flipped bit: never a crash; and what is accepted is unchanged. */
static void test_no_damage_is_accepted(void)
{
    struct cm_refusal refusal;
    start();
    struct cm_bytes good = cm_arena_copy(&pki.arena, put_together(&pieces));
    uint8_t *copy = cm_arena_alloc(&pki.arena, good.size);
    size_t accepted = 0;
    for (size_t cut = 0; cut < good.size; cut++) {
        memcpy(copy, good.data, good.size);
        CU_ASSERT_FALSE(
            cm_lint_tbs(pki.composer, cm_bytes(copy, cut), &profile, &issuer, &refusal));
    }
    for (size_t bit = 0; bit < 8 * good.size; bit++) {
        memcpy(copy, good.data, good.size);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        accepted +=
            cm_lint_tbs(pki.composer, cm_bytes(copy, good.size), &profile, &issuer, &refusal);
    }
    /* Bits of the serial, the names and the digits of times are free; nothing else is. */
    CU_ASSERT_TRUE(accepted < 500);
}

/* --- body ---------------------------------------------------------------------------------------- */

static void test_serials_are_positive_and_not_too_long(void)
{
    start();
    pieces.parts[SERIAL] = piece_hex("0215010203040506070809101112131415161718192021");
    expect(CM_LINT_SERIAL_SIZE);
    start();
    pieces.parts[SERIAL] = piece_hex("020100");
    expect(CM_LINT_SERIAL_POSITIVE);
    pieces.parts[SERIAL] = piece_hex("020180");
    expect(CM_LINT_SERIAL_POSITIVE);
}

static void test_algorithm_and_issuer_are_the_cas(void)
{
    start();
    pieces.parts[ALGORITHM] = cm_sigalg_der(CM_SIGALG_ECDSA_SHA384);
    expect(CM_LINT_SIGNATURE_ALGORITHM);
    start();
    issuer.name = pieces.parts[SUBJECT];
    expect(CM_LINT_ISSUER_NAME);
    start();
    pieces.parts[ISSUER] = issuer.name = piece_hex("3000");
    expect(CM_LINT_ISSUER_NAME);
}

/* A validity from two times as text. */
static void set_validity(const char *not_before, uint8_t before_tag, const char *not_after,
                         uint8_t after_tag)
{
    struct cm_bytes first = piece(before_tag, cm_bytes_str(not_before));
    struct cm_bytes second = piece(after_tag, cm_bytes_str(not_after));
    uint8_t both[64];
    memcpy(both, first.data, first.size);
    memcpy(both + first.size, second.data, second.size);
    pieces.parts[VALIDITY] = piece(CM_DER_SEQUENCE, cm_bytes(both, first.size + second.size));
}

static void test_times_have_their_one_encoding(void)
{
    start();
    set_validity("20270101000000Z", CM_DER_GENERALIZED_TIME, "270102000000Z", CM_DER_UTC_TIME);
    expect(CM_LINT_TIME_ENCODING);
    start();
    set_validity("270101000000Z", CM_DER_UTC_TIME, "20270102000000Z", CM_DER_GENERALIZED_TIME);
    expect(CM_LINT_TIME_ENCODING);
    start();
    set_validity("2701010000Z", CM_DER_UTC_TIME, "270102000000Z", CM_DER_UTC_TIME);
    expect(CM_LINT_READABLE);
}

static void test_validity_is_within_profile_and_issuer(void)
{
    start();
    set_validity("270102000000Z", CM_DER_UTC_TIME, "270101000000Z", CM_DER_UTC_TIME);
    expect(CM_LINT_VALIDITY_ORDER);
    start();
    issuer.not_after_s = pki.now_s + 86400;
    expect(CM_LINT_VALIDITY_ISSUER);
    start();
    issuer.not_before_s = pki.now_s;
    expect(CM_LINT_VALIDITY_ISSUER);
    start();
    profile.validity_s--;
    expect(CM_LINT_VALIDITY_PROFILE);
    start_with("idevid", CM_KEY_P256); /* no expiry is for profiles that say so */
    profile.validity_s = 253402300799;
    expect(CM_LINT_VALIDITY_ISSUER);
}

/* --- names --------------------------------------------------------------------------------------- */

static void test_subjects_have_the_types_and_attributes_of_their_profile(void)
{
    static const char *const syntax[] = {
        "300c310a300806035504030c0120",   /* CN " " */
        "300c310a30080603550403130141",   /* CN, PrintableString */
        "300d310b300906035504060c024445", /* C, UTF8String */
        ("300d310b30090603550406130264"
         "65"),                         /* C "de" */
        "300c310a300806035504290c0141", /* an attribute certmill does not write */
        "300c310a300806035504030c0101", /* control character */
    };
    for (size_t index = 0; index < sizeof syntax / sizeof syntax[0]; index++) {
        start();
        pieces.parts[SUBJECT] = piece_hex(syntax[index]);
        expect(CM_LINT_SUBJECT_SYNTAX);
    }
    start(); /* O "A": the profile has CN only */
    pieces.parts[SUBJECT] = piece_hex("300c310a3008060355040a0c0141");
    expect(CM_LINT_SUBJECT_PROFILE);
    start(); /* CN twice */
    pieces.parts[SUBJECT] = piece_hex("3018310a300806035504030c0141310a300806035504030c0142");
    expect(CM_LINT_SUBJECT_PROFILE);
    start(); /* a multi-valued RDN */
    pieces.parts[SUBJECT] = piece_hex("30163114300806035504030c0141300806035504030c0142");
    expect(CM_LINT_READABLE);
}

static void test_the_issuers_name_and_key_are_its_own(void)
{
    start();
    pieces.parts[SUBJECT] = piece_hex("300c310a300806035504030c0141");
    pieces.parts[ISSUER] = issuer.name = pieces.parts[SUBJECT];
    expect(CM_LINT_SUBJECT_ISSUER);
    start();
    issuer.spki = pieces.parts[KEY];
    expect(CM_LINT_KEY_ISSUER);
}

static void test_nobody_is_certified(void)
{
    start();
    pieces.parts[SUBJECT] = piece_hex("3000");
    drop(CM_OID_SUBJECT_ALT_NAME);
    expect(CM_LINT_NAME_PRESENT);
    start_with("sub-ca", CM_KEY_P256);
    pieces.parts[SUBJECT] = piece_hex("3000");
    expect(CM_LINT_SUBJECT_CA);
}

static void test_alternative_names_are_good_and_the_profiles(void)
{
    static const char *const syntax[] = {
        "300682042e2e2e2e",   /* DNS "...." */
        "300482022a2e",       /* DNS "*." */
        "300787050a00000001", /* IP of five octets */
        "300487020a00",       /* IP of two */
        ("30068604"
         "2f2f2f2f"),                     /* a URI without scheme */
        "3003810161",                     /* mail address without host */
        "3003880161",                     /* registeredID */
        "300da00b06022a03a0053003020101", /* an otherName of another type */
    };
    for (size_t index = 0; index < sizeof syntax / sizeof syntax[0]; index++) {
        start();
        replace(CM_OID_SUBJECT_ALT_NAME, false, syntax[index]);
        expect(CM_LINT_ALTNAMES_SYNTAX);
    }
    start();
    replace(CM_OID_SUBJECT_ALT_NAME, false, "3000");
    expect(CM_LINT_ALTNAMES_NOT_EMPTY);
    start(); /* a.b and A.b */
    replace(CM_OID_SUBJECT_ALT_NAME, false, "300a8203612e628203412e62");
    expect(CM_LINT_ALTNAMES_UNIQUE);
    start(); /* urn:x */
    replace(CM_OID_SUBJECT_ALT_NAME, false, "3007860575726e3a78");
    expect(CM_LINT_ALTNAMES_PROFILE);
    start_with("idevid", CM_KEY_P256);
    profile.altnames_count = 0;
    expect(CM_LINT_ALTNAMES_PROFILE);
}

/* --- key ----------------------------------------------------------------------------------------- */

static void test_keys_are_readable_and_of_an_allowed_type(void)
{
    start();
    pieces.parts[KEY] = piece_hex("300a300506032b656e030100");
    expect(CM_LINT_KEY_ENCODING);
    start();
    profile.key_types = CM_KEY_TYPE_BIT(CM_KEY_RSA);
    expect(CM_LINT_KEY_TYPE);
}

static void test_key_identifiers_are_the_keys(void)
{
    start();
    drop(CM_OID_SUBJECT_KEY_ID);
    expect(CM_LINT_SKI_PRESENT);
    start();
    replace(CM_OID_SUBJECT_KEY_ID, false, "04140000000000000000000000000000000000000000");
    expect(CM_LINT_SKI_HASH);
    start();
    profile.ski_method = CM_SKI_RFC5280_1;
    expect(CM_LINT_SKI_HASH);
    start();
    pieces.parts[KEY] = pki.keys[CM_KEY_P384].spki;
    expect(CM_LINT_SKI_HASH);
    start();
    drop(CM_OID_AUTHORITY_KEY_ID);
    expect(CM_LINT_AKI_PRESENT);
    start();
    issuer.ski = cm_bytes(issuer.ski.data, issuer.ski.size - 1);
    expect(CM_LINT_AKI_ISSUER);
}

/* --- extensions ---------------------------------------------------------------------------------- */

static void test_extensions_are_known_unique_and_rightly_critical(void)
{
    start();
    pieces.extensions[pieces.extensions_count++] = pieces.extensions[position_of(CM_OID_KEY_USAGE)];
    expect(CM_LINT_EXTENSION_UNIQUE);
    start();
    append(CM_OID_POLICY_MAPPINGS, true, "3000");
    expect(CM_LINT_EXTENSION_KNOWN);
    start();
    replace(CM_OID_KEY_USAGE, false, "03020780");
    expect(CM_LINT_EXTENSION_CRITICAL);
    start();
    replace(CM_OID_BASIC_CONSTRAINTS, false, "3000");
    expect(CM_LINT_EXTENSION_CRITICAL);
    start();
    replace(CM_OID_SUBJECT_ALT_NAME, true, "30058203612e62");
    expect(CM_LINT_EXTENSION_CRITICAL);
    start(); /* without a subject it must be */
    pieces.parts[SUBJECT] = piece_hex("3000");
    expect(CM_LINT_EXTENSION_CRITICAL);
    start();
    profile.purposes_critical = true;
    expect(CM_LINT_EXTENSION_CRITICAL);
}

static void test_only_a_ca_profile_makes_a_ca(void)
{
    start();
    drop(CM_OID_BASIC_CONSTRAINTS);
    expect(CM_LINT_CONSTRAINTS_PRESENT);
    start();
    profile.basic_constraints = false;
    expect(CM_LINT_CONSTRAINTS_PRESENT);
    start();
    replace(CM_OID_BASIC_CONSTRAINTS, true, "30030101ff");
    expect(CM_LINT_CONSTRAINTS_CA);
    start();
    replace(CM_OID_BASIC_CONSTRAINTS, true, "3003020100");
    expect(CM_LINT_CONSTRAINTS_PATH_LEN);
    start_with("sub-ca", CM_KEY_P256);
    replace(CM_OID_BASIC_CONSTRAINTS, true, "3000");
    expect(CM_LINT_CONSTRAINTS_CA);
    start_with("sub-ca", CM_KEY_P256);
    replace(CM_OID_BASIC_CONSTRAINTS, true, "30030101ff");
    expect(CM_LINT_CONSTRAINTS_PATH_LEN);
    start_with("sub-ca", CM_KEY_P256);
    issuer.path_len = 0;
    expect(CM_LINT_CONSTRAINTS_PATH_ISSUER);
}

static void test_key_usage_is_the_profiles_and_fits_the_key(void)
{
    start();
    drop(CM_OID_KEY_USAGE);
    expect(CM_LINT_USAGE_PRESENT);
    start();
    replace(CM_OID_KEY_USAGE, true, "030106");
    expect(CM_LINT_READABLE);
    start();
    replace(CM_OID_KEY_USAGE, true, "03020640");
    expect(CM_LINT_USAGE_PROFILE);
    start_with("gateway", CM_KEY_RSA);
    profile.key_usage_rsa = CM_USAGE_DIGITAL_SIGNATURE;
    expect(CM_LINT_USAGE_PROFILE);
    start(); /* even if a profile says so */
    replace(CM_OID_KEY_USAGE, true, "03020102");
    profile.key_usage = CM_USAGE_CRL_SIGN;
    expect(CM_LINT_USAGE_CA);
    start_with("sub-ca", CM_KEY_P256);
    replace(CM_OID_KEY_USAGE, true, "03020780");
    profile.key_usage = CM_USAGE_DIGITAL_SIGNATURE;
    expect(CM_LINT_USAGE_CA);
    start();
    replace(CM_OID_KEY_USAGE, true, "03020520");
    profile.key_usage = CM_USAGE_KEY_ENCIPHERMENT;
    expect(CM_LINT_USAGE_KEY_TYPE);
}

static void test_purposes_and_policies_are_the_profiles(void)
{
    static const char *const server[] = { "server-auth" };
    static const char *const swapped[] = { "server-auth", "client-auth" };
    static const char *const policy[] = { "1.2.3" };
    start();
    profile.purposes = server;
    profile.purposes_count = 1;
    expect(CM_LINT_PURPOSES);
    start();
    profile.purposes = swapped;
    expect(CM_LINT_PURPOSES);
    start();
    profile.purposes_count = 0;
    expect(CM_LINT_PURPOSES);
    start();
    drop(CM_OID_EXTENDED_KEY_USAGE);
    expect(CM_LINT_PURPOSES);
    start();
    profile.policies = policy;
    profile.policies_count = 1;
    expect(CM_LINT_POLICIES);
    start();
    append(CM_OID_CERTIFICATE_POLICIES, false, "3006300406022a03");
    expect(CM_LINT_POLICIES);
}

static void test_name_constraints_are_the_profiles(void)
{
    static const char *const names[] = { "dns:a.b", "ip:10.0.0.0/8" };
    start_with("sub-ca", CM_KEY_P256);
    append(CM_OID_NAME_CONSTRAINTS, true, "3009a00730058203612e62");
    expect(CM_LINT_NAME_CONSTRAINTS);
    profile.permitted_names = names;
    profile.permitted_names_count = 2;
    expect(CM_LINT_NAME_CONSTRAINTS); /* one is missing */
    profile.permitted_names_count = 1;
    profile.excluded_names = names + 1;
    profile.excluded_names_count = 1;
    expect(CM_LINT_NAME_CONSTRAINTS); /* and the other side */
    profile.excluded_names_count = 0;
    struct cm_refusal refusal = { 0 };
    CU_ASSERT_TRUE(cm_lint_tbs(pki.composer, put_together(&pieces), &profile, &issuer, &refusal));
    replace(CM_OID_NAME_CONSTRAINTS, false, "3009a00730058203612e62");
    expect(CM_LINT_EXTENSION_CRITICAL);
    replace(CM_OID_NAME_CONSTRAINTS, true, "300ca00a30088203612e62800100"); /* with a minimum */
    expect(CM_LINT_NAME_CONSTRAINTS);
    drop(CM_OID_NAME_CONSTRAINTS);
    expect(CM_LINT_NAME_CONSTRAINTS);
}

/* The certificate has dns d.example and ip 10.0.0.1, and a subject. */
static void test_names_lie_within_the_issuers_constraints(void)
{
    static const struct {
        const char *constraints;
        bool is_good;
    } rows[] = {
        { "300da00b300982076578616d706c65", true },    /* dns:example */
        { "300da00b3009820765786f6d706c65", false },   /* dns:exomple */
        { "300da10b300982076578616d706c65", false },   /* the same, excluded */
        { "300ea00c300a87080a000000ff000000", true },  /* ip:10.0.0.0/8 */
        { "300ea00c300a87080b000000ff000000", false }, /* ip:11.0.0.0/8 */
        { "300ea10c300a87080a000000ffffff00", false }, /* ip:10.0.0.0/24 */
        { "300da00b300981076578616d706c65", true },    /* of mailboxes, which it has none of */
        { "3015a0133011a40f300d310b3009060355040a0c026f6f", false }, /* o=oo */
        { "3008a0063004a4023000", true },                            /* all directory names */
        { "3000", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cm_refusal refusal = { 0 };
        start();
        issuer.name_constraints = piece_hex(rows[i].constraints);
        if (rows[i].is_good) {
            CU_ASSERT_TRUE(
                cm_lint_tbs(pki.composer, put_together(&pieces), &profile, &issuer, &refusal));
        } else {
            expect(CM_LINT_NAMES_ISSUER);
        }
    }
}

static void test_revocation_is_where_the_issuer_says(void)
{
    start();
    issuer.crl_url = "http://pki.example/crl/${shard}.crl";
    expect(CM_LINT_CRL);
    start();
    issuer.crl_shards = 7;
    expect(CM_LINT_CRL);
    start();
    issuer.crl_url = NULL;
    expect(CM_LINT_CRL);
    start();
    drop(CM_OID_CRL_DISTRIBUTION_POINTS);
    expect(CM_LINT_CRL);
    start();
    issuer.ocsp_url = "http://pki.example/ocsp2";
    expect(CM_LINT_AUTHORITY_INFO);
    start();
    issuer.ca_issuers_url = NULL;
    expect(CM_LINT_AUTHORITY_INFO);
    start();
    drop(CM_OID_AUTHORITY_INFO_ACCESS);
    expect(CM_LINT_AUTHORITY_INFO);
    start();
    drop(CM_OID_CRL_DISTRIBUTION_POINTS);
    profile.no_revocation_info = true;
    expect(CM_LINT_AUTHORITY_INFO);
}

static void test_responders_and_nobody_else_are_exempt_from_status_checks(void)
{
    start_with("ocsp-responder", CM_KEY_P256);
    drop(CM_OID_OCSP_NO_CHECK);
    expect(CM_LINT_OCSP_NO_CHECK);
    start();
    append(CM_OID_OCSP_NO_CHECK, false, "0500");
    expect(CM_LINT_OCSP_NO_CHECK);
    start_with("ocsp-responder", CM_KEY_P256);
    replace(CM_OID_OCSP_NO_CHECK, true, "0500");
    expect(CM_LINT_EXTENSION_CRITICAL);
}

static void test_every_rule_has_been_seen_to_break(void)
{
    for (unsigned rule = 0; rule < CM_LINT_COUNT; rule++) {
        if (!broken[rule])
            printf("    %s: no test breaks it\n", cm_lint_rule_name((enum cm_lint_rule)rule));
        CU_ASSERT_TRUE(broken[rule]);
        CU_ASSERT_TRUE(strlen(cm_lint_rule_text((enum cm_lint_rule)rule)) > 0);
    }
}

static int set_up(void)
{
    return pki_init(CM_KEY_P256);
}

CM_TEST_SUITE_WITH(lint, set_up, pki_done, CM_TEST(test_what_is_no_tbs_certificate_is_not_readable),
                   CM_TEST(test_extension_values_that_are_not_der_are_not_readable),
                   CM_TEST(test_no_damage_is_accepted),
                   CM_TEST(test_serials_are_positive_and_not_too_long),
                   CM_TEST(test_algorithm_and_issuer_are_the_cas),
                   CM_TEST(test_times_have_their_one_encoding),
                   CM_TEST(test_validity_is_within_profile_and_issuer),
                   CM_TEST(test_subjects_have_the_types_and_attributes_of_their_profile),
                   CM_TEST(test_the_issuers_name_and_key_are_its_own),
                   CM_TEST(test_nobody_is_certified),
                   CM_TEST(test_alternative_names_are_good_and_the_profiles),
                   CM_TEST(test_keys_are_readable_and_of_an_allowed_type),
                   CM_TEST(test_key_identifiers_are_the_keys),
                   CM_TEST(test_extensions_are_known_unique_and_rightly_critical),
                   CM_TEST(test_only_a_ca_profile_makes_a_ca),
                   CM_TEST(test_key_usage_is_the_profiles_and_fits_the_key),
                   CM_TEST(test_purposes_and_policies_are_the_profiles),
                   CM_TEST(test_name_constraints_are_the_profiles),
                   CM_TEST(test_names_lie_within_the_issuers_constraints),
                   CM_TEST(test_revocation_is_where_the_issuer_says),
                   CM_TEST(test_responders_and_nobody_else_are_exempt_from_status_checks),
                   CM_TEST(test_every_rule_has_been_seen_to_break));
