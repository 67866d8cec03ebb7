/* Go's strconv.Quote: double quotes, \a \b \f \n \r \t \v \\ \" escaped, what Go does not print as
 * \xNN (bytes that are not UTF-8), \uNNNN or \UNNNNNNNN. */
#ifndef NX_BASE_QUOTE_H
#define NX_BASE_QUOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/view.h"

void nx_quote(struct nx_buf *buf, struct nx_view text);
/* As a JSON string, with its quotes: `"`, `\\` and control characters escaped. The text is UTF-8.
 */
void nx_quote_json(struct nx_buf *buf, struct nx_view text);
/* The same into caller storage with a NUL; cut (with no closing quote) where `size` does not hold
 * it. For error texts. Returns `out`. */
const char *nx_quote_into(struct nx_view text, char *out, size_t size);
/* strconv.IsPrint (Unicode 15.0). */
bool nx_rune_is_print(uint32_t rune);
/* Decodes one rune; *len is its bytes. U+FFFD with *len 1 where the bytes are not UTF-8; text.len >
 * 0. */
uint32_t nx_rune_decode(struct nx_view text, size_t *len);

#endif
