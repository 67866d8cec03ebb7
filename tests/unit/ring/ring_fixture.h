/* What the tests of rings share. */
#ifndef TESTS_UNIT_RING_RING_FIXTURE_H
#define TESTS_UNIT_RING_RING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/ring/ring.h"

/* Of a process that is no member; static list, short intervals. */
struct nx_ring_options ring_options_of(const char *members);

#endif
