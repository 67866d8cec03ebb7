/* From a member (a task, a job, a waiter) to the structure it is embedded in. */
#ifndef ING_OWNER_H
#define ING_OWNER_H

#include <stddef.h>

#define ING_OWNER(type, member, ptr) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
