/* Helpers of the distributor's tests: settings, protobuf messages made with protobuf-c, compressed
 * bodies. */
#ifndef TESTS_UNIT_DISTRIBUTOR_DIST_TEST_H
#define TESTS_UNIT_DISTRIBUTOR_DIST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/rand.h"
#include "distributor/batch.h"
#include "distributor/distributor.h"
#include "proto/remote.pb-c.h"

/* The defaults of the settings table. */
struct dist_settings test_settings(void);
struct dist_limits test_limits(void);

/* Writes protobuf fields. */
void test_put_varint(struct nx_buf *buf, unsigned field, uint64_t v);
void test_put_fixed64(struct nx_buf *buf, unsigned field, uint64_t bits);
void test_put_double(struct nx_buf *buf, unsigned field, double v);
void test_put_bytes(struct nx_buf *buf, unsigned field, const void *bytes, size_t len);
void test_put_message(struct nx_buf *buf, unsigned field,
                      struct nx_buf *inner); /* releases inner */

/* A Label as field 1. */
void test_put_label(struct nx_buf *series, const char *name, const char *value);
/* A Sample as field 2. */
void test_put_sample(struct nx_buf *series, int64_t timestamp, double value);

/* A random WriteRequest. */
void test_random_request(struct nx_rand *rand, struct nx_buf *out);

/* Decoded as decode and resolve see it, with generous limits. */
enum nx_err test_decode(struct nx_view message, struct dist_batch *batch, struct nx_fail *fail);

struct nx_buf test_snappy(struct nx_view message);

/* Fails the n-th allocation from now on (1 = the next); 0 switches it off. */
void test_fail_allocation(size_t n);
/* Whether that has happened. */
bool test_allocation_failed(void);

#endif
