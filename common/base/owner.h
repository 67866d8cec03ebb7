/* From an embedded member (a task, a handle, an interface) to the structure that holds it. */
#ifndef NX_BASE_OWNER_H
#define NX_BASE_OWNER_H

#include <stddef.h>

#define NX_OWNER(type, member, ptr) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
