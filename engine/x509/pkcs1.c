#include "engine/x509/pkcs1.h"

enum { FRAME_SIZE = 3, FILLING_SIZE_MIN = 8, INFO_SIZE = 19 };

/* DigestInfo before the hash: RFC 8017, 9.2, note 1. */
static const struct {
    enum cm_sigalg alg;
    uint8_t info[INFO_SIZE];
} infos[] = {
    { CM_SIGALG_RSA_SHA256,
      { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20 } },
    { CM_SIGALG_RSA_SHA384,
      { 0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
        0x05, 0x00, 0x04, 0x30 } },
    { CM_SIGALG_RSA_SHA512,
      { 0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
        0x05, 0x00, 0x04, 0x40 } },
};

static const uint8_t *info_of(enum cm_sigalg alg)
{
    for (size_t i = 0; i < sizeof infos / sizeof infos[0]; i++)
        if (infos[i].alg == alg)
            return infos[i].info;
    return NULL;
}

bool cm_pkcs1_encode(enum cm_sigalg alg, struct cm_bytes digest, uint8_t *ret_encoded, size_t size)
{
    const uint8_t *info = info_of(alg);
    size_t tail_size = INFO_SIZE + digest.size;
    if (!info || digest.size != info[INFO_SIZE - 1]
        || size < FRAME_SIZE + FILLING_SIZE_MIN + tail_size)
        return false;
    size_t filling_size = size - FRAME_SIZE - tail_size;
    ret_encoded[0] = 0x00;
    ret_encoded[1] = 0x01;
    memset(ret_encoded + 2, 0xff, filling_size);
    ret_encoded[2 + filling_size] = 0x00;
    memcpy(ret_encoded + FRAME_SIZE + filling_size, info, INFO_SIZE);
    memcpy(ret_encoded + FRAME_SIZE + filling_size + INFO_SIZE, digest.data, digest.size);
    return true;
}
