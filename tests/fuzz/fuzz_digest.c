/* The bytes of a table of digests. What decodes encodes again, and decodes to the same rows. */
#include <stdint.h>
#include <stdlib.h>

#include "ingester/repair/digest.h"

#define PARTITIONS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_rows(const struct ing_digest_table *table, const struct ing_digest_table *back)
{
    require(table->count == back->count);
    for (size_t i = 0; i < table->count; i++) {
        const struct ing_digest_row *row = &table->rows[i];
        require(row->partition < PARTITIONS && row->window == ing_digest_window(row->window));
        const struct ing_digest *found = ing_digest_table_find(back, row->partition, row->window);
        require(found && ing_digest_eq(*found, row->digest));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ing_digest_table table;
    struct ing_digest_table back;
    ing_digest_table_init(&table);
    ing_digest_table_init(&back);
    struct nx_cursor cur = nx_cursor_of(nx_view_make(data, size));
    enum nx_err err = ing_digest_table_decode(&cur, PARTITIONS, &table);
    require(err == NX_OK || err == NX_ERR_CORRUPT || err == NX_ERR_NOMEM);
    if (err == NX_OK) {
        struct nx_buf buf;
        nx_buf_init(&buf, (size_t)16 << 20);
        require(ing_digest_table_encode(&table, &buf) == NX_OK);
        cur = nx_cursor_of(nx_buf_view(&buf));
        require(ing_digest_table_decode(&cur, PARTITIONS, &back) == NX_OK);
        require(nx_cursor_left(&cur) == 0);
        check_rows(&table, &back);
        nx_buf_release(&buf);
    }
    ing_digest_table_release(&table);
    ing_digest_table_release(&back);
    return 0;
}
