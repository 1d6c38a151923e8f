/* What the settings allow of a key becomes its floor, and the profile chooses the lane. */
#include "engine/floors.h"
#include "tests/support/test_main.h"

enum { DAY_S = 86400 };

static void test_floors_send_authorities_and_responders_through_their_own_lanes(void)
{
    static const char *const purposes[] = { "client-auth", "ocsp-signing" };
    static const char *const dotted[] = { "1.3.6.1.5.5.7.3.9" };
    const struct cm_profile responder = { .purposes = purposes, .purposes_count = 2 };
    const struct cm_profile same = { .purposes = dotted, .purposes_count = 1 };
    const struct cm_profile client = { .purposes = purposes, .purposes_count = 1 };
    CU_ASSERT_EQUAL(cm_lane_of(&responder), CM_LANE_OCSP);
    CU_ASSERT_EQUAL(cm_lane_of(&same), CM_LANE_OCSP);
    CU_ASSERT_EQUAL(cm_lane_of(&client), CM_LANE_LEAF);
    CU_ASSERT_EQUAL(cm_lane_of(cm_profile_builtin("device-client")), CM_LANE_LEAF);
    CU_ASSERT_EQUAL(cm_lane_of(cm_profile_builtin("idevid")), CM_LANE_LEAF);
    CU_ASSERT_EQUAL(cm_lane_of(cm_profile_builtin("sub-ca")), CM_LANE_CEREMONY);
}

static void test_floors_are_as_wide_as_the_profiles_of_their_own_authority(void)
{
    const struct cm_settings_authority authorities[] = {
        { .name = "devices", .signatures_per_s_max = 70 }, { .name = "other" }
    };
    const struct cm_profile brief = { .validity_s = 2 * DAY_S, .backdate_s = 600 };
    const struct cm_profile longer = { .validity_s = 9 * DAY_S };
    const struct cm_profile endless = { .validity_s = CM_VALIDITY_NO_EXPIRY };
    const struct cm_profile authority = { .validity_s = DAY_S, .ca = true };
    const struct cm_profile *const some[] = { &brief, &longer };
    const struct cm_profile *const others[] = { &endless, &authority };
    const struct cm_settings_group groups[] = {
        { .authority = &authorities[0], .profiles = some, .profiles_count = 2 },
        { .authority = &authorities[1], .profiles = others, .profiles_count = 2 },
    };
    const struct cm_settings settings = { .groups = groups, .groups_count = 2 };
    struct cm_bytes name = cm_bytes_str("name");
    struct cm_floor floor = cm_floor_of(&settings, &authorities[0], name);
    CU_ASSERT_TRUE(cm_bytes_equal(floor.issuer_name, name));
    CU_ASSERT_EQUAL(floor.validity_s_max, 9 * DAY_S);
    CU_ASSERT_FALSE(floor.allows_no_expiry);
    CU_ASSERT_EQUAL(floor.lanes & CM_LANE_BIT(CM_LANE_CEREMONY), 0);
    CU_ASSERT_NOT_EQUAL(floor.lanes & CM_LANE_BIT(CM_LANE_LEAF), 0);
    CU_ASSERT_EQUAL(floor.past_s_max, 600 + 30 * DAY_S);
    CU_ASSERT_EQUAL(floor.rate_per_s_max, 70);
    floor = cm_floor_of(&settings, &authorities[1], name);
    CU_ASSERT_EQUAL(floor.validity_s_max, DAY_S);
    CU_ASSERT_TRUE(floor.allows_no_expiry);
    CU_ASSERT_NOT_EQUAL(floor.lanes & CM_LANE_BIT(CM_LANE_CEREMONY), 0);
}

static void test_floors_bound_crls_and_responders_as_the_settings_make_them(void)
{
    const struct cm_settings_provider provider = { .name = "software" };
    const struct cm_settings_authority authorities[] = {
        { .name = "plain", .crl_validity_s = 7 * DAY_S, .responder_validity_s = 30 * DAY_S },
        { .name = "delegates",
          .crl_validity_s = 500 * DAY_S,
          .ocsp_validity_s = 60 * DAY_S,
          .responder_validity_s = 30 * DAY_S,
          .ocsp_responder = &provider,
          .signatures_per_s_max = 70 },
    };
    static const char *const purposes[] = { "ocsp-signing" };
    struct cm_profile responder = { .validity_s = 90 * DAY_S,
                                    .purposes = purposes,
                                    .purposes_count = 1 };
    const struct cm_profile *const profiles[] = { &responder };
    struct cm_settings_group group = { .authority = &authorities[1],
                                       .profiles = profiles,
                                       .profiles_count = 1 };
    struct cm_settings settings = { 0 };
    struct cm_bytes name = cm_bytes_str("name");
    struct cm_floor floor = cm_floor_of(&settings, &authorities[0], name);
    CU_ASSERT_EQUAL(floor.crl_validity_s_max, 400 * DAY_S);
    CU_ASSERT_EQUAL(floor.ocsp_validity_s_max, 30 * DAY_S);
    CU_ASSERT_EQUAL(floor.responder_validity_s_max, 0);
    CU_ASSERT_FALSE(floor.is_responder);
    floor = cm_floor_of(&settings, &authorities[1], name);
    CU_ASSERT_EQUAL(floor.crl_validity_s_max, 500 * DAY_S);
    CU_ASSERT_EQUAL(floor.ocsp_validity_s_max, 60 * DAY_S);
    CU_ASSERT_EQUAL(floor.responder_validity_s_max, 30 * DAY_S);
    settings = (struct cm_settings){ .groups = &group, .groups_count = 1 };
    floor = cm_floor_of(&settings, &authorities[1], name);
    CU_ASSERT_EQUAL(floor.responder_validity_s_max, 90 * DAY_S);
    CU_ASSERT_EQUAL(floor.validity_s_max, 0); /* which is no leaf's */
    /* One that has no responder of its own, but devices that may be one. */
    group.authority = &authorities[0];
    floor = cm_floor_of(&settings, &authorities[0], name);
    CU_ASSERT_EQUAL(floor.responder_validity_s_max, 90 * DAY_S);
    responder.validity_s = CM_VALIDITY_NO_EXPIRY;
    floor = cm_floor_of(&settings, &authorities[0], name);
    CU_ASSERT_EQUAL(floor.responder_validity_s_max, 0);
    CU_ASSERT_FALSE(floor.allows_no_expiry);
    floor = cm_floor_of_responder(&authorities[1], name);
    CU_ASSERT_TRUE(floor.is_responder);
    CU_ASSERT_EQUAL(floor.ocsp_validity_s_max, 60 * DAY_S);
    CU_ASSERT_EQUAL(floor.lanes, CM_LANE_BIT(CM_LANE_OCSP));
    CU_ASSERT_EQUAL(floor.rate_per_s_max, 70);
}

CM_TEST_SUITE(floors, CM_TEST(test_floors_send_authorities_and_responders_through_their_own_lanes),
              CM_TEST(test_floors_are_as_wide_as_the_profiles_of_their_own_authority),
              CM_TEST(test_floors_bound_crls_and_responders_as_the_settings_make_them));
