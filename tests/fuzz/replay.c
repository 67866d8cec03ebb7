/* Runs a fuzz target without a fuzzer: over the empty input, every seed of its corpus, and seeded
 * mutations of them, so that what the corpus found once is checked in every test run.
 *
 *     fuzz_x CORPUS_DIR        seeds and mutations (none where the directory is missing: random
 * bytes) fuzz_x FILE...           these inputs, once each
 *
 * NARTHEX_FUZZ_ROUNDS (default 5000) mutations, NARTHEX_FUZZ_SEED (default 1);
 * NARTHEX_FUZZ_KEEP=FILE writes each input there before it is run, so that a crash leaves its input
 * behind. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/base/rand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX_BYTES = 1 << 20, FRESH_MAX_BYTES = 256 };

struct seed {
    uint8_t *bytes;
    size_t len;
};

struct corpus {
    struct seed *seeds;
    size_t count;
    size_t capacity;
};

static void die(const char *what, const char *name, enum nx_err err)
{
    fprintf(stderr, "%s %s: %s\n", what, name, nx_err_text(err));
    exit(2);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void keep(const uint8_t *bytes, size_t len)
{
    const char *path = getenv("NARTHEX_FUZZ_KEEP");
    if (!path)
        return;
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
        die("cannot write", path, nx_err_from_errno(errno));
}

/* A copy of exactly the input's size, so that a sanitizer sees the first byte read beyond it. */
static void run(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        die("cannot copy", "input", NX_ERR_NOMEM);
    if (len)
        memcpy(copy, bytes, len);
    keep(copy, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void add_seed(struct corpus *corpus, const char *path)
{
    char *bytes;
    size_t len;
    enum nx_err err = nx_file_read_all(path, INPUT_MAX_BYTES, &bytes, &len);
    if (err == NX_OK)
        err = nx_grow(&corpus->seeds, &corpus->capacity, corpus->count + 1, sizeof *corpus->seeds);
    if (err != NX_OK)
        die("cannot read", path, err);
    corpus->seeds[corpus->count++] = (struct seed){.bytes = (uint8_t *)bytes, .len = len};
}

static void add_directory(struct corpus *corpus, const char *dir)
{
    char **names;
    size_t count;
    enum nx_err err = nx_dir_list(dir, &names, &count);
    if (err == NX_ERR_NOT_FOUND)
        return;
    if (err != NX_OK)
        die("cannot list", dir, err);
    for (size_t i = 0; i < count; i++) {
        char *path = nx_path_join(dir, names[i]);
        if (!path)
            die("cannot list", dir, NX_ERR_NOMEM);
        add_seed(corpus, path);
        nx_free(path);
    }
    nx_dir_free(names, count);
}

/* One random edit of `bytes`, which has room for INPUT_MAX_BYTES; the new length. */
static size_t mutate(struct nx_rand *rand, const struct corpus *corpus, uint8_t *bytes, size_t len)
{
    static const uint8_t odd[] = {0x00, 0x01, 0x7F, 0x80, 0xFF, '"', '\\', '{', '(', '\n', 0xC3};
    size_t at = (size_t)nx_rand_below(rand, len + 1);
    size_t run_len = (size_t)nx_rand_below(rand, len - at < 16 ? len - at + 1 : 17);
    switch (nx_rand_below(rand, 8)) {
    case 0: /* flip a bit */
        if (at < len)
            bytes[at] ^= (uint8_t)(1u << nx_rand_below(rand, 8));
        return len;
    case 1: /* any byte */
        if (at < len)
            bytes[at] = (uint8_t)nx_rand_u64(rand);
        return len;
    case 2: /* a byte that decoders dislike */
        if (at < len)
            bytes[at] = odd[nx_rand_below(rand, sizeof odd)];
        return len;
    case 3: /* cut the end */
        return at;
    case 4: /* take a piece out */
        memmove(bytes + at, bytes + at + run_len, len - at - run_len);
        return len - run_len;
    case 5: /* repeat a piece */
        if (len + run_len > INPUT_MAX_BYTES)
            return len;
        memmove(bytes + at + run_len, bytes + at, len - at);
        return len + run_len;
    case 6: /* insert a byte */
        if (len == INPUT_MAX_BYTES)
            return len;
        memmove(bytes + at + 1, bytes + at, len - at);
        bytes[at] = (uint8_t)nx_rand_u64(rand);
        return len + 1;
    default: { /* go on as another seed does */
        if (corpus->count == 0)
            return len;
        const struct seed *other = &corpus->seeds[nx_rand_below(rand, corpus->count)];
        size_t from = (size_t)nx_rand_below(rand, other->len + 1);
        size_t take = other->len - from;
        if (take > INPUT_MAX_BYTES - at)
            take = INPUT_MAX_BYTES - at;
        if (take)
            memcpy(bytes + at, other->bytes + from, take);
        return at + take;
    }
    }
}

static void run_mutations(const struct corpus *corpus, uint64_t rounds, uint64_t seed)
{
    struct nx_rand rand;
    nx_rand_seeded(&rand, seed);
    uint8_t *bytes = malloc(INPUT_MAX_BYTES);
    if (!bytes)
        die("cannot mutate", "input", NX_ERR_NOMEM);
    for (uint64_t round = 0; round < rounds; round++) {
        size_t len;
        if (corpus->count > 0 && nx_rand_below(&rand, 16) != 0) {
            const struct seed *from = &corpus->seeds[nx_rand_below(&rand, corpus->count)];
            len = from->len;
            if (len)
                memcpy(bytes, from->bytes, len);
        } else {
            len = (size_t)nx_rand_below(&rand, FRESH_MAX_BYTES);
            for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)nx_rand_u64(&rand);
        }
        for (uint64_t edits = 1 + nx_rand_below(&rand, 4); edits > 0; edits--)
            len = mutate(&rand, corpus, bytes, len);
        run(bytes, len);
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    struct corpus corpus = {.seeds = NULL};
    struct stat st;
    uint64_t rounds = setting("NARTHEX_FUZZ_ROUNDS", 5000);
    uint64_t seed = setting("NARTHEX_FUZZ_SEED", 1);
    bool files = argc > 1 && stat(argv[1], &st) == 0 && S_ISREG(st.st_mode);
    for (int i = 1; i < argc; i++) {
        if (files)
            add_seed(&corpus, argv[i]);
        else
            add_directory(&corpus, argv[i]);
    }
    if (!files)
        run(NULL, 0);
    for (size_t i = 0; i < corpus.count; i++)
        run(corpus.seeds[i].bytes, corpus.seeds[i].len);
    if (!files)
        run_mutations(&corpus, rounds, seed);
    printf("%zu seeds, %llu mutations, seed %llu\n", corpus.count,
           (unsigned long long)(files ? 0 : rounds), (unsigned long long)seed);
    for (size_t i = 0; i < corpus.count; i++)
        nx_free(corpus.seeds[i].bytes);
    nx_free(corpus.seeds);
    return 0;
}
