#include "engine/status/answers.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/hash.h"
#include "engine/status/http_date.h"

struct cm_ocsp_answer *cm_ocsp_answer_new(struct cm_bytes der, int64_t generation_number,
                                          int64_t this_update_s, int64_t next_update_s)
{
    uint8_t hash[CM_SHA256_SIZE];
    struct cm_ocsp_answer *answer = malloc(sizeof *answer + der.size);
    if (!answer)
        abort();
    atomic_init(&answer->holders_count, 1);
    atomic_init(&answer->is_outdated, false);
    atomic_init(&answer->is_renewing, false);
    answer->generation_number = generation_number;
    answer->this_update_s = this_update_s;
    answer->next_update_s = next_update_s;
    answer->size = der.size;
    memcpy(answer->der, der.data, der.size);
    cm_sha256(&der, 1, hash);
    answer->etag[0] = '"';
    cm_hex_encode(cm_bytes(hash, sizeof hash), answer->etag + 1);
    memcpy(answer->etag + 1 + 2 * sizeof hash, "\"", 2);
    cm_http_date(this_update_s, answer->modified);
    cm_http_date(next_update_s, answer->expires);
    return answer;
}

void cm_ocsp_answer_hold(struct cm_ocsp_answer *answer)
{
    atomic_fetch_add_explicit(&answer->holders_count, 1, memory_order_relaxed);
}

void cm_ocsp_answer_let_go(struct cm_ocsp_answer *answer)
{
    if (answer && atomic_fetch_sub_explicit(&answer->holders_count, 1, memory_order_acq_rel) == 1)
        free(answer);
}

bool cm_ocsp_answer_is_valid(const struct cm_ocsp_answer *answer, int64_t now_s)
{
    bool is_within = now_s >= answer->this_update_s && now_s < answer->next_update_s;
    return !atomic_load(&answer->is_outdated) && (now_s < 0 || is_within);
}

bool cm_ocsp_answer_is_old(const struct cm_ocsp_answer *answer, int64_t now_s)
{
    return now_s - answer->this_update_s >= answer->next_update_s - now_s;
}
