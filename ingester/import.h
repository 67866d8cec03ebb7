/* The RPC method `import`: a block that `narthex tool import` has made becomes one of this node's.
 * Its work is done on a lane of its own, one call after the other. */
#ifndef ING_IMPORT_H
#define ING_IMPORT_H

#include "ingester/ingester_internal.h"

/* Adds the method. */
enum nx_err ing_import_open(struct ingester *ing) NX_WARN_UNUSED;
/* Ends the lane; once no request is under way. */
void ing_import_close(struct ingester *ing);

#endif
